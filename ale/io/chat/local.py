"""Rate, breaker and budget of one process: for the library and for benchmarks. Workers share others.

Clock and sleep are arguments. Nothing here belongs to an event loop: synchronous callers run a new one at each
call, and the rate must hold over all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Awaitable, Callable

from ale.chat import Ticket
from ale.errors import BudgetReached, ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat.prices import Price, Tariff
from ale.types import Usage

BURST_S = 1.0
"""A bucket holds what flows in within this time: so much may go out at once after a pause."""


class Bucket:
    """A token bucket, kept as the time at which it will have filled up for all that was taken.

    Who comes first is served first, also when he wants more than the bucket holds.
    """

    def __init__(self, per_minute: float) -> None:
        self._per_s = per_minute / 60.0
        self._due = float("-inf")

    def take(self, amount: float, now: float) -> float:
        """Take `amount` and return how many seconds to wait before using it."""
        self._due = max(self._due, now - BURST_S) + amount / self._per_s
        return max(0.0, self._due - now)


class LocalLimiter:
    """Implements `ale.chat.Limiter`. None as a rate means no limit.

    `failures` calls in a row that failed open the breaker for `open_s` seconds; then one call is let through
    every `open_s` seconds until one succeeds. A refusal for good opens it for the life of this object.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        failures: int = 5,
        open_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._requests = None if requests_per_minute is None else Bucket(requests_per_minute)
        self._tokens = None if tokens_per_minute is None else Bucket(tokens_per_minute)
        self._failures = failures
        self._open_s = open_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._paused_until = float("-inf")
        self._open_until = float("-inf")
        self._refused = ""

    async def acquire(self, tokens: int) -> None:
        """Return when one request of about that many tokens may be sent. Raises TeacherUnavailable when open."""
        wait = self._take(tokens)
        while wait > 0:
            await self._sleep(wait)
            # While we slept the provider may have asked for more, or another call may have opened the breaker.
            self._look()
            wait = self._paused_until - self._clock()

    async def pause(self, seconds: float) -> None:
        """Nobody is let through for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def failed(self, reason: str, *, for_good: bool) -> None:
        """Counts; opens the breaker at the limit, or for good."""
        with self._lock:
            self._in_a_row += 1
            if for_good:
                self._refused = reason
            if self._in_a_row >= self._failures:
                self._open_until = self._clock() + self._open_s

    async def succeeded(self) -> None:
        """Closes the breaker; not one that is open for good."""
        with self._lock:
            self._in_a_row = 0
            self._open_until = float("-inf")

    def _take(self, tokens: int) -> float:
        """Seconds to wait for a turn, which is taken."""
        self._look()
        with self._lock:
            now = self._clock()
            if self._in_a_row >= self._failures:
                # This call is the trial; the next waits for its outcome.
                self._open_until = now + self._open_s
            waits = [self._paused_until - now]
            waits += [] if self._requests is None else [self._requests.take(1, now)]
            waits += [] if self._tokens is None else [self._tokens.take(tokens, now)]
            return max(waits)

    def _look(self) -> None:
        with self._lock:
            refused, left = self._refused, self._open_until - self._clock()
        if refused:
            raise TeacherRefused(
                f"the endpoint has refused before ({refused}); nothing more is asked before that is settled",
                reason=refused,
            )
        if left > 0:
            raise TeacherUnavailable(
                f"{self._failures} calls in a row have failed; the next is tried in {left:.0f} s",
                reason="breaker_open",
                retry_after_s=left,
            )


class LocalMeter:
    """Implements `ale.chat.Meter`. None as a limit means no limit; 0 means that nothing may be asked.

    With a `tariff`, it is looked at who answers. Raises ConfigurationError when a USD limit is set for a model of unknown price: it could not be kept.
    """

    def __init__(
        self,
        model: str,
        price: Price | None,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        tariff: Tariff | None = None,
    ) -> None:
        if usd is not None and usd > 0 and price is None:
            raise ConfigurationError(
                f"there is no price for {model!r}, so a budget of {usd:g} USD cannot be kept: give its price in "
                "a price file (--prices or ALE_PRICES, USD per million tokens), or a budget in tokens instead"
            )
        if usd is not None and not math.isfinite(usd):
            raise ConfigurationError(f"a budget is a number of US dollars, not {usd}")
        self.usage = Usage()
        self.usd = 0.0
        """Spent so far, calls of unknown fate at their most."""
        self.tokens = 0
        """Likewise; more than `usage` where calls were lost."""
        self._price = price
        self._tariff = tariff
        self._usd_limit = usd
        self._token_limit = tokens
        self._tickets: dict[str, Ticket] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    @property
    def open(self) -> int:
        """Calls under way: reserved, and not yet settled, released or lost."""
        return len(self._tickets)

    async def reserve(self, prompt: int, completion: int) -> Ticket:
        """Set aside the most that a call may cost. Raises BudgetReached."""
        usd = 0.0 if self._price is None else self._price.at_most(prompt, completion)
        ticket = Ticket(str(next(self._ids)), prompt + completion, usd)
        with self._lock:
            tokens = self.tokens + sum(t.tokens for t in self._tickets.values())
            spent = self.usd + sum(t.usd for t in self._tickets.values())
            _check(tokens, ticket.tokens, self._token_limit, "tokens")
            _check(spent, ticket.usd, self._usd_limit, "USD")
            self._tickets[ticket.id] = ticket
        return ticket

    async def settle(self, ticket: Ticket, usage: Usage, model: str = "") -> None:
        """The call was answered and cost this much. Raises TeacherRefused as the tariff says."""
        usd = 0.0 if self._price is None else self._price.usd(usage)
        if self._tariff is not None:
            usd = max(usd, self._tariff.usd(usage, model))
        with self._lock:
            del self._tickets[ticket.id]
            self.usage += usage
            self.tokens += usage.total
            self.usd += usd
        refusal = self._tariff.refusal(model) if self._tariff is not None else None
        if refusal is not None:
            raise refusal

    async def release(self, ticket: Ticket) -> None:
        """The call surely cost nothing."""
        with self._lock:
            del self._tickets[ticket.id]

    async def lost(self, ticket: Ticket) -> None:
        """The call's fate is unknown: counted as spent to the full."""
        with self._lock:
            del self._tickets[ticket.id]
            self.tokens += ticket.tokens
            self.usd += ticket.usd


def _check(used: float, wanted: float, limit: float | None, unit: str) -> None:
    if limit is not None and (limit <= 0 or used + wanted > limit):
        raise BudgetReached(
            f"the budget of {limit:g} {unit} has no room for a call of up to {wanted:g}: "
            f"{used:g} are spent or reserved",
            reason="budget_reached",
        )
