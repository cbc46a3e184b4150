"""What every input format offers: its parts, and how one of them becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from ale.io.index.answers import Classify, Counts
from ale.io.index.columns import Added


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one worker does at a time. `weight` is its share of `Source.weight`.

    `write` is None where the part need not be done (again).
    """

    name: str
    weight: int
    write: Callable[[Classify, BinaryIO, Callable[[int], None]], Counts] | None


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked for: which column is the text, how the new ones are called, and what stands in them."""

    text_column: str
    added: Added
    labels: tuple[str, ...]
    model_version: str


class Source(Protocol):
    """The input. `unit` says what `weight` counts: rows or bytes."""

    unit: str

    @property
    def weight(self) -> int:
        """Of all parts together."""
        ...

    def columns(self) -> set[str]:
        """Names that are taken, as far as can be told beforehand."""
        ...

    def plan(self) -> dict[str, Any]:
        """What decides which parts there are; a run may only be resumed where it is the same."""
        ...

    def parts(self, task: Task, done: Collection[str]) -> Iterator[Part]:
        """All parts in order. One at a time is held: the caller bounds how many are under way."""
        ...

    def merge(self, paths: Sequence[str], fs: Any, task: Task, sink: BinaryIO) -> None:
        """One file from the finished parts, which were written for it."""
        ...
