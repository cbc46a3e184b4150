"""Which request meets which behaviour. A script has no state of its own, so that any thread may ask it."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ml_backend.standin.behaviours import Behaviour
from ml_backend.standin.catalogue import BEHAVIOURS
from ml_backend.standin.errors import invalid

MARKER = re.compile(r"\s?\[\[behaviour:(\w+)(?::(\d+))?\]\]")
"""A text asks for a behaviour of its own; policies do not see it."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A request, as a script sees it: its number (from 1), how often its text was asked before, and the texts."""

    number: int
    before: int
    texts: tuple[str, ...]


Rule = Callable[[Occasion], Behaviour | None]


class Script:
    """Rules, of which the first that applies decides; then the markers in the texts.

    A text that holds `[[behaviour:NAME]]` gets that behaviour each time, with `[[behaviour:NAME:2]]` the first
    two times that it is asked.
    """

    def __init__(self, *rules: Rule) -> None:
        self._rules = (*rules, by_marker)

    def choose(self, occasion: Occasion) -> Behaviour | None:
        """The behaviour for a request; None = answer well."""
        return next((b for rule in self._rules if (b := rule(occasion)) is not None), None)


def always(behaviour: Behaviour | str) -> Rule:
    """Every request."""
    named = _named(behaviour)
    return lambda _: named


def on_calls(numbers: Sequence[int], behaviour: Behaviour | str) -> Rule:
    """The requests of these numbers, counted from 1 over the server's life; `range` does for a storm."""
    named = _named(behaviour)
    return lambda occasion: named if occasion.number in numbers else None


def share(part: float, behaviour: Behaviour | str, seed: int = 0) -> Rule:
    """That part of all requests, drawn by their numbers: another attempt may fare better."""
    named = _named(behaviour)
    return lambda occasion: named if _draw(f"{seed}/{occasion.number}") < part else None


def share_of_texts(part: float, behaviour: Behaviour | str, seed: int = 0) -> Rule:
    """All requests that hold a text of a drawn part of all texts: another attempt fares the same."""
    named = _named(behaviour)
    return lambda o: named if any(_draw(f"{seed}/{text}") < part for text in o.texts) else None


def by_marker(occasion: Occasion) -> Behaviour | None:
    """The behaviour that a text names. Raises ApiError for one that does not exist."""
    for text in occasion.texts:
        for name, times in MARKER.findall(text):
            if not times or occasion.before < int(times):
                if name not in BEHAVIOURS:
                    known = ", ".join(sorted(BEHAVIOURS))
                    raise invalid("messages", f"Unknown behaviour '{name}'; known: {known}.")
                return BEHAVIOURS[name]
    return None


def _named(behaviour: Behaviour | str) -> Behaviour:
    return BEHAVIOURS[behaviour] if isinstance(behaviour, str) else behaviour


def _draw(key: str) -> float:
    """Evenly distributed in [0, 1), the same for equal keys."""
    return (
        int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64
    )


class PathFaults:
    """Behaviours for what is no chat request: files, jobs, batches. Any thread may ask.

    Each is (method, pattern of the path without its prefix, behaviour, how many times). A refusal comes before
    anything is done; a broken connection comes after it, so that the client does not know that it was done.
    """

    def __init__(self, faults: Sequence[tuple[str, str, Behaviour | str, int]] = ()) -> None:
        self._faults = [(m, re.compile(p), _named(b)) for m, p, b, _ in faults]
        self._left = [times for *_, times in faults]
        self._lock = threading.Lock()

    def choose(self, method: str, path: str) -> Behaviour | None:
        """The behaviour for this request, which is then one time less; None = answer well."""
        with self._lock:
            for place, (its_method, pattern, behaviour) in enumerate(self._faults):
                if self._left[place] and method == its_method and pattern.fullmatch(path):
                    self._left[place] -= 1
                    return behaviour
        return None
