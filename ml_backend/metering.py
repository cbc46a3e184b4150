"""The budget of one project as the client sees it: asked before each call, told after it. Kept in SQL.

What a call cost is not written at once but handed to whoever saves the answer, so that both stand in one
transaction. Until then the reservation stays, and a worker that dies in between leaves it counted.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from ale.chat import Ticket
from ale.errors import BudgetReached
from ale.io.chat.prices import Tariff
from ale.types import Usage
from ml_backend.store import spend
from ml_backend.store.database import Database
from ml_backend.store.spend import NANO, Budget, Settled

T = TypeVar("T")

Cost = Callable[[Usage], float]
"""US dollars of a call that used so many tokens."""


class SqlThread:
    """Runs what an event loop wants from SQL in one thread, in order: one writer waits for nobody."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sql")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._pool.shutdown()

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)


class SqlMeter:
    """`ale.chat.Meter` over a project's row of the spend table. `cost` is None where no price is known.

    With a `tariff`, it is looked at who answers.
    """

    def __init__(
        self,
        db: Database,
        project: str,
        budget: Budget,
        cost: Cost | None,
        thread: SqlThread,
        tariff: Tariff | None = None,
    ) -> None:
        self._db, self._project, self._budget = db, project, budget
        self._cost, self._thread, self._tariff = cost, thread, tariff
        self._settled: list[Settled] = []
        self.refusal: BudgetReached | None = None
        """The first refusal; there is no point in asking for more after it."""

    async def reserve(self, prompt: int, completion: int) -> Ticket:
        """Set aside the most that a call may cost: nothing cached, the completion at its limit.

        Raises BudgetReached when there is no room, and when the model has no price and only money is limited.
        """
        usage = Usage(prompt=prompt, completion=completion)
        nano_usd = _nano(self.usd(usage) or 0.0)
        name = None
        if not self._unpriced:
            name = await self._thread.run(
                lambda: spend.reserve(self._db, self._project, nano_usd, usage.total, self._budget)
            )
        if name is None:
            refusal = self._no_price() if self._unpriced else self._no_room(usage)
            self.refusal = self.refusal or refusal
            raise refusal
        return Ticket(name, usage.total, nano_usd / NANO)

    async def settle(self, ticket: Ticket, usage: Usage, model: str = "") -> None:
        """The call was answered; written with its answer, see `take_settled`.

        Raises TeacherRefused when a model of another price answered; the call then counts at the dearer one.
        """
        usd = self.usd(usage) or 0.0
        if self._tariff is not None:
            usd = max(usd, self._tariff.usd(usage, model))
        self._settled.append(Settled(ticket.id, _nano(usd), usage.total))
        refusal = self._tariff.refusal(model) if self._tariff is not None else None
        if refusal is not None:
            raise refusal

    async def release(self, ticket: Ticket) -> None:
        """The call surely cost nothing."""
        await self._thread.run(lambda: spend.release(self._db, self._project, ticket.id))

    async def lost(self, ticket: Ticket) -> None:
        """The call's fate is unknown: counted as spent to the full."""
        await self._thread.run(lambda: spend.lose(self._db, self._project, ticket.id))

    def take_settled(self) -> list[Settled]:
        """The calls that were answered since the last take; the taker writes them."""
        taken, self._settled = self._settled, []
        return taken

    def usd(self, usage: Usage) -> float | None:
        """What so many tokens cost; None where no price is known."""
        return None if self._cost is None else self._cost(usage)

    @property
    def _unpriced(self) -> bool:
        budget = self._budget
        return self._cost is None and budget.usd is not None and budget.tokens is None

    def _no_price(self) -> BudgetReached:
        return BudgetReached(
            f"the model's price is not known, so a budget of {self._budget.usd:g} USD cannot be kept: name its "
            "price in a file (ALE_PRICES), or limit the tokens (ALE_BUDGET_TOKENS)",
            reason="price_unknown",
        )

    def _no_room(self, usage: Usage) -> BudgetReached:
        limits = [
            f"{self._budget.usd:g} USD (ALE_BUDGET_USD)" if self._budget.usd is not None else "",
            f"{self._budget.tokens} tokens (ALE_BUDGET_TOKENS)" if self._budget.tokens is not None else "",
        ]
        return BudgetReached(
            f"the project's budget of {' and '.join(filter(None, limits))} has no room for a call of up to "
            f"{usage.total} tokens",
            reason="budget_reached",
        )


def _nano(usd: float) -> int:
    """Rounded up: the provider's own rounding is not known. Rounding first takes away what floats add."""
    return math.ceil(round(usd * NANO, 3))
