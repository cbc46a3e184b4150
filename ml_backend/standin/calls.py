"""What was asked of the stand-in, and what of it a provider would have charged."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ale.types import Usage


@dataclass(frozen=True, slots=True)
class Call:
    """One chat request, by itself or as a line of a batch.

    `texts` are the hashes (`ale.text.text_hash`) of the items that were asked about. `delivered` is False
    when the client was gone, or was cut off on purpose: a provider charges such a call as well.
    """

    number: int
    model: str
    texts: tuple[str, ...]
    batch: bool = False
    at: float = 0.0
    status: int = 0
    behaviour: str = ""
    usage: Usage = field(default_factory=Usage)
    delivered: bool = True

    @property
    def paid(self) -> bool:
        """Whether a provider would charge it: an answer was made, delivered or not."""
        return self.status == 200


class CallLog:
    """All calls, in the order in which they came. Any thread may write and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._asked: Counter[str] = Counter()
        self._open = 0
        self._peak = 0

    def begin(self, model: str, texts: Sequence[str], *, batch: bool = False) -> tuple[int, int]:
        """Note a call: its number, from 1, and how often its most asked text was asked before."""
        with self._lock:
            self._calls.append(Call(len(self._calls) + 1, model, tuple(texts), batch, time.monotonic()))
            before = max((self._asked[text] for text in texts), default=0)
            self._asked.update(set(texts))
            self._open += 1
            self._peak = max(self._peak, self._open)
            return len(self._calls), before

    def end(self, number: int, **outcome: Any) -> None:
        """Note how a call ended: fields of `Call`."""
        with self._lock:
            self._calls[number - 1] = replace(self._calls[number - 1], **outcome)
            self._open -= 1

    def undelivered(self, number: int) -> None:
        """Note that nobody got the answer."""
        with self._lock:
            self._calls[number - 1] = replace(self._calls[number - 1], delivered=False)

    def __len__(self) -> int:
        with self._lock:
            return len(self._calls)

    def all(self) -> list[Call]:
        """The calls so far."""
        with self._lock:
            return list(self._calls)

    @property
    def peak(self) -> int:
        """The most calls that were open at the same time."""
        with self._lock:
            return self._peak

    def paid(self) -> list[Call]:
        """The calls that a provider would charge."""
        return [call for call in self.all() if call.paid]

    def asked_by_text(self) -> Counter[str]:
        """How often each text was asked, answered or not."""
        return Counter(text for call in self.all() for text in call.texts)

    def paid_by_text(self, *, delivered_only: bool = False) -> Counter[str]:
        """How often each text was paid; with `delivered_only`, how often an answer also arrived."""
        return Counter(
            text for call in self.paid() if call.delivered or not delivered_only for text in call.texts
        )

    def statuses(self) -> Counter[int]:
        """How many calls ended with each HTTP status; 0 = no answer was sent (yet)."""
        return Counter(call.status for call in self.all())

    def usage(self) -> Usage:
        """All tokens that a provider would charge; those of batches are charged at half the price."""
        return sum((call.usage for call in self.paid()), Usage())

    def summary(self) -> dict[str, Any]:
        """Counts for a reader: no text, no key."""
        usage = self.usage()
        return {
            "calls": len(self),
            "statuses": {str(status): n for status, n in sorted(self.statuses().items())},
            "behaviours": dict(Counter(call.behaviour for call in self.all() if call.behaviour)),
            "texts_paid": len(self.paid_by_text()),
            "texts_paid_twice": sum(n > 1 for n in self.paid_by_text().values()),
            "tokens": {"prompt": usage.prompt, "cached": usage.cached, "completion": usage.completion},
            "peak_concurrency": self.peak,
        }

    def clear(self) -> None:
        """Forget all calls, between two parts of a test; none may be open."""
        with self._lock:
            self._calls.clear()
            self._asked.clear()
            self._peak = self._open
