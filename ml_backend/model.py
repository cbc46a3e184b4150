"""ALE as a model for Label Studio's stock ML server, `label-studio-ml start`: 1.0.9 from PyPI and 2.x alike.

The class only translates; it answers with the same functions as the routes of `ml_backend.app`, which remain
the better server: the stock one cannot tell Label Studio our version (1.0.9 says INITIAL), passes no
project to the model, and writes each webhook's body into its model folder. Connect projects with
`ale connect`, and keep `ale worker` running beside it.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import Any

from redis import RedisError

from ale.errors import ConfigurationError
from ml_backend.controls import Json, UnsupportedConfig, find_control
from ml_backend.payloads import Slot
from ml_backend.predict import FIRST_VERSION, predict
from ml_backend.settings import load_settings
from ml_backend.store import projects
from ml_backend.store.schema import Project
from ml_backend.webhook import ACTIONS, receive
from ml_backend.wiring import Services, build_services

try:
    from label_studio_ml.model import LabelStudioMLBase
except ImportError as error:
    raise ConfigurationError(
        f"ml_backend.model needs Label Studio's server library ({error}): pip install --no-deps "
        "label-studio-ml==1.0.9 label-studio-tools==0.0.4 && pip install appdirs colorama attrs lxml requests. "
        "`ale serve` does not need it."
    ) from error

logger = logging.getLogger(__name__)

_PER_REQUEST = hasattr(LabelStudioMLBase, "set")
"""2.x makes an instance per request, with the request's project and config; 1.0.9 shares one by all projects."""


class ALE(LabelStudioMLBase):  # type: ignore[misc]
    """What the version in force believes, slot by slot; learning is the worker's."""

    TRAIN_EVENTS = tuple(sorted(ACTIONS))

    def setup(self) -> None:
        """Tell 2.x the version in force, so that /setup and /predict name the same one; 1.0.9 never calls this."""
        row = self._project([])
        self.set("model_version", (row.version if row else None) or FIRST_VERSION)

    def predict(self, tasks: list[Json], context: Json | None = None, **kwargs: Any) -> list[Slot]:
        """One slot per task: a prediction, or `[]`. A plain list, which both generations take."""
        row = self._project(tasks)
        uid = f"{row.project_id}.{row.created_at}" if row else ""
        config = self.label_config
        if row and not _PER_REQUEST and not _same_question(config, row.label_config):
            # The shared instance may hold the config of another project that was set up in between.
            logger.info("predict %s: the config at hand is another one", row.key)
            return [[] for _ in tasks]
        slots = predict(_services(os.getpid()), uid, config, tasks)
        return slots if _PER_REQUEST else [_unversioned(slot) for slot in slots]

    def fit(self, *args: Any, **kwargs: Any) -> Json:
        """Mark the project as changed for the worker; without Redis, log why nothing happens.

        2.x calls `fit(event, data)` inside the webhook's request, 1.0.9 `fit((), event=…, data=…)` in a
        subprocess. Never learns itself.
        """
        event = kwargs.get("event") or next((a for a in args if isinstance(a, str)), "")
        data = kwargs.get("data") or next((a for a in args if isinstance(a, dict)), {})
        try:
            received = receive(
                _services(os.getpid()), {**data, "action": event}, header=None, trusted=True, loopback=False
            )
        except RedisError as error:
            # An error, since the stock server shows nothing milder unless it is told to.
            reason = type(error).__name__
            logger.error("fit: %s is not recorded, Redis cannot be reached: %s", event, reason)
            return {}
        logger.info("fit: %s is %s %s", event, received.status, received.reason)
        return {}

    def process_event(self, event: str, data: Json, job_id: str, additional_params: Json) -> None:
        """As in the base class, but a job without a result: 1.0.9 would take its id for a new version, and
        Label Studio would predict every task again after each annotation.
        """
        if event in self.TRAIN_EVENTS:
            self.fit((), event=event, data=data, job_id=job_id, **additional_params)

    def _project(self, tasks: list[Json]) -> Project | None:
        """The project of 2.x's instance, else of the first task; None when it was never connected."""
        services = _services(os.getpid())
        given = str(getattr(self, "project_id", "") or (tasks[0].get("project") if tasks else ""))
        if not (given.isascii() and given.isdecimal() and len(given) < 10):
            return None
        return projects.find_by_id(services.db, services.settings.label_studio_url, int(given))


@lru_cache(maxsize=1)
def _services(_pid: int) -> Services:
    """One set per process: a fork must not share its parent's connections."""
    return build_services(load_settings(), redis_timeout_s=1.0, redis_needed=False)


def _same_question(one: str | None, other: str) -> bool:
    if one == other or not other:
        return True
    try:
        return find_control(one).fingerprint == find_control(other).fingerprint
    except UnsupportedConfig:
        return False


def _unversioned(slot: Slot) -> Slot:
    """Without its version, the prediction is stored under the one that /setup said: no duplicates arise."""
    return {k: v for k, v in slot.items() if k != "model_version"} if isinstance(slot, dict) else slot
