"""Which versions MLflow still has to be told about, oldest first, one per step.

What it has is remembered in Redis; where Redis lost that, MLflow is asked. Nothing waits for a step: learn
runs stand before it in the queue, and it ends between two calls to MLflow as soon as one is waiting.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import redis

from ale.errors import CheckpointError, TrackingError, TrackingRefused
from ale.io.checkpoints import read_manifest
from ml_backend.settings import Settings
from ml_backend.store import projects, versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Version
from ml_backend.wiring import Services

logger = logging.getLogger(__name__)

REFUSED_S = 600
"""After MLflow refused something of a project, the others go first for so long."""


class Ledger:
    """What Redis remembers of the mirror. Another MLflow is another ledger."""

    def __init__(self, connection: redis.Redis, address: str) -> None:
        self._redis = connection
        self._name = f"ale:mirror:{hashlib.sha256(address.encode()).hexdigest()[:8]}"

    def told(self, project: str) -> set[str] | None:
        """Versions that MLflow has; None when it has to be asked."""
        members = cast(set[bytes], self._redis.smembers(f"{self._name}:told:{project}"))
        return {member.decode() for member in members} if members else None

    def add(self, project: str, *names: str) -> None:
        """MLflow has these versions. The empty name stands for having asked."""
        self._redis.sadd(f"{self._name}:told:{project}", "", *names)

    def refuse(self, project: str) -> None:
        """Leave the project alone for a while."""
        self._redis.set(f"{self._name}:refused:{project}", 1, ex=REFUSED_S)

    def refused(self, project: str) -> bool:
        """Whether it is to be left alone."""
        return bool(self._redis.exists(f"{self._name}:refused:{project}"))

    @property
    def problem(self) -> str:
        """Why MLflow was not told the last time; empty when it was."""
        found = cast(bytes | None, self._redis.get(f"{self._name}:problem"))
        return found.decode() if found else ""

    def note(self, problem: str) -> None:
        """Write down how the last try went; empty for well."""
        self._redis.set(f"{self._name}:problem", problem)


def lacking(db: Database, project: Project, told: set[str]) -> list[Version]:
    """Versions that were put in force and that MLflow lacks, oldest first; their learn run has ended."""
    since = versions.running_since(db, project.key)
    return [
        version
        for version in reversed(versions.every(db, project.key))
        if version.in_force_at is not None
        and version.version not in told
        and not (since is not None and since <= version.created_at)
    ]


def mirror_seen(settings: Settings, db: Database, connection: redis.Redis | None) -> dict[str, Any] | None:
    """For status and metrics: where to, how many versions wait and why; None when nothing is mirrored."""
    if not settings.mlflow_address:
        return None
    seen: dict[str, Any] = {"address": settings.mlflow_address, "waiting": None, "problem": ""}
    if connection is not None:
        ledger = Ledger(connection, settings.mlflow_address)
        rows = _connected(settings, db)
        seen["waiting"] = sum(len(lacking(db, row, ledger.told(row.key) or set())) for row in rows)
        seen["problem"] = ledger.problem
    return seen


def mirror_step(services: Services, *, wanted_elsewhere: Callable[[], bool]) -> bool:
    """Tell MLflow about the next version that it lacks; whether something is left to do.

    Raises TrackingUnreachable when MLflow is away. What it refuses of one project holds up no other.
    """
    ledger = Ledger(services.marks.connection, services.settings.mlflow_address)
    for row in _connected(services.settings, services.db):
        # First without MLflow, whose import takes seconds: mostly there is nothing to tell.
        if ledger.refused(row.key) or not lacking(services.db, row, ledger.told(row.key) or set()):
            continue
        try:
            return _tell_next(services, ledger, row, wanted_elsewhere)
        except TrackingRefused as error:
            logger.warning("project %s: mirror: %s", row.key, error)
            services.marks.count(f"mirror:failed:{type(error).__name__}")
            ledger.note(str(error))
            ledger.refuse(row.key)
        except TrackingError as error:
            ledger.note(str(error))
            raise
    return False


def _tell_next(
    services: Services, ledger: Ledger, project: Project, wanted_elsewhere: Callable[[], bool]
) -> bool:
    from ml_backend.tracking.account import account_of
    from ml_backend.tracking.files import put_together
    from ml_backend.tracking.writing import Tracker

    settings, db = services.settings, services.db
    tracker = Tracker(settings)
    told = ledger.told(project.key)
    if told is None:
        told = tracker.told(project.key)
        ledger.add(project.key, *told)
    for version in lacking(db, project, told)[:1]:
        try:
            manifest = read_manifest(settings.checkpoints, project.key, version.version)
        except CheckpointError:
            manifest = {}  # pruned meanwhile; SQL knows the figures
        account = account_of(project, version, versions.run_of(db, project.key, version.version), manifest)
        with tempfile.TemporaryDirectory(prefix="ale-mirror-") as folder:
            put_together(Path(folder), settings, db, project, version, manifest)
            for _ in tracker.tell(account, Path(folder)):
                if wanted_elsewhere():
                    return True
        ledger.add(project.key, version.version)
        services.marks.count("mirror:told")
        logger.info("project %s: MLflow has %s", project.key, version.version)
    ledger.note("")
    return True


def _connected(settings: Settings, db: Database) -> Sequence[Project]:
    return projects.every(db, "connected", server=settings.label_studio_url)
