"""Retries, waits, rate, breaker and budget around a real client."""

from __future__ import annotations

import asyncio
import datetime as dt
from email.utils import format_datetime

import pytest

from ale.chat import Capabilities, ChatReply, ChatRequest, Ticket
from ale.errors import BudgetReached, ContentFiltered, TeacherUnavailable
from ale.io.chat.local import LocalLimiter, LocalMeter
from ale.io.chat.polite import PoliteChat
from ale.io.chat.tokens import prompt_tokens
from ale.types import Usage
from ml_backend.standin import Script, StandIn, always, error, hang, on_calls, rate_limit, share
from ml_backend.standin.behaviours import Behaviour
from tests.conftest import wait_until
from tests.integration.chats import (
    FULL_POWER,
    MODEL,
    POLICY,
    PRICE,
    Polite,
    Time,
    openai_chat,
    question,
)

MOST = prompt_tokens(question()) + question().max_tokens
"""Tokens that one call may cost."""


@pytest.mark.parametrize(
    ("behaviour", "seconds"),
    [(rate_limit(2), 2.0), (rate_limit(ms=1500), 1.5), (rate_limit(0), 0.0)],
    ids=["seconds", "milliseconds", "zero"],
)
def test_provider_says_how_long(behaviour: Behaviour, seconds: float) -> None:
    """No attempt comes earlier than the provider wants, and none more than a tenth later."""
    with StandIn(POLICY, script=Script(on_calls([1], behaviour))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER))
        polite.ask()
        assert polite.time.slept == [pytest.approx(1.05 * seconds, abs=0.05 * seconds + 1e-9)]


def test_provider_says_until_when() -> None:
    """A date in Retry-After counts from now."""
    until = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=40), usegmt=True)
    with StandIn(POLICY, script=Script(on_calls([1], rate_limit(date=until)))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER))
        polite.ask()
        assert 20 < polite.time.slept[0] <= 44


def test_a_wish_for_a_long_rest_is_told_instead_of_slept_through() -> None:
    """Beyond a minute the caller hears how long; nothing is sent meanwhile."""
    with StandIn(POLICY, script=Script(always(rate_limit(600)))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER))
        with pytest.raises(TeacherUnavailable) as caught:
            polite.ask()
        assert (caught.value.reason, caught.value.retry_after_s) == ("rate_limited", 600)
        assert (len(standin.calls), polite.time.slept) == (1, [])


def test_everybody_waits_when_the_provider_says_so() -> None:
    """One 429 with Retry-After keeps the others of the same limiter away as well."""
    time = Time()
    limiter = LocalLimiter(clock=time.clock, sleep=time.sleep)
    with StandIn(POLICY, script=Script(on_calls([1], rate_limit(30)))) as standin:
        Polite(openai_chat(standin, known=FULL_POWER), limiter=limiter).ask()
        assert time.slept == [30.0]


def test_storm_of_429_loses_nothing() -> None:
    """With a third of all calls refused, every question is answered, and paid once."""
    texts = [f"text {n}" for n in range(120)]
    with StandIn(POLICY, script=Script(share(0.33, rate_limit()))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER), attempts=12)

        async def all_of_them() -> list[ChatReply]:
            return await asyncio.gather(*(polite.chat.complete(question(text)) for text in texts))

        assert all(reply.content for reply in asyncio.run(all_of_them()))
        assert set(standin.calls.paid_by_text().values()) == {1}
        assert standin.calls.statuses()[429] > 20
        assert (polite.meter.usage, polite.meter.open) == (standin.calls.usage(), 0)


def test_breaker_opens_and_closes_by_itself() -> None:
    """After five failed calls nothing is sent for a minute; then one call tries, and success closes it."""
    with StandIn(POLICY, script=Script(on_calls(range(1, 6), error(500)))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER), attempts=1)
        for _ in range(5):
            with pytest.raises(TeacherUnavailable, match="500"):
                polite.ask()
        with pytest.raises(TeacherUnavailable) as caught:
            polite.ask()
        assert caught.value.reason == "breaker_open"
        assert caught.value.retry_after_s == 60
        assert len(standin.calls) == 5
        polite.time.now += 61
        polite.ask()
        polite.ask()
        assert len(standin.calls) == 7


def test_filtered_questions_do_not_open_the_breaker() -> None:
    """Ten refused questions in a row say nothing against the endpoint."""
    with StandIn(POLICY, script=Script(on_calls(range(1, 11), "content_filter_both"))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER))
        for _ in range(10):
            with pytest.raises(ContentFiltered):
                polite.ask()
        assert polite.ask().content
        assert len(standin.calls) == 11


