"""What a reply may call a label. Exact after normalisation, and only when just one label is meant.

A near match is never used: a model that answers "Mixed" where only "Positive" and "Negative" exist has said
that it does not know, and the nearest name would be a guess in its place.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from ale.types import LabelSpace

_SEPARATORS = re.compile(r"\s*(?:[,;/|&\n]|\band\b|\bor\b)\s*", re.IGNORECASE)


class Names:
    """The names under which labels are known: their own, their aliases and, when given, their codes."""

    def __init__(self, labels: LabelSpace, codes: Sequence[str] = ()) -> None:
        self._exact = {label: i for i, label in enumerate(labels.labels)}
        meant: defaultdict[str, set[int]] = defaultdict(set)
        for i, (label, aliases) in enumerate(zip(labels.labels, labels.aliases, strict=True)):
            for name in (label, *aliases, *codes[i : i + 1]):
                meant[normal(name)].add(i)
        self._meant = dict(meant)

    def find(self, said: str) -> int | None:
        """The position of the one label that is meant, or None."""
        if said in self._exact:
            return self._exact[said]
        meant = self._meant.get(normal(said), set())
        return next(iter(meant)) if len(meant) == 1 else None

    def lists_several(self, said: str) -> bool:
        """Whether it is a list of labels and of nothing else, e.g. `A, C` or `Spam and Phishing`."""
        parts = _SEPARATORS.split(said.strip())
        return len(parts) > 1 and all(self.find(part) is not None for part in parts)


def normal(name: str) -> str:
    """NFC, without outer white space, without regard to case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
