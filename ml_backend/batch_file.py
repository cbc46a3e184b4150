"""The file of a batch: as many questions as the budget, the provider and the caller have room for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ale.chat import Capabilities, ChatRequest
from ale.errors import BudgetReached
from ale.io.chat.batches import MAX_BYTES, Batches, half
from ale.io.chat.prices import Price
from ale.io.chat.tokens import TokenCounter, prompt_tokens, upper_bound
from ale.types import Example, Usage
from ml_backend.store.spend import NANO, Budget, Spent


@dataclass(frozen=True, slots=True, eq=False)
class BatchFile:
    """Questions as lines, the texts that they are about, and the most that they can cost together."""

    content: bytes
    hashes: list[str]
    tokens: int
    nano_usd: int
    took_all_room: bool
    """The budget ended it, so that there is no point in another file."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a budget; None = no such limit. `price` is the model's, at once; None where not known."""

    nano_usd: int | None
    tokens: int | None
    price: Price | None

    @classmethod
    def of(cls, budget: Budget, spent: Spent, price: Price | None) -> Room:
        """Raises BudgetReached when money is limited and the price is not known, or when nothing may be spent."""
        if 0 in (budget.tokens, budget.nano_usd):
            raise BudgetReached("the budget is 0: nobody is asked", reason="budget_reached")
        if price is None and budget.nano_usd is not None and budget.tokens is None:
            raise BudgetReached(
                f"the model's price is not known, so a budget of {budget.usd:g} USD cannot be kept: name its "
                "price in a file (ALE_PRICES), or limit the tokens (ALE_BUDGET_TOKENS)",
                reason="price_unknown",
            )
        used = math.ceil((spent.usd + spent.reserved_usd) * NANO)
        return cls(
            None if budget.nano_usd is None else budget.nano_usd - used,
            None if budget.tokens is None else budget.tokens - spent.tokens - spent.reserved_tokens,
            price,
        )

    def nano_usd_of(self, most: Usage) -> int:
        """The most that so many tokens can cost in a batch, rounded up."""
        if self.price is None:
            return 0
        return math.ceil(round(half(self.price).usd(most) * NANO, 3))

    def holds(self, most: Usage) -> bool:
        """Whether there is room for it."""
        money = self.nano_usd is None or self.nano_usd_of(most) <= self.nano_usd
        return money and (self.tokens is None or most.total <= self.tokens)


def build_file(
    provider: Batches,
    questions: Iterable[tuple[Example, ChatRequest]],
    can: Capabilities,
    room: Room,
    counter: TokenCounter,
    most_lines: int,
) -> BatchFile:
    """The first questions, up to the limit that is met first. Raises BudgetReached when not even one fits.

    Tokens are counted where the model's vocabulary is at hand, else bounded by bytes.
    """
    lines: list[bytes] = []
    hashes: list[str] = []
    most, size, took_all_room = Usage(), 0, False
    for example, request in questions:
        line = provider.line(example.text_hash, request, can)
        prompt = prompt_tokens(request, counter if counter.exact else upper_bound)
        grown = most + Usage(prompt, 0, request.max_tokens)
        if len(lines) == most_lines or size + len(line) > MAX_BYTES:
            break
        took_all_room = not room.holds(grown)
        if took_all_room:
            break
        lines.append(line)
        hashes.append(example.text_hash)
        most, size = grown, size + len(line)
    if not lines:
        raise BudgetReached(
            "the project's budget has no room for a batch: raise ALE_BUDGET_USD or ALE_BUDGET_TOKENS",
            reason="budget_reached",
        )
    return BatchFile(b"".join(lines), hashes, most.total, room.nano_usd_of(most), took_all_room)
