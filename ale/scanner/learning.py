"""Teaching the scanner: softmax regression on hashed features with soft targets, by AdaGrad, row after row.

The features of a text count by their rarity and the whole has unit length, as the scanner does it. Where vectors of
words are given, a regression on their sum is fitted first: every word, seen or not, begins with the weight that its
vector has there. Deterministic: one thread, a seeded order, no fast-math.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.scanner.compiled import compiled
from ale.scanner.features import FAMILIES, SCALES, count_features, fill_features
from ale.scanner.scanner import Scanner
from ale.scanner.table import all_rows, build_table
from ale.scanner.texts import Texts
from ale.scanner.words import WordVectors
from ale.students.softmax import fit_softmax
from ale.types import Probs

MOST_KEPT = 1 << 15
"""Features of a scanner; the rarest are left out. A table of this size stays in a core's own cache: with four
times as many, the scanner was a third as fast and no more accurate (validation parts of three sets)."""
EPOCHS = 12
RATE = 0.3
BEGIN_ROWS = 20_000
"""Texts on which the words' first weights are fitted; with more texts than that, what they saw weighs more."""
BEGIN_ROUNDS = 60
L2 = 1.0
_FIRST = 1e-3  # of AdaGrad's sums: keeps the first step finite


def learn_scanner(
    texts: Texts,
    targets: Probs,
    *,
    form: int,
    words: WordVectors | None = None,
    l2: float = L2,
    weights: NDArray[np.float32] | None = None,
    seed: int = 0,
) -> Scanner:
    """The scanner that answers as `targets` do, rows of which sum to 1; `weights` has a number per text.

    `l2` holds back the weights that words begin with: the more, the more texts must tell of a word before it counts.
    Texts must be readable: no `known` reason, not empty.
    """
    if len(texts) != len(targets) or not len(texts):
        raise ValueError(f"{len(texts)} texts for {len(targets)} targets")
    corpus = _Corpus.read(texts, form, words)
    believed = np.ascontiguousarray(targets, np.float32)
    counted = np.ones(len(texts), np.float32) if weights is None else np.asarray(weights, np.float32)
    random = np.random.default_rng(seed)
    order = np.stack([random.permutation(len(texts)) for _ in range(EPOCHS)])
    if words is None:
        learnt: NDArray[np.float32] = np.zeros((len(corpus.values), believed.shape[1]), np.float32)
        mean = (believed * counted[:, None]).sum(axis=0, dtype=np.float64) / counted.sum(dtype=np.float64)
        bias = np.log(mean + 1e-6).astype(np.float32)
    else:
        learnt, bias = _begin(corpus, words, believed, counted, l2)
    _descend(
        corpus.rows, corpus.starts, corpus.values, believed, counted, order, learnt, bias, np.float32(RATE)
    )
    return Scanner.of_weights(form, corpus.places, corpus.values, learnt, bias)


@dataclass(frozen=True, slots=True, eq=False)
class _Corpus:
    """The texts as rows of the table: `rows[starts[i]:starts[i + 1]]` are those of text i.

    Row r of the table is about the feature `known[r - 1]`; row 0 is about none.
    """

    rows: NDArray[np.uint32]
    starts: NDArray[np.int64]
    places: NDArray[np.uint32]
    known: NDArray[np.uint64]
    values: NDArray[np.float32]

    @classmethod
    def read(cls, texts: Texts, form: int, words: WordVectors | None) -> _Corpus:
        """Room is for what stands in two texts or more, then for words with a vector, then for all else."""
        starts = count_features(texts.data, texts.offsets, form)
        features = fill_features(texts.data, texts.offsets, form, starts)
        known, frequency = _frequencies(features, np.repeat(np.arange(len(texts)), np.diff(starts)))
        rank = frequency.astype(np.float64)
        if words is not None:
            rank[np.isin(known, words.features) & (frequency == 1)] = 1.9
            new = ~np.isin(words.features, known)
            later = 1.8 - 0.7 * words.places[new] / (1 + words.places.max(initial=0))
            rank, known = np.concatenate([rank, later]), np.concatenate([known, words.features[new]])
            frequency = np.concatenate([frequency, np.ones(new.sum(), np.int64)])
        # The frequent first: where two share both places, the rarer one loses.
        order = np.argsort(-rank, kind="stable")[:MOST_KEPT]
        places, kept = build_table(known[order])
        order = order[kept]
        rarity = np.log((1 + len(texts)) / (1 + frequency[order])) + 1.0
        scales = np.asarray(SCALES[form])[(known[order] % np.uint64(FAMILIES)).astype(np.int64)]
        values = np.concatenate([[0.0], rarity * scales]).astype(np.float32)
        return cls(all_rows(places, features), starts, places, known[order], values)


