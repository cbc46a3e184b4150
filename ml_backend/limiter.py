"""One rate for all workers, kept in Redis: requests and tokens per minute, pauses, and a circuit breaker.

The rate is a virtual schedule (the generic cell rate algorithm of ITU-T I.371, 1993): a caller takes the next
slot and sleeps until it comes. A slot that is far away is not taken yet: whoever stops working would waste it.
Redis's clock counts, not ours.

The breaker closes after silence only for one caller: after a time without any success the first call goes
alone, and the others wait for its outcome. A key without quota so costs one call, whatever the concurrency.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from ale.errors import TeacherRefused, TeacherUnavailable

FAILURES = 5
"""This many failed calls in a row open the breaker; a call fails after its retries."""
COOL_S, COOL_MOST_S = 30.0, 600.0
"""How long it stays open: doubled by each failure that follows, and the longest when a person must act."""
PROVEN_S = 60.0
"""After this long without a success one caller goes first, alone."""
TRIAL_S = 15.0
"""How long the others wait for its outcome before the next one tries."""
TRIAL_POLL_S = 0.05
LOOK_S = 1.0
"""Sleepers wake at least this often, to see whether it is over."""
OVER = "over"
"""The reason of an error that is none: the caller's own time is up."""
BURST_S = 1.0
"""What was not used of the last second may be used now."""
NEAR_S = 1.0
"""A slot within this time is taken; for one further away a caller looks again later."""
LONGEST_PAUSE_S = 60.0
"""When the provider wants a longer pause, callers are told so instead of sleeping."""

# KEYS: rate, open, paused, proven, trial.
# ARGV: microseconds per request (0: the slot was taken before), microseconds for the tokens, burst, near, longest pause, trial in ms, caller.
# Returns {what, microseconds}: go (after that wait) · later (ask again then) · trial (ask again) · open · paused.
_ACQUIRE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local open = redis.call('PTTL', KEYS[2])
if open > 0 then return {'open', open * 1000} end
local paused = math.max(0, redis.call('PTTL', KEYS[3])) * 1000
if paused > tonumber(ARGV[5]) then return {'paused', paused} end
if redis.call('EXISTS', KEYS[4]) == 0 and not redis.call('SET', KEYS[5], ARGV[7], 'PX', ARGV[6], 'NX')
   and redis.call('GET', KEYS[5]) ~= ARGV[7] then
  return {'trial', 0}
end
if tonumber(ARGV[1]) == 0 then
  if paused > 0 then return {'later', paused} end
  return {'go', 0}
end
local rate = redis.call('HMGET', KEYS[1], 'requests', 'tokens')
local requests = math.max(tonumber(rate[1]) or 0, now)
local tokens = math.max(tonumber(rate[2]) or 0, now)
local wait = math.max(math.max(requests, tokens) - tonumber(ARGV[3]) - now, paused)
if wait > tonumber(ARGV[4]) then return {'later', math.floor(wait - tonumber(ARGV[4]))} end
redis.call('HSET', KEYS[1], 'requests', string.format('%.0f', requests + tonumber(ARGV[1])),
           'tokens', string.format('%.0f', tokens + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], 600000)
return {'go', math.floor(wait)}
"""

# KEYS: paused. ARGV: milliseconds. A longer pause that is there already stays.
_PAUSE = (
    "if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) end"
)

# KEYS: failures, open, proven, trial. ARGV: limit, cool, longest, for good (1 or 0), what to say.
_FAILED = """
local count = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[3])
redis.call('DEL', KEYS[4])
local over = count - tonumber(ARGV[1])
if ARGV[4] == '1' then
  redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[3])
elseif over >= 0 then
  redis.call('SET', KEYS[2], ARGV[5], 'PX', math.min(tonumber(ARGV[3]), tonumber(ARGV[2]) * 2 ^ math.min(over, 16)))
else
  return 0
