"""Single words as an encoder knows them before it has read any text: its tokenizer and its input embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pieces = Callable[[Sequence[str]], Sequence[Sequence[int]]]
"""The numbers of each text's tokens, without those that mark its beginning and its end."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenLexicon:
    """See `ale.scanner.words.Lexicon`. `vocabulary[i]` is token i as text, `table[i]` its input embedding.

    `unknown` is the token for what the tokenizer cannot write, None where it can write all.
    """

    vocabulary: Sequence[str]
    pieces: Pieces
    unknown: int | None
    table: NDArray[np.float32]
    words: Sequence[str] = field(init=False)
    _splits: dict[str, list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        tokens = list(dict.fromkeys(token.strip() for token in self.vocabulary))
        self._split(tokens)
        whole = [token for token in tokens if len(self._splits[token]) == 1]
        # Vocabularies are sorted by frequency, more or less: so are the words.
        object.__setattr__(self, "words", whole)

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The mean of each word's pieces; zeros where one of them is unknown."""
        self._split([word for word in words if word not in self._splits])
        found = np.zeros((len(words), self.table.shape[1]), np.float32)
        for row, word in enumerate(words):
            if numbers := self._splits[word]:
                found[row] = self.table[numbers].mean(axis=0)
        return found

    def _split(self, words: Sequence[str]) -> None:
        """Keeps the pieces of each word, in the spelling that takes fewest; none where one is unknown."""
        if not words:  # some tokenizers fail on no text at all
            return
        # Many tokenizers write the gap before a word as part of it, some as a piece of its own.
        gap = set(self.pieces([" "])[0])
        spelt = [
            self.pieces([f" {spelling(word)}" for word in words]) for spelling in (str, str.title, str.upper)
        ]
        for word, *found in zip(words, *spelt, strict=True):
            known = [rest for pieces in found if (rest := self._known(pieces, gap))]
            self._splits[word] = min(known, key=len, default=[])

    def _known(self, pieces: Sequence[int], gap: set[int]) -> list[int]:
        rest = [number for number in pieces if number not in gap]
        # A tokenizer may have marks for which the model has no embedding.
        return [] if any(number == self.unknown or number >= len(self.table) for number in rest) else rest
