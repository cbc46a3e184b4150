"""The one layer that retries, waits its turn and keeps the budget, around any endpoint.

Each attempt takes its own turn at the limiter and its own reservation at the meter, the probe's as well. What
the endpoint gets wrong is a value here (tenacity looks at it and tries again); what limiter and meter refuse is
raised at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from ale.chat import Capabilities, ChatReply, ChatRequest, Limiter, Meter
from ale.errors import BudgetReached, ContentFiltered, TeacherRefused, TeacherUnavailable
from ale.io.chat.faults import LONGEST_WAIT_S, RETRIED, NoRoom, ParameterRefused
from ale.io.chat.probe import Dialect, Endpoint
from ale.io.chat.reservation import Reservation
from ale.io.chat.tokens import estimate, prompt_tokens

logger = logging.getLogger(__name__)

LATE = 0.1
"""After a wait that the provider asked for, callers come back spread over this share of it."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often one question is sent at most, and how long is waited in between.

    `wait` is for when the provider does not say: exponential with full jitter (about 0.5, 1, 2, 4 s at most).
    A provider's wish to be left alone for longer than `longest_wait_s` ends the attempts.
    """

    attempts: int = 5
    wait: wait_base = field(default_factory=lambda: wait_random_exponential(multiplier=0.5, max=20))
    longest_wait_s: float = LONGEST_WAIT_S
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class PoliteChat:
    """A chat that keeps rate and budget and asks again when that may help. `count` estimates tokens."""

    def __init__(
        self,
        chat: Endpoint,
        limiter: Limiter,
        meter: Meter,
        retries: Retries = Retries(),
        count: Callable[[str], int] = estimate,
    ) -> None:
        self.name = chat.name
        self._chat = chat
        self._limiter = limiter
        self._meter = meter
        self._retries = retries
        self._count = count
        self._dialect = Dialect(self._send, chat.guess, chat.known)

    async def capabilities(self) -> Capabilities:
        """Found once and remembered; the probe costs like any call. Raises TeacherUnavailable."""
        try:
            return await self._dialect.capabilities()
        except ParameterRefused as refused:
            await self._limiter.failed(refused.reason, for_good=True)
            raise

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises ContentFiltered, TeacherUnavailable after the last attempt, BudgetReached."""
        try:
            return await self._dialect.complete(request)
        except ParameterRefused as refused:
            # Refused in every way that we know to ask.
            await self._limiter.failed(refused.reason, for_good=True)
            raise

    async def _send(self, request: ChatRequest, can: Capabilities) -> ChatReply:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._retries.attempts),
            wait=self._wait,
            retry=retry_if_result(self._worth_another),
            before_sleep=self._before_sleep,
            retry_error_callback=_last_outcome,
            sleep=self._retries.sleep,
        )
        outcome: ChatReply | TeacherUnavailable = await retrying(self._attempt, request, can)
        if isinstance(outcome, TeacherUnavailable):
            await self._limiter.failed(outcome.reason, for_good=isinstance(outcome, TeacherRefused))
            raise outcome
        return outcome

    async def _attempt(self, request: ChatRequest, can: Capabilities) -> ChatReply | TeacherUnavailable:
        await self._limiter.acquire(prompt_tokens(request, self._count) + request.max_tokens)
        reservation = Reservation(self._meter, prompt_tokens(request), request.max_tokens)
        try:
            async with reservation:
                reply = await self._chat.send(request, can)
                reservation.usage, reservation.model = reply.usage, reply.model
        except (ContentFiltered, NoRoom, ParameterRefused):
            await self._limiter.succeeded()  # the endpoint is alive; it is the question that it refuses
            raise
        except BudgetReached:
            raise
        except TeacherUnavailable as fault:
            return fault
        await self._limiter.succeeded()
        return reply

    def _worth_another(self, outcome: ChatReply | TeacherUnavailable) -> bool:
        if not isinstance(outcome, TeacherUnavailable) or isinstance(outcome, TeacherRefused):
            return False
        return outcome.reason in RETRIED and (outcome.retry_after_s or 0.0) <= self._retries.longest_wait_s

    def _wait(self, state: RetryCallState) -> float:
        fault = _last_outcome(state)
        if fault.retry_after_s is None:
            return self._retries.wait(state)
        return fault.retry_after_s * (1 + random.uniform(0, LATE))

    async def _before_sleep(self, state: RetryCallState) -> None:
        fault = _last_outcome(state)
        logger.info(
            "%s: asking again in %.1f s after attempt %d of %d: %s",
            self.name,
            state.upcoming_sleep,
            state.attempt_number,
            self._retries.attempts,
            fault.reason,
        )
        if fault.retry_after_s is not None:
            await self._limiter.pause(fault.retry_after_s)


def _last_outcome(state: RetryCallState) -> TeacherUnavailable:
    """The fault that an attempt ended with; asked for only where it did."""
    outcome = None if state.outcome is None else state.outcome.result()
    if not isinstance(outcome, TeacherUnavailable):
        raise TypeError(f"an attempt to be repeated ended with {type(outcome).__name__}")
    return outcome
