"""Why the last tuning of a project failed, kept in Redis for a day: for `ale status`, and so that it is not tried
again and again on the same labels.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import redis

from ml_backend.tuning.due import Need, enough

KEEP_S = 86_400
LOCK = "tune"
"""Name of the lock that is held while a project's encoder is tuned."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A tuning on so many labels, within so many seconds, that came to nothing."""

    labels: int
    seconds: float
    problem: str
    at: str

    def blocks(self, wanted: Need, seconds: float) -> bool:
        """Whether another try would be the same one."""
        return (
            wanted.what == "tune"
            and seconds <= self.seconds
            and abs(wanted.labels - self.labels) < enough(self.labels)
        )


def note_failure(connection: redis.Redis, project: str, labels: int, seconds: float, problem: str) -> None:
    """Keep it for all workers."""
    failed = Failed(labels, seconds, problem, datetime.now(UTC).isoformat(timespec="seconds"))
    connection.set(_key(project), json.dumps(asdict(failed)), ex=KEEP_S)


def forget_failure(connection: redis.Redis, project: str) -> None:
    """A tuning came to its end."""
    connection.delete(_key(project))


def last_failure(connection: redis.Redis, project: str) -> Failed | None:
    """The last tuning's, None when it did not fail."""
    said = connection.get(_key(project))
    try:
        return Failed(**json.loads(said)) if isinstance(said, bytes) else None
    except (TypeError, ValueError):
        return None  # written by another version


def is_tuning(connection: redis.Redis, project: str) -> bool:
    """Whether a worker tunes the project's encoder just now."""
    return bool(connection.exists(f"ale:lock:{LOCK}:{project}"))


def _key(project: str) -> str:
    return f"ale:tuning:failed:{project}"
