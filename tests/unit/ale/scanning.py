"""A tiny model without an encoder's weights: for tests of the scanner, the folder and the index run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ale.fitting import FitInput, Fitted, fit_model
from ale.students import LinearStudent
from ale.types import Embeddings

LABELS = ("billing", "delivery", "praise")
WORDS = (
    ("invoice", "charged", "refund", "price", "money", "bill"),
    ("parcel", "late", "courier", "shipping", "arrived", "box"),
    ("great", "love", "thanks", "wonderful", "best", "happy"),
)
FILLERS = ("the", "my", "it", "was", "is", "and", "so", "very", "please", "now")


class WordEncoder:
    """Counts of the words it knows: an encoder that sees what it is taught to see, and how often it is asked."""

    name = "words"
    dimensions = 2 * sum(map(len, WORDS))

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """A row of counts, twice."""
        self.asked.extend(texts)
        known = [word for words in WORDS for word in words]
        rows = np.array([[text.lower().split().count(word) for word in known] for text in texts], np.float32)
        rows = rows.reshape(len(texts), len(known))
        if progress is not None:
            progress(len(texts))
        return np.hstack([rows, rows])


def make_texts(n: int, seed: int = 0, noise: float = 0.1) -> tuple[list[str], NDArray[np.int64]]:
    """Texts of a few words and their labels, of which a share is wrong."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, len(LABELS), n)
    texts = []
    for target in targets:
        words = [*random.choice(WORDS[target], 2), *random.choice(FILLERS, 5)]
        texts.append(" ".join(random.permutation(words)))
    wrong = random.random(n) < noise
    targets[wrong] = random.integers(0, len(LABELS), int(wrong.sum()))
    return texts, targets.astype(np.int64)


def small_model(n: int = 300, seed: int = 0) -> Fitted:
    """A model of `n` labelled texts."""
    texts, targets = make_texts(n, seed)
    encoder = WordEncoder()
    given = FitInput(
        texts=texts,
        raw=encoder.encode(texts),
        targets=targets,
        groups=np.unique(texts, return_inverse=True)[1].astype(np.int64),
        labels=LABELS,
        student=LinearStudent,
        seed=seed,
    )
    return fit_model(given, encoder)
