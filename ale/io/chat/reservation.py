"""One call's place in the budget: reserved before it, and settled whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Self, TypeVar

from ale.chat import Meter, Ticket
from ale.errors import ContentFiltered, TeacherUnavailable
from ale.io.chat.faults import UNCLEAR, NoRoom
from ale.types import Usage

T = TypeVar("T")


class Reservation:
    """`async with`: reserves on entry (raises BudgetReached), accounts on exit.

    With `usage` set, that much is settled, as an answer of `model` (raises what `Meter.settle` raises). Without it: a call that surely cost nothing is released; one whose
    fate is unknown (time-out, reset, cancelled, no usage reported) counts as spent to the full.
    """

    def __init__(self, meter: Meter, prompt: int, completion: int) -> None:
        self.usage = Usage()
        self.model = ""
        self._meter = meter
        self._most = (prompt, completion)
        self._ticket: Ticket | None = None

    async def __aenter__(self) -> Self:
        reserving = asyncio.ensure_future(self._meter.reserve(*self._most))
        try:
            self._ticket = await asyncio.shield(reserving)
        except asyncio.CancelledError:
            # The budget may be set aside already; nobody would ever give it back.
            await asyncio.wait({reserving})
            if reserving.exception() is None:
                await self._meter.release(reserving.result())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticket is None:
            raise RuntimeError("left without having been entered")
        if error is None and self.usage.total > 0:
            await _to_the_end(self._meter.settle(self._ticket, self.usage, self.model))
        elif error is not None and surely_free(error):
            await _to_the_end(self._meter.release(self._ticket))
        else:
            await _to_the_end(self._meter.lost(self._ticket))


def surely_free(error: BaseException) -> bool:
    """Whether no provider charges a call that ended so: it was refused, or never arrived."""
    if isinstance(error, TeacherUnavailable):
        return error.reason not in UNCLEAR
    return isinstance(error, (ContentFiltered, NoRoom))


async def _to_the_end(work: Awaitable[T]) -> T:
    """The result of `work`, which goes on when its waiter is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
