"""What an encoder knows of single words, for a scanner whose texts are few: words that none of them has may count.

The encoder's input embeddings are static vectors of words, as those of word2vec. A classifier on their weighted sum
gives every word a weight of its own, so it costs nothing when the scanner runs (Model2Vec and fastText sum such
vectors while they run; here the sum is taken beforehand).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ale.scanner.features import WORDS, count_features, fill_features
from ale.scanner.texts import Texts

MOST_WORDS = 1 << 15
"""Of the texts; the most frequent. A scanner has no room for more."""

# Letters and gaps as `letters.py` tells them apart by the first byte of their UTF-8; all else is a token by itself.
_TOKEN = re.compile(r"[0-9A-Za-z\u00c0-\u1fff\ua000-\uefff]+|[^\x00-\x20\x7f\u00a0]")
_SMALL = {code: code + 32 for code in (*range(0x41, 0x5B), *range(0xC0, 0xDF)) if code != 0xD7}
_FEATURES_OF_A_WORD = 2  # itself, and that the text begins with it


class Lexicon(Protocol):
    """Words and their vectors, as `ale.io.lexicon` reads them from an encoder."""

    @property
    def words(self) -> Sequence[str]:
        """Those that it knows as a whole, the most frequent first."""
        ...

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Shape (words, dimensions): also of words that `words` lacks, by their pieces; zeros = no idea."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class WordVectors:
    """Vectors of unit length around their common mean.

    `features` ascend; `rows[i]` is about the word `features[i]`, which is the `places[i]`-th of the lexicon's, or
    comes after all of these.
    """

    features: NDArray[np.uint64]
    rows: NDArray[np.float32]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str], lexicon: Lexicon) -> Self:
        """Of the words of the texts and of the lexicon.

        Whoever measures leaves out the texts on which it measures: a word in pieces is known by its text only.
        """
        counts = Counter(word for text in texts for word in tokens(text))
        words = list(dict.fromkeys([*lexicon.words, *(word for word, _ in counts.most_common(MOST_WORDS))]))
        # Two words may be one to the scanner: the first counts. A "word" of several tokens is none.
        features, first = np.unique(_features(words), return_index=True)
        features, first = features[features != 0], first[features != 0]
        rows = np.array(lexicon.vectors([words[at] for at in first]), np.float32)
        known = rows.any(axis=1)
        if known.any():
            rows[known] -= rows[known].mean(axis=0)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return cls(features[known], rows[known], first[known])

    def of_features(self, features: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Shape (features, dimensions); zeros for what is no word or not known."""
        found = np.zeros((len(features), self.rows.shape[1]), np.float32)
        at = np.searchsorted(self.features, features)
        hits = np.flatnonzero(at < len(self.features))
        hits = hits[self.features[at[hits]] == features[hits]]
        found[hits] = self.rows[at[hits]]
        return found


def tokens(text: str) -> list[str]:
    """The words and marks of a text as the scanner tells them apart, in small letters."""
    return _TOKEN.findall(text.translate(_SMALL))


def _features(words: Sequence[str]) -> NDArray[np.uint64]:
    """The scanner's feature of each word; 0 for what is not exactly one token."""
    texts = Texts.of(words)
    starts = count_features(texts.data, texts.offsets, WORDS)
    features = fill_features(texts.data, texts.offsets, WORDS, starts)
    found = np.zeros(len(words), np.uint64)
    single = np.diff(starts) == _FEATURES_OF_A_WORD
    found[single] = features[starts[:-1][single]]
    return found
