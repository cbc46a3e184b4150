"""The models that the endpoint has: some from the start, others once they are fine-tuned or deployed."""

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
    """A set of names that any thread may read and add to. On Azure they are names of deployments."""

    def __init__(self, names: Iterable[str] = DEFAULT_MODELS) -> None:
        self._lock = threading.Lock()
        self._names = dict.fromkeys(names)

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return name in self._names

    def add(self, name: str) -> None:
        """From now on this model answers."""
        with self._lock:
            self._names[name] = None

    def names(self) -> list[str]:
        """All names."""
        with self._lock:
            return list(self._names)


def model_object(name: str) -> dict[str, Any]:
    """A model as `/models` lists it."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "stand-in"}
