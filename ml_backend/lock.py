"""Single flight: a lock in Redis that lives as long as its holder gives signs of life."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError, RedisError

logger = logging.getLogger(__name__)

TTL_S = 15.0
BEATS = 4  # signs of life within that time


@contextmanager
def single_flight(
    connection: redis.Redis, project: str, what: str = "learn", ttl_s: float = TTL_S
) -> Iterator[bool]:
    """Yields whether this process got the project for `what`. A killed holder loses it after `ttl_s` seconds.

    The lock only saves work. What keeps two runs from mixing is the fence: the older one discards itself.
    """
    lock = connection.lock(f"ale:lock:{what}:{project}", timeout=ttl_s, blocking=False, thread_local=False)
    if not lock.acquire():
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, stop, ttl_s), daemon=True, name="lock-heartbeat")
    beat.start()
    try:
        yield True
    finally:
        stop.set()
        beat.join()
        with suppress(LockError, RedisError):  # expired or flushed: somebody else may hold it by now
            lock.release()


def _beat(lock: redis.lock.Lock, stop: threading.Event, ttl_s: float) -> None:
    while not stop.wait(ttl_s / BEATS):
        try:
            lock.extend(ttl_s, replace_ttl=True)
        except LockError:
            logger.warning("the lock was lost; the fence decides whether a learn run counts")
            return
        except RedisError as error:
            logger.warning("the lock could not be renewed: %s", type(error).__name__)
