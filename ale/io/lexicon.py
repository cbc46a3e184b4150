"""Single words as an encoder knows them before it has read any text: its tokenizer and its input embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.io.encoder import EMBEDDED
from ale.io.hugging_face import HuggingFaceEncoder
from ale.io.minilm import read_word_table

Pieces = Callable[[Sequence[str]], Sequence[Sequence[int]]]
"""The numbers of each text's tokens, without those that mark its beginning and its end."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenLexicon:
    """See `ale.scanner.words.Lexicon`: `table` has a row per token, `words` those words that are one token."""

    words: tuple[str, ...]
    pieces: Pieces
    table: NDArray[np.float32]

    @classmethod
    def of(cls, vocabulary: Sequence[str], pieces: Pieces, table: NDArray[np.float32]) -> TokenLexicon:
        """`vocabulary` are all tokens as text; parts of words and marks for the model's own use are left out."""
        candidates = sorted({token.strip().lower() for token in vocabulary} - {""})
        # Many tokenizers tell the beginning of a word by the gap before it.
        single = [
            word
            for word, found in zip(candidates, pieces([f" {word}" for word in candidates]), strict=True)
            if len(found) == 1
        ]
        return cls(tuple(single), pieces, table)

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The mean of each word's pieces."""
        found = np.zeros((len(words), self.table.shape[1]), np.float32)
        for row, numbers in enumerate(self.pieces([f" {word}" for word in words])):
            if len(numbers):
                found[row] = self.table[list(numbers)].mean(axis=0)
        return found


def read_lexicon(source: str = EMBEDDED) -> TokenLexicon:
    """That of the encoder which `source` names; raises what the encoder raises where it cannot be read."""
    if source == EMBEDDED:
        return TokenLexicon.of(*read_word_table())
    return TokenLexicon.of(*HuggingFaceEncoder(source).word_table())
