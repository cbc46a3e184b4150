"""Which projects changed, and when their next learn run is due. Lives in Redis; may vanish (reconcile repairs).

A mark is level-triggered: it says *that* a project changed, never *what*. A burst of marks moves one due
time along (debounce), but never past the first mark plus the maximum wait, so that a steady stream of
annotations cannot starve training.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

import redis

DUE = "ale:due"
FIRST = "ale:first-mark"
PAYLOAD = "ale:marks"
COUNTS = "ale:counts"

# KEYS: due, first, marks. ARGV: project, now, debounce, max wait. Returns the due time.
_MARK = """
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
local first = tonumber(redis.call('HGET', KEYS[2], ARGV[1]))
local now, debounce, wait = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local due = math.min(first + wait, now + debounce)
if due < now then due = now end
redis.call('ZADD', KEYS[1], tostring(due), ARGV[1])
redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
return tostring(due)
"""

# KEYS: due, first. ARGV: project, the number of marks that the taker saw is in ARGV[2]; KEYS[3] = marks.
# A mark that came after the taker looked stays due.
_DONE = """
if redis.call('HGET', KEYS[3], ARGV[1]) == ARGV[2] then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return 1
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A project whose learn run is due; `marks` counts its changes so far."""

    project: str
    marks: int


class Marks:
    """The marks of all projects. Every method may raise redis.RedisError; callers decide what that means."""

    def __init__(self, connection: redis.Redis, *, debounce_s: float, max_wait_s: float) -> None:
        self.connection = self._redis = connection
        self._debounce, self._wait = debounce_s, max_wait_s
        self._mark = connection.register_script(_MARK)
        self._done = connection.register_script(_DONE)

    def mark(self, project: str, *, at_once: bool = False) -> None:
        """Say that `project` changed; its learn run becomes due after the debounce, or now."""
        wait = 0.0 if at_once else self._wait
        debounce = 0.0 if at_once else self._debounce
        self._mark(keys=[DUE, FIRST, PAYLOAD], args=[project, repr(time.time()), debounce, wait])

    def due(self) -> list[Due]:
        """The projects whose time has come, longest-waiting first."""
        projects = [_text(p) for p in cast(list[bytes], self._redis.zrangebyscore(DUE, "-inf", time.time()))]
        if not projects:
            return []
        marks = self._redis.hmget(PAYLOAD, projects)
        return [Due(p, int(m or 0)) for p, m in zip(projects, marks, strict=True)]

    def done(self, due: Due) -> None:
        """Forget the mark, unless another one came since `due` was read."""
        self._done(keys=[DUE, FIRST, PAYLOAD], args=[due.project, due.marks])

    def pending(self) -> dict[str, float]:
        """Seconds until due, by project; negative when overdue."""
        now = time.time()
        due = cast(list[tuple[bytes, float]], self._redis.zrange(DUE, 0, -1, withscores=True))
        return {_text(project): float(at) - now for project, at in due}

    def forget(self, project: str) -> None:
        """Remove all marks of a project that was disconnected; its count goes on, since job ids hold it."""
        pipe = self._redis.pipeline()
        pipe.zrem(DUE, project)
        pipe.hdel(FIRST, project)
        pipe.execute()

    def count(self, what: str, by: int = 1) -> None:
        """Count an event, e.g. `webhook:accepted`; shown by /metrics and `ale status`."""
        self._redis.hincrby(COUNTS, what, by)

    def counts(self) -> dict[str, int]:
        """All event counts."""
        return {_text(k): int(v) for k, v in self._redis.hgetall(COUNTS).items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def connect_redis(url: str, *, timeout_s: float = 5.0) -> redis.Redis:
    """A client whose every call ends within `timeout_s`; connects at the first call, not here."""
    return redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, health_check_interval=15
    )
