"""The rate and the breaker that all workers share, on a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import redis

from ale.errors import TeacherRefused, TeacherUnavailable
from ml_backend import limiter as module
from ml_backend.limiter import FAILURES, RedisLimiter, breaker, close_breaker
from ml_backend.marks import connect_redis

ENDPOINT = "openai:a-model"


def limiter(url: str, *, per_minute: float = 6_000_000, tokens: float = 60_000_000) -> RedisLimiter:
    """A limiter that lets nearly everything through, unless told otherwise."""
    return RedisLimiter(url, ENDPOINT, requests_per_minute=per_minute, tokens_per_minute=tokens)


def using(made: RedisLimiter, do: Callable[[RedisLimiter], Awaitable[None]]) -> None:
    """Let `do` work with it in an event loop."""

    async def run() -> None:
        async with made:
            await do(made)

    asyncio.run(run())


async def refused(made: RedisLimiter) -> TeacherUnavailable:
    """The error with which it lets nobody through."""
    with pytest.raises(TeacherUnavailable) as raised:
        await made.acquire(1)
    return raised.value


def test_two_workers_share_one_rate(clean_redis: str) -> None:
    """After the burst of a second, so many go per minute, whoever asks; requests and tokens alike."""

    async def count(first: RedisLimiter, second: RedisLimiter, tokens: int) -> float:
        await first.succeeded()
        start = time.monotonic()
        await asyncio.gather(*(made.acquire(tokens) for made in (first, second) for _ in range(30)))
        return time.monotonic() - start

    async def both(tokens: int, per_minute: float, tokens_per_minute: float) -> float:
        args = {"per_minute": per_minute, "tokens": tokens_per_minute}
        async with limiter(clean_redis, **args) as first, limiter(clean_redis, **args) as second:
            return await count(first, second, tokens)

    # 60 at 50 a second: 50 at once, the rest in a fifth of a second; nobody may be let through earlier. A slot
    # that was waited for is not waited for twice: that would take seconds.
    assert 0.19 <= asyncio.run(both(1, 3000, 1e9)) < 2
    redis.Redis.from_url(clean_redis).flushall()
    assert 0.19 <= asyncio.run(both(100, 1e9, 100 * 3000)) < 2


def test_a_slot_is_waited_for_once(clean_redis: str) -> None:
    """While one sleeps until its slot, others take the slots behind it; that must not put it back."""

    async def do(made: RedisLimiter) -> None:
        await made.succeeded()
        for _ in range(3):
            await made.acquire(1)
        first = asyncio.create_task(made.acquire(1))
        _, sleeping = await asyncio.wait([first], timeout=0.05)
        assert sleeping
        behind = [asyncio.create_task(made.acquire(1)) for _ in range(4)]
        await asyncio.wait([first, *behind], return_when=asyncio.FIRST_COMPLETED)
        assert first.done()
        for task in behind:
            task.cancel()

    using(limiter(clean_redis, per_minute=120), do)


def test_when_it_is_over_nobody_is_let_through(clean_redis: str) -> None:
    """Also those who wait already; the error says that nothing is wrong."""
    over = []

    async def do(made: RedisLimiter) -> None:
        await made.acquire(1)
        waiting = asyncio.create_task(made.acquire(1))  # a minute away
        over.append(True)
        with pytest.raises(TeacherUnavailable) as raised:
            await waiting
        assert raised.value.reason == module.OVER

    made = RedisLimiter(
        clean_redis, ENDPOINT, requests_per_minute=1, tokens_per_minute=1e9, over=lambda: bool(over)
    )
    using(made, do)


def test_a_long_wait_is_told_instead_of_slept(clean_redis: str) -> None:
    """A provider that asks for ten minutes gets them; the worker does something else meanwhile."""

    async def do(made: RedisLimiter) -> None:
        await made.pause(600)
        await made.pause(1)  # a shorter one does not shorten it
        error = await refused(made)
        assert error.reason == "rate_limited"
        assert error.retry_after_s is not None
        assert 590 < error.retry_after_s <= 600

    using(limiter(clean_redis), do)


def test_a_pause_holds_also_those_who_were_let_through_to_wait(clean_redis: str) -> None:
    """Who sleeps until its slot looks again before it goes."""

    async def do(made: RedisLimiter) -> None:
        await made.succeeded()
        for _ in range(5):
            await made.acquire(1)
        late = asyncio.create_task(made.acquire(1))
        _, sleeping = await asyncio.wait([late], timeout=0.05)
        assert sleeping
        await made.pause(600)
        with pytest.raises(TeacherUnavailable):
            await late

    using(limiter(clean_redis, per_minute=240), do)


def test_one_goes_first_until_the_endpoint_has_answered(clean_redis: str) -> None:
    """Sixteen want to ask an endpoint that nobody has heard of lately: one goes, the others wait for it."""

    async def do(made: RedisLimiter) -> None:
        waiting = [asyncio.create_task(made.acquire(1)) for _ in range(16)]
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        more, pending = await asyncio.wait(pending, timeout=4 * module.TRIAL_POLL_S)
        assert (len(done), len(more)) == (1, 0)
        await made.succeeded()
        await asyncio.gather(*pending)

    using(limiter(clean_redis), do)


def test_who_goes_first_may_try_again(clean_redis: str) -> None:
    """A retry of the first call does not wait for itself."""

    async def do(made: RedisLimiter) -> None:
        for _ in range(3):
            await made.acquire(1)

    using(limiter(clean_redis), do)


def test_who_goes_first_and_leaves_lets_the_next_one_go(clean_redis: str) -> None:
    """A caller whose budget had no room never asked; the next worker does not wait for an outcome."""
    connection = connect_redis(clean_redis)
    for _ in range(2):
        using(limiter(clean_redis), lambda made: made.acquire(1))
        assert list(connection.scan_iter("ale:llm:*:trial")) == []

    async def do(made: RedisLimiter) -> None:
        await made.acquire(1)
        async with limiter(clean_redis):
            pass  # somebody else's leaving changes nothing
        assert len(list(connection.scan_iter("ale:llm:*:trial"))) == 1

    using(limiter(clean_redis), do)
    connection.close()


def test_a_refusal_opens_the_breaker_for_all_at_once(clean_redis: str) -> None:
    """The fifteen that waited for the first call send nothing; the reason can be read from outside."""
    connection = connect_redis(clean_redis)

    async def do(made: RedisLimiter) -> None:
        waiting = [asyncio.create_task(made.acquire(1)) for _ in range(16)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await made.failed("insufficient_quota", for_good=True)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        errors = [result for result in results if result is not None]
        assert len(errors) == 15
        assert all(isinstance(error, TeacherRefused) for error in errors)
        assert (await refused(made)).reason == "insufficient_quota"

    using(limiter(clean_redis), do)
    found = breaker(connection, ENDPOINT)
    assert found is not None
    assert (found.reason, found.for_good) == ("insufficient_quota", True)
    assert breaker(connection, "another endpoint") is None
    close_breaker(connection, ENDPOINT)
    assert breaker(connection, ENDPOINT) is None
    using(limiter(clean_redis), lambda made: made.acquire(1))
    connection.close()


def test_failures_in_a_row_open_the_breaker_and_a_success_between_does_not(clean_redis: str) -> None:
    """The count is of failures in a row; each further one doubles the time of rest."""
    connection = connect_redis(clean_redis)

    async def do(made: RedisLimiter) -> None:
        for _ in range(3):
            for _ in range(FAILURES - 1):
                await made.failed("timeout", for_good=False)
            await made.succeeded()
        await made.acquire(1)
        for _ in range(FAILURES):
            await made.failed("timeout", for_good=False)
        error = await refused(made)
        assert (error.reason, isinstance(error, TeacherRefused)) == ("breaker_open", False)
        first = breaker(connection, ENDPOINT)
        await made.failed("timeout", for_good=False)
        second = breaker(connection, ENDPOINT)
        assert first is not None
        assert second is not None
        assert 1.8 < second.seconds / first.seconds < 2.2

    using(limiter(clean_redis), do)
    connection.close()


def test_without_redis_nothing_is_sent() -> None:
    """No limit is no licence."""

    async def do(made: RedisLimiter) -> None:
        assert (await refused(made)).reason == "limiter_unreachable"

    using(limiter("redis://127.0.0.1:1/0"), do)
