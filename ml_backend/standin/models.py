"""The models that the endpoint has: some from the start, others once they are fine-tuned and deployed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

DEFAULT_MODELS = (
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5-mini",
    "gpt-5-nano",
    "o4-mini",
    "stand-in",
)


class Models:
    """Names that answer, each with the model behind it; on Azure a name is a deployment's. Any thread may ask."""

    def __init__(self, names: Iterable[str] = DEFAULT_MODELS) -> None:
        self._lock = threading.Lock()
        self._behind = {name: name for name in names}
        self._waiting: set[str] = set()

    def __contains__(self, name: object) -> bool:
        """Whether that name answers chat requests."""
        with self._lock:
            return name in self._behind

    def add_tuned(self, model: str, *, deployed: bool) -> None:
        """A fine-tuned model is there; it answers now, or once it is deployed."""
        with self._lock:
            if deployed:
                self._behind[model] = model
            else:
                self._waiting.add(model)

    def exists(self, model: str) -> bool:
        """Whether there is such a model to deploy."""
        with self._lock:
            return model in self._waiting or model in self._behind.values()

    def deploy(self, name: str, model: str) -> None:
        """From now on that name answers, with that model."""
        with self._lock:
            self._behind[name] = model

    def behind(self, name: str) -> str | None:
        """The model that answers under a name, or None."""
        with self._lock:
            return self._behind.get(name)

    def names(self) -> list[str]:
        """All names that answer."""
        with self._lock:
            return list(self._behind)


def model_object(name: str) -> dict[str, Any]:
    """A model as `/models` lists it."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "stand-in"}