def test_budget_zero_asks_nothing() -> None:
    """Not even the probe is sent, and an empty purse is no fault of the endpoint: the breaker stays closed."""
    for meter in (LocalMeter(MODEL, PRICE, usd=0.0), LocalMeter(MODEL, None, tokens=0)):
        with StandIn(POLICY) as standin:
            polite = Polite(openai_chat(standin), meter=meter)
            for _ in range(6):
                with pytest.raises(BudgetReached):
                    polite.ask()
            assert len(standin.calls) == 0
            assert polite.time.slept == []


def test_budget_holds_over_concurrent_calls() -> None:
    """With room for three calls at their most, sixteen at once make three; what they left over makes more."""
    with StandIn(POLICY, latency_s=0.05) as standin:
        meter = LocalMeter(MODEL, PRICE, tokens=3 * MOST)
        polite = Polite(openai_chat(standin, known=FULL_POWER), meter=meter)

        async def at_once() -> list[ChatReply | BaseException]:
            calls = [polite.chat.complete(question()) for _ in range(16)]
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = asyncio.run(at_once())
        assert sum(isinstance(o, ChatReply) for o in outcomes) == 3
        assert sum(isinstance(o, BudgetReached) for o in outcomes) == 13
        assert len(standin.calls) == 3
        assert polite.ask().content
        assert meter.tokens == standin.calls.usage().total <= 3 * MOST


def test_each_attempt_is_reserved_by_itself() -> None:
    """A call of unknown fate keeps its reservation: the next attempt needs room of its own."""
    with StandIn(POLICY, script=Script(on_calls([1], "reset_mid_body"))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER), meter=LocalMeter(MODEL, PRICE, tokens=MOST))
        with pytest.raises(BudgetReached):
            polite.ask()
        assert len(standin.calls) == 1
        assert (polite.meter.tokens, polite.meter.open) == (MOST, 0)


def test_reservation_is_never_below_what_a_call_costs() -> None:
    """Bytes bound the prompt's tokens, for any script."""
    with StandIn(POLICY) as standin:
        for text in ("a", "ä" * 200, "\U0001f600" * 50, "漢字" * 100, " " * 300):
            polite = Polite(openai_chat(standin, known=FULL_POWER))
            reply = polite.ask(question(text))
            assert reply.usage.prompt <= prompt_tokens(question(text))


def test_cancelled_call_counts_as_spent() -> None:
    """A call that is cancelled under way may be charged: nothing stays reserved, all of it is spent."""
    with StandIn(POLICY, script=Script(always(hang(30)))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER))

        async def cancel() -> None:
            call = asyncio.create_task(polite.chat.complete(question()))
            await asyncio.to_thread(wait_until, lambda: len(standin.calls) == 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

        asyncio.run(cancel())
        assert (polite.meter.tokens, polite.meter.open) == (MOST, 0)


def test_cancelled_while_reserving_gives_back() -> None:
    """A reservation that is made while its caller is cancelled is released; nothing was sent."""

    class Slow(LocalMeter):
        """A meter over a slow database."""

        def __init__(self) -> None:
            super().__init__(MODEL, PRICE)
            self.asked, self.go_on = asyncio.Event(), asyncio.Event()

        async def reserve(self, prompt: int, completion: int) -> Ticket:
            ticket = await super().reserve(prompt, completion)
            self.asked.set()
            await self.go_on.wait()
            return ticket

    with StandIn(POLICY) as standin:

        async def cancel() -> LocalMeter:
            meter = Slow()
            polite = Polite(openai_chat(standin, known=FULL_POWER), meter=meter)
            call = asyncio.create_task(polite.chat.complete(question()))
            await meter.asked.wait()
            assert meter.open == 1
            call.cancel()
            await asyncio.sleep(0)
            meter.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await call
            return meter

        meter = asyncio.run(cancel())
        assert (meter.open, meter.tokens) == (0, 0)
        assert len(standin.calls) == 0


def test_reply_without_usage_counts_to_the_full() -> None:
    """A server that does not say what a call cost is believed to have used all that was reserved."""

    class Silent:
        """An endpoint that reports no usage."""

        name, guess, known = "silent", FULL_POWER, FULL_POWER

        async def send(self, request: ChatRequest, can: Capabilities) -> ChatReply:
            return ChatReply("{}", usage=Usage())

    meter = LocalMeter(MODEL, PRICE)
    asyncio.run(PoliteChat(Silent(), LocalLimiter(), meter).complete(question()))
    assert (meter.tokens, meter.open) == (MOST, 0)


def test_client_lives_as_long_as_its_loop() -> None:
    """One chat serves one loop after the other, and leaves no client behind."""
    with StandIn(POLICY) as standin:
        chat = openai_chat(standin, known=FULL_POWER)
        for _ in range(3):
            assert asyncio.run(chat.complete(question())).content
            assert chat._clients._held == {}
