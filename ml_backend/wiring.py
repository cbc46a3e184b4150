"""From settings to the objects that a process works with; the only place that opens connections."""

from __future__ import annotations

from dataclasses import dataclass

from ale.errors import ConfigurationError
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


_NOWHERE = "redis://127.0.0.1:1/0"
"""Nothing listens there: every call fails at once with a redis.ConnectionError, as when Redis is down."""


def build_services(
    settings: Settings, *, redis_timeout_s: float = 5.0, redis_needed: bool = True
) -> Services:
    """Open the database and name the Redis, which is first spoken to when it is first needed.

    Raises ConfigurationError when there is no Redis to name, unless none is needed.
    """
    try:
        url = resolve_redis_url(settings)
    except ConfigurationError:
        if redis_needed:
            raise
        url = _NOWHERE
    connection = connect_redis(url, timeout_s=redis_timeout_s)
    return Services(
        settings=settings,
        db=Database(settings.database),
        marks=Marks(connection, debounce_s=settings.debounce_s, max_wait_s=settings.max_wait_s),
        beliefs=BeliefsReader(settings.checkpoints),
    )
