"""Near duplicates by MinHash: candidates from datasketch's LSH, each looked at again by its true similarity.

Similarity is Jaccard's, of runs of five characters, in lower case and without punctuation: the share of all runs of
two texts that both have. LSH may miss a pair, rarely; since every candidate is verified, it never makes one up.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

from ale.errors import ConfigurationError, MissingExtra

RUN = 5
BANDS, ROWS = 21, 6
"""A pair of similarity .8 is a candidate with probability .998, of .9 practically always, of .5 in 28 of 100."""

_GAPS = re.compile(r"[\W_]+")


def runs(text: str) -> set[bytes]:
    """What two texts are compared by; a text shorter than a run is one run."""
    plain = _GAPS.sub(" ", text.casefold()).strip() or text
    return {plain[i : i + RUN].encode() for i in range(max(1, len(plain) - RUN + 1))}


def similarity(one: set[bytes], other: set[bytes]) -> float:
    """In [0, 1]; 1 = the same runs."""
    return len(one & other) / len(one | other)


class NearDuplicates:
    """Texts by key, and which of them a new text nearly equals. Holds the texts and 128 numbers of each."""

    def __init__(self, threshold: float) -> None:
        if not 0.5 <= threshold <= 1.0:
            raise ConfigurationError(f"near duplicates: a similarity between 0.5 and 1, not {threshold}")
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError as error:
            raise MissingExtra("finding near duplicates", "import") from error
        self._threshold = threshold
        self._of: Any = MinHash
        self._empty = MinHash(num_perm=BANDS * ROWS, hashfunc=zlib.crc32)
        self._lsh: Any = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Remember a text."""
        self._insert(text, self._hash(runs(text)))

    def find(self, text: str) -> tuple[int, float] | None:
        """The most similar text, by how many were added before it, and how similar it is; None when none is."""
        return self._likest(runs(text), self._hash(runs(text)))

    def find_or_add(self, text: str) -> tuple[int, float] | None:
        """The same; a text to which none is similar is added itself."""
        mine = runs(text)
        hashed = self._hash(mine)
        found = self._likest(mine, hashed)
        if found is None:
            self._insert(text, hashed)
        return found

    def _likest(self, mine: set[bytes], hashed: Any) -> tuple[int, float] | None:
        found = ((similarity(mine, runs(self._texts[i])), -i) for i in self._lsh.query(hashed))
        likest, place = max(found, default=(0.0, 0))
        return (-place, likest) if likest >= self._threshold else None

    def _hash(self, mine: set[bytes]) -> Any:
        hashed = self._empty.copy()
        hashed.update_batch(list(mine))
        return hashed

    def _insert(self, text: str, hashed: Any) -> None:
        self._lsh.insert(len(self._texts), hashed, check_duplication=False)
        self._texts.append(text)
