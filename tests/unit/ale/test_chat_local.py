"""The rate, the breaker and the budget of one process, by a clock of the test's own."""

from __future__ import annotations

import asyncio

import pytest

from ale.errors import BudgetReached, ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat.local import LocalLimiter, LocalMeter
from ale.io.chat.prices import Price
from ale.types import Usage

PRICE = Price(input=2.0, cached=1.0, output=8.0)


class Time:
    """A clock that goes on only while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Returns at once, that much later."""
        self.now += seconds


def limiter(time: Time, rpm: float | None = None, tpm: float | None = None) -> LocalLimiter:
    """A limiter that lives by that clock."""
    return LocalLimiter(rpm, tpm, failures=3, open_s=60, clock=time.clock, sleep=time.sleep)


def let_through(rate: LocalLimiter, time: Time, calls: int, tokens: int = 0) -> list[float]:
    """When each of so many calls, one after the other, was let through, counted from the start."""
    start, at = time.now, []
    for _ in range(calls):
        asyncio.run(rate.acquire(tokens))
        at.append(round(time.now - start, 6))
    return at


def test_requests_keep_their_rate_over_event_loops() -> None:
    """120 per minute: two at once, then one each half second, though each runs in a loop of its own."""
    time = Time()
    assert let_through(limiter(time, rpm=120), time, 6) == [0, 0, 0.5, 1.0, 1.5, 2.0]


def test_tokens_keep_their_rate() -> None:
    """600 tokens per minute are ten per second: calls of 40 tokens come every four seconds."""
    time = Time()
    assert let_through(limiter(time, tpm=600), time, 4, tokens=40) == [3, 7, 11, 15]


def test_the_tighter_limit_holds() -> None:
    """With both limits the slower one sets the pace."""
    time = Time()
    assert let_through(limiter(time, rpm=6000, tpm=600), time, 3, tokens=10) == [0, 1, 2]


def test_idle_time_is_not_saved_up() -> None:
    """After an hour's rest no more than one second's worth goes out at once."""
    time = Time()
    rate = limiter(time, rpm=120)
    let_through(rate, time, 2)
    time.now += 3600
    assert let_through(rate, time, 4) == [0, 0, 0.5, 1.0]


def test_without_limits_nobody_waits() -> None:
    """No limit, no wait."""
    time = Time()
    assert let_through(limiter(time), time, 3, tokens=10**6) == [0, 0, 0]


def test_pause_holds_for_all_and_the_longer_one_wins() -> None:
    """A shorter pause does not shorten a longer one."""
    time = Time()
    rate = limiter(time)
    asyncio.run(rate.pause(10))
    asyncio.run(rate.pause(5))
    assert let_through(rate, time, 2) == [10, 10]


def test_pause_that_comes_while_waiting_is_kept() -> None:
    """A caller who is told to pause while he waits for his slot goes when the pause is over."""
    time = Time()

    async def sleep(seconds: float) -> None:
        time.now += seconds
        if time.now < 110:
            await rate.pause(20)

    rate = LocalLimiter(60, clock=time.clock, sleep=sleep)
    asyncio.run(rate.acquire(0))
    asyncio.run(rate.acquire(0))
    assert time.now == 121


def test_breaker_counts_failures_in_a_row() -> None:
    """Two failures, a success, two failures: closed. A third: open for a minute."""
    time = Time()
    rate = limiter(time)
    for outcome in (0, 0, 1, 0, 0):
        asyncio.run(rate.succeeded() if outcome else rate.failed("timeout", for_good=False))
    asyncio.run(rate.acquire(0))
    asyncio.run(rate.failed("timeout", for_good=False))
    with pytest.raises(TeacherUnavailable) as caught:
        asyncio.run(rate.acquire(0))
    assert (caught.value.reason, caught.value.retry_after_s) == ("breaker_open", 60)


def test_one_call_tries_after_the_breaker() -> None:
    """When the minute is over one call goes and the next is still kept away; its success lets all through."""
    time = Time()
    rate = limiter(time)
    for _ in range(3):
        asyncio.run(rate.failed("timeout", for_good=False))
    time.now += 60
    asyncio.run(rate.acquire(0))
    with pytest.raises(TeacherUnavailable):
        asyncio.run(rate.acquire(0))
    asyncio.run(rate.succeeded())
    assert let_through(rate, time, 5) == [0] * 5


def test_refused_for_good_stays_so() -> None:
    """One refusal is enough, a late success of another call does not undo it, and the reason is kept."""
    time = Time()
    rate = limiter(time)
    asyncio.run(rate.failed("insufficient_quota", for_good=True))
    asyncio.run(rate.succeeded())
    time.now += 10**6
    with pytest.raises(TeacherRefused) as caught:
        asyncio.run(rate.acquire(0))
    assert caught.value.reason == "insufficient_quota"


def test_meter_adds_up() -> None:
    """Settled at the true cost, released at nothing, lost at the most."""
    meter = LocalMeter("m", PRICE)

    async def calls() -> None:
        settled, released, lost = [await meter.reserve(1000, 100) for _ in range(3)]
        assert settled.tokens == 1100
        assert settled.usd == pytest.approx(0.0028)
        await meter.settle(settled, Usage(prompt=500, cached=200, completion=10))
        await meter.release(released)
        await meter.lost(lost)

    asyncio.run(calls())
    assert meter.usage == Usage(500, 200, 10)
    assert meter.tokens == 510 + 1100
    assert meter.usd == pytest.approx((300 * 2 + 200 * 1 + 10 * 8) / 1e6 + 0.0028)
    assert meter.open == 0


def test_meter_refuses_what_does_not_fit() -> None:
    """What is reserved counts as well as what is spent; room that is given back can be used."""
    meter = LocalMeter("m", PRICE, usd=0.005)

    async def calls() -> None:
        first = await meter.reserve(1000, 100)
        with pytest.raises(BudgetReached, match=r"0\.005 USD"):
            await meter.reserve(1000, 100)
        await meter.release(first)
        await meter.reserve(1000, 100)

    asyncio.run(calls())


def test_usd_budget_needs_a_price() -> None:
    """A model of unknown price is refused under a budget in USD, and taken under one in tokens."""
    with pytest.raises(ConfigurationError, match="price"):
        LocalMeter("m", None, usd=1.0)
    assert asyncio.run(LocalMeter("m", None, tokens=100).reserve(60, 40)).usd == 0
