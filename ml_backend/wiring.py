"""From settings to the objects that a process works with; the only place that opens connections."""

from __future__ import annotations

from dataclasses import dataclass

from ml_backend.beliefs import BeliefsReader
from ml_backend.marks import Marks, connect_redis
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings
from ml_backend.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """What requests and jobs need: the settings, the database, the marks in Redis, published beliefs."""

    settings: Settings
    db: Database
    marks: Marks
    beliefs: BeliefsReader


def build_services(settings: Settings, *, redis_timeout_s: float = 5.0) -> Services:
    """Open the database and name the Redis; Redis is first spoken to when it is first needed."""
    connection = connect_redis(resolve_redis_url(settings), timeout_s=redis_timeout_s)
    return Services(
        settings=settings,
        db=Database(settings.database),
        marks=Marks(connection, debounce_s=settings.debounce_s, max_wait_s=settings.max_wait_s),
        beliefs=BeliefsReader(settings.checkpoints),
    )
