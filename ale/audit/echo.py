"""What readers of the teacher say of each text. Where they do not expect its answer, it errs more often.

One reads embeddings, the other words: they err in different places. Neither has seen a label of a person, so
that what they say may rank what the audit is to prove (`selector.signs`). The reader of words has a weight per
word and would know every answer by heart: it is kept from the texts that it is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.calibration import softmax
from ale.students.softmax import apply, fit_softmax
from ale.types import Embeddings, Probs

_ROUNDS = 50
_FOLDS = 4
_READ = 1_000  # characters: more cost time and tell little
_SMOOTHING = 0.1
_UNHEARD = 1e-4  # for a label that the teacher gave to no text of the other folds


def echoes(texts: Sequence[str], features: Embeddings, teacher: Probs) -> list[Probs]:
    """Probabilities of each reader, a row per text; none where the teacher (NaN = silent) has given no answer."""
    answered = np.flatnonzero(~np.isnan(teacher).any(axis=1))
    if not len(answered):
        return []
    # One thread: the same project asked twice is to have the same numbers.
    with threadpool_limits(1, user_api="blas"):
        weights = fit_softmax(features[answered], teacher[answered], l2=1.0, rounds=_ROUNDS)
        return [softmax(apply(features, weights)), _by_words(texts, answered, teacher)]


def _by_words(texts: Sequence[str], answered: NDArray[np.int64], teacher: Probs) -> Probs:
    """Naive Bayes on words, pairs of words and parts of words, each text by the answers of the other folds."""
    # Imported here: who has no paid teacher does without scikit-learn's second of imports.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB

    found = np.full(teacher.shape, _UNHEARD, np.float32)
    table = TfidfVectorizer(analyzer=_tokens(), min_df=2, sublinear_tf=True).fit_transform(texts)
    said = np.nan_to_num(teacher).argmax(axis=1)
    _, text = np.unique(texts, return_inverse=True)  # a text and its twin stay together
    folds = (np.random.default_rng(0).permutation(text.max() + 1) % _FOLDS)[text]
    for fold in range(_FOLDS):
        asked = np.flatnonzero(folds == fold)
        others = answered[folds[answered] != fold]
        if len(asked) and len(others):
            reader = MultinomialNB(alpha=_SMOOTHING).fit(table[others], said[others])
            found[np.ix_(asked, reader.classes_)] = reader.predict_proba(table[asked])
    return found


def _tokens() -> Callable[[str], list[str]]:
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(ngram_range=(1, 2)).build_analyzer()
    parts = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5)).build_analyzer()

    def tokens(text: str) -> list[str]:
        short = text[:_READ]
        # The first stands in every text: a vocabulary is never empty.
        return ["", *(f"\t{word}" for word in words(short)), *parts(short)]

    return tokens