def _begin(
    corpus: _Corpus,
    words: WordVectors,
    targets: NDArray[np.float32],
    counted: NDArray[np.float32],
    l2: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What each row of the table weighs by its word's vector, shape (rows, labels), and the bias."""
    nothing = np.zeros((1, words.rows.shape[1]), np.float32)
    vectors = np.concatenate([nothing, words.of_features(corpus.known)])
    some = np.linspace(0, len(targets) - 1, min(len(targets), BEGIN_ROWS)).astype(np.int64)
    sums = _sums(corpus.rows, corpus.starts, corpus.values, vectors, some)
    with threadpool_limits(1, user_api="blas"):  # the same numbers on any number of cores
        fitted = fit_softmax(sums, targets[some], counted[some], l2=l2, rounds=BEGIN_ROUNDS)
        return np.ascontiguousarray(vectors @ fitted[:-1]), fitted[-1].copy()


@compiled
def _sums(
    rows: NDArray[np.uint32],
    starts: NDArray[np.int64],
    values: NDArray[np.float32],
    vectors: NDArray[np.float32],
    texts: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The texts' features times their vectors, by the length that the scanner gives a text."""
    sums = np.zeros((len(texts), vectors.shape[1]), np.float32)
    for i in range(len(texts)):
        norm = np.float32(0.0)
        for j in range(starts[texts[i]], starts[texts[i] + 1]):
            row = rows[j]
            norm += values[row] * values[row]
            for c in range(vectors.shape[1]):
                sums[i, c] += values[row] * vectors[row, c]
        if norm > 0:
            sums[i] /= np.sqrt(norm)
    return sums


def _frequencies(
    features: NDArray[np.uint64], texts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct features, and in how many texts each stands."""
    order = np.lexsort((texts, features))
    features, texts = features[order], texts[order]
    new = np.ones(len(features), bool)
    new[1:] = (features[1:] != features[:-1]) | (texts[1:] != texts[:-1])
    known, counts = np.unique(features[new], return_counts=True)
    return known, counts.astype(np.int64)


@compiled
def _descend(
    rows: NDArray[np.uint32],
    starts: NDArray[np.int64],
    values: NDArray[np.float32],
    targets: NDArray[np.float32],
    counted: NDArray[np.float32],
    order: NDArray[np.int64],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    rate: np.float32,
) -> None:
    """AdaGrad over the texts in the given order; `weights` and `bias` are changed in place."""
    labels = targets.shape[1]
    sums = np.full((len(values), labels), _FIRST, np.float32)
    bias_sums = np.full(labels, _FIRST, np.float32)
    wrong = np.empty(labels, np.float32)
    for epoch in range(order.shape[0]):
        for i in range(order.shape[1]):
            text = order[epoch, i]
            norm = np.float32(0.0)
            wrong[:] = 0
            for j in range(starts[text], starts[text + 1]):
                value = values[rows[j]]
                norm += value * value
                for c in range(labels):
                    wrong[c] += value * weights[rows[j], c]
            if norm == 0:
                continue
            scale = np.float32(1.0) / np.sqrt(norm)
            highest = np.float32(-np.inf)
            for c in range(labels):
                wrong[c] = wrong[c] * scale + bias[c]
                highest = max(highest, wrong[c])
            total = np.float32(0.0)
            for c in range(labels):
                wrong[c] = np.exp(wrong[c] - highest)
                total += wrong[c]
            for c in range(labels):
                wrong[c] = (wrong[c] / total - targets[text, c]) * counted[text]
                bias_sums[c] += wrong[c] * wrong[c]
                bias[c] -= rate * wrong[c] / np.sqrt(bias_sums[c])
            for j in range(starts[text], starts[text + 1]):
                row = rows[j]
                if row == 0:
                    continue
                value = values[row] * scale
                for c in range(labels):
                    step = value * wrong[c]
                    sums[row, c] += step * step
                    weights[row, c] -= rate * step / np.sqrt(sums[row, c])
