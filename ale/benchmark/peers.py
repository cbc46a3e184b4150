"""Other people's active learning beside ours: the same features, first batch, schedule and oracle.

A peer runs its own loop, strategy and classifier. It has no teacher; its first batch is the one that `ale`
asks for without a teacher, so that only what follows is compared. Its name is `package:strategy`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.errors import MissingExtra, UnknownName
from ale.types import Embeddings, Indices

_NEVER = 1e-9  # the probability of a label that the peer has not seen


@dataclass(frozen=True, slots=True, eq=False)
class PeerInput:
    """What a peer gets: the pool's features and gold labels, the first rows, and rows it may not ask for.

    It learns at each of `stops` (rising numbers of labels); the first is `len(first)`.
    """

    features: Embeddings
    gold: NDArray[np.int64]
    labels: int
    first: Indices
    reserved: NDArray[np.bool_]
    stops: Sequence[int]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class PeerTurn:
    """A peer after `labelled` rows; `logits` takes feature rows and has a column per label."""

    labelled: Indices
    logits: Callable[[Embeddings], NDArray[np.float64]]
    fit_seconds: float
    learn_seconds: float


Peer = Callable[[PeerInput], Iterator[PeerTurn]]


def resolve_peers(names: Sequence[str]) -> list[str]:
    """Full names; a package alone means all that is run of it. Raises UnknownName and MissingExtra."""
    found: list[str] = []
    for name in names:
        meant = [peer for peer in PEERS if name in {peer, peer.partition(":")[0]}]
        if not meant:
            raise UnknownName("peer", name, [*PEERS, *{peer.partition(":")[0] for peer in PEERS}])
        if find_spec(_MODULES[meant[0].partition(":")[0]]) is None:
            raise MissingExtra(f"the peer {name}", "bench")
        found += meant
    return list(dict.fromkeys(found))


def small_text(given: PeerInput) -> Iterator[PeerTurn]:
    """small-text's PoolBasedActiveLearner with BreakingTies and a logistic regression (C=10).

    Its classifier needs two labels: until the oracle has named two, it is given random rows.
    """
    from sklearn.linear_model import LogisticRegression
    from small_text import BreakingTies, PoolBasedActiveLearner, SklearnClassifierFactory, SklearnDataset

    rng = np.random.default_rng(given.seed)
    factory = SklearnClassifierFactory(LogisticRegression(C=10, max_iter=1_000), given.labels)
    # The learner sees a gold label only when the oracle names it.
    unknown = np.full(len(given.gold), -1)
    pool = SklearnDataset(given.features, unknown, target_labels=np.arange(given.labels))
    learner = PoolBasedActiveLearner(factory, BreakingTies(), pool)
    labelled = given.first
    begun = False
    for stop, following in zip(given.stops, [*given.stops[1:], given.stops[-1]], strict=True):
        more = following - stop
        told = given.gold[labelled]
        if len(np.unique(told)) < 2:
            yield PeerTurn(labelled, _shares(told, given.labels), 0.0, 0.0)
            labelled = np.concatenate([labelled, _random_rows(given, labelled, more, rng)])
            continue
        started = time.perf_counter()
        # As in the engine: with these small products a second thread waits more than it works.
        with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
            # Few labels of many classes are what active learning begins with.
            warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
            if begun:
                learner.update(told[len(learner.indices_labeled) :])
            else:
                learner.initialize_data(labelled, told, indices_ignored=np.flatnonzero(given.reserved))
            begun, fitted = True, time.perf_counter()
            asked = learner.query(num_samples=more) if more else np.zeros(0, np.int64)
        seconds = fitted - started, time.perf_counter() - started
        yield PeerTurn(labelled, _logits(learner.classifier, given.labels), *seconds)
        labelled = np.concatenate([labelled, asked])


def _logits(classifier: Any, labels: int) -> Callable[[Embeddings], NDArray[np.float64]]:
    """Read through `model.classes_`: by position, as small-text's own `predict` reads them, the columns mean
    other labels as long as one has not been seen (1.4.1).
    """
    model = classifier.model

    def logits(features: Embeddings) -> NDArray[np.float64]:
        probs = np.full((len(features), labels), _NEVER)
        if len(features):  # scikit-learn refuses to predict nothing
            probs[:, model.classes_] = np.maximum(model.predict_proba(features), _NEVER)
        return np.asarray(np.log(probs))

    return logits


def _shares(told: NDArray[np.int64], labels: int) -> Callable[[Embeddings], NDArray[np.float64]]:
    """The shares of the labels so far, whatever the text; as for our methods without a student."""
    counts = np.bincount(told, minlength=labels) + 1.0
    return lambda features: np.tile(np.log(counts / counts.sum()), (len(features), 1))


def _random_rows(given: PeerInput, labelled: Indices, n: int, rng: np.random.Generator) -> Indices:
    free = ~given.reserved
    free[labelled] = False
    return rng.permutation(np.flatnonzero(free))[:n]


PEERS: dict[str, Peer] = {
    "small-text:BreakingTies": small_text,
}
_MODULES = {"small-text": "small_text"}