end
redis.call('DEL', KEYS[3])
return 1
"""

# KEYS: trial. ARGV: what the names of our callers begin with.
_LEAVE = """
local caller = redis.call('GET', KEYS[1])
if caller and string.sub(caller, 1, #ARGV[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Why nobody asks just now, and for how long yet."""

    reason: str
    for_good: bool
    seconds: float


class RedisLimiter:
    """`ale.chat.Limiter` for one endpoint, model and key, shared by all processes on one Redis.

    Once `over` says so, nobody is let through any more. Belongs to the event loop in which it is first used;
    an `async with` block closes its connections.
    """

    def __init__(
        self,
        url: str,
        endpoint: str,
        *,
        requests_per_minute: float,
        tokens_per_minute: float,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._redis = AsyncRedis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        self._keys = _keys(endpoint)
        self._name = uuid.uuid4().hex
        self._over = over
        self._per_request = 60e6 / requests_per_minute
        self._per_token = 60e6 / tokens_per_minute
        self._acquire = self._redis.register_script(_ACQUIRE)
        self._pause = self._redis.register_script(_PAUSE)
        self._failed = self._redis.register_script(_FAILED)
        self._leave = self._redis.register_script(_LEAVE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Who was let through alone, and did not ask after all, must not let the others wait.
        with suppress(RedisError):
            await self._leave(keys=[self._keys.trial], args=[f"{self._name}:"])
        await self._redis.aclose()

    async def acquire(self, tokens: int) -> None:
        """Return when one request of about that many tokens may be sent.

        Raises TeacherUnavailable (TeacherRefused where a person must act) while the breaker is open, when the
        provider wants a long pause, when it is `over`, and when Redis does not answer.
        """
        caller = f"{self._name}:{id(asyncio.current_task())}"
        cost = (self._per_request, tokens * self._per_token)
        while True:
            if self._over():
                raise TeacherUnavailable("enough was asked for now", reason=OVER)
            what, wait_s = await self._ask(caller, *cost)
            if what == "open":
                raise await self._opened(wait_s)
            if what == "paused":
                raise TeacherUnavailable(
                    f"the provider wants to be left alone for another {wait_s:.0f} s",
                    reason="rate_limited",
                    retry_after_s=wait_s,
                )
            if what == "go" and wait_s <= 0:
                return
            if what == "go":
                cost = (0.0, 0.0)  # the slot is ours; but somebody may be told to pause while we sleep
            await asyncio.sleep(TRIAL_POLL_S if what == "trial" else min(wait_s, LOOK_S))

    async def pause(self, seconds: float) -> None:
        """Nobody sends anything for so long, counted from now."""
        await self._run(self._pause, [self._keys.paused], [max(1, int(seconds * 1000))])

    async def failed(self, reason: str, *, for_good: bool) -> None:
        """Count a failed call; `FAILURES` in a row, or one `for_good`, open the breaker."""
        k = self._keys
        said = json.dumps({"reason": reason, "for_good": for_good})
        args = [FAILURES, int(COOL_S * 1000), int(COOL_MOST_S * 1000), int(for_good), said]
        await self._run(self._failed, [k.failures, k.open, k.proven, k.trial], args)

    async def succeeded(self) -> None:
        """The endpoint answers: the count starts again, and all may go."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(self._keys.proven, 1, px=int(PROVEN_S * 1000))
                pipe.delete(self._keys.failures, self._keys.trial)
                await pipe.execute()
        except RedisError as error:
            raise _unreachable(error) from error

    async def _ask(self, caller: str, request_us: float, tokens_us: float) -> tuple[str, float]:
        k = self._keys
        keys = [k.rate, k.open, k.paused, k.proven, k.trial]
        times = [BURST_S * 1e6, NEAR_S * 1e6, LONGEST_PAUSE_S * 1e6, int(TRIAL_S * 1000)]
        args = [request_us, tokens_us, *times, caller]
        what, wait = await self._run(self._acquire, keys, args)
        return what.decode(), int(wait) / 1e6

    async def _opened(self, seconds: float) -> TeacherUnavailable:
        try:
            said = await self._redis.get(self._keys.open)
        except RedisError as error:
            raise _unreachable(error) from error
        found = _read(said, seconds)
        if found.for_good:
            return TeacherRefused(
                f"the endpoint refused ({found.reason}); the next try is in {seconds:.0f} s, or with another key",
                reason=found.reason,
                retry_after_s=seconds,
            )
        return TeacherUnavailable(
            f"the endpoint failed {FAILURES} times in a row, at last with {found.reason}; "
            f"the next try is in {seconds:.0f} s",
            reason="breaker_open",
            retry_after_s=seconds,
        )

    async def _run(self, script: Any, keys: list[str], args: list[Any]) -> Any:
        try:
            return await script(keys=keys, args=args)
        except RedisError as error:
            raise _unreachable(error) from error


def breaker(connection: redis.Redis, endpoint: str) -> Breaker | None:
    """The open breaker of that endpoint; None when it is closed. Raises RedisError."""
    key = _keys(endpoint).open
    said, left_ms = connection.get(key), connection.pttl(key)
    return _read(said, int(str(left_ms)) / 1000) if isinstance(said, bytes) else None


def close_breaker(connection: redis.Redis, endpoint: str) -> None:
    """Let the next caller try at once: a person has changed something. Raises RedisError."""
    keys = _keys(endpoint)
    connection.delete(keys.open, keys.failures, keys.trial, keys.paused)


class _Keys(NamedTuple):
    rate: str
    open: str
    paused: str
    proven: str
    trial: str
    failures: str


def _keys(endpoint: str) -> _Keys:
    digest = hashlib.sha256(endpoint.encode()).hexdigest()[:16]
    return _Keys(*(f"ale:llm:{digest}:{name}" for name in _Keys._fields))


def _read(said: bytes | str | None, seconds: float) -> Breaker:
    values = json.loads(said) if said else {"reason": "unknown", "for_good": False}
    return Breaker(str(values["reason"]), bool(values["for_good"]), seconds)


def _unreachable(error: RedisError) -> TeacherUnavailable:
    return TeacherUnavailable(
        f"Redis, which keeps the rate limit, does not answer ({type(error).__name__}): nothing is sent without it",
        reason="limiter_unreachable",
    )
