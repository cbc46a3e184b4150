"""A BERT of two small layers with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.io.batches import batches
from ale.tuning.belief import Arrays, Logits, TunedBelief
from ale.tuning.bert import Lower, Upper
from ale.tuning.cross import Reader, tune_on
from ale.tuning.plan import Countdown, Plan
from ale.types import Indices
from tests.unit.ale.tiny_texts import WORDS, Texts

WIDTH = 32
PLAN = Plan(folds=2, epochs=12, rate=1e-2, head_rate=1e-2)


def weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Under the names of a BERT's file."""
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[np.float32]] = {}

    def norm(name: str) -> None:
        found[f"{name}.weight"] = np.ones(WIDTH, np.float32)
        found[f"{name}.bias"] = np.zeros(WIDTH, np.float32)

    def linear(name: str, rows: int, columns: int) -> None:
        found[f"{name}.weight"] = rng.normal(scale=columns**-0.5, size=(rows, columns)).astype(np.float32)
        found[f"{name}.bias"] = np.zeros(rows, np.float32)

    for name, rows in (("word", WORDS), ("position", 32), ("token_type", 2)):
        found[f"embeddings.{name}_embeddings.weight"] = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    norm("embeddings.LayerNorm")
    for layer in range(2):
        start = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{start}.attention.{part}", WIDTH, WIDTH)
        linear(f"{start}.intermediate.dense", 2 * WIDTH, WIDTH)
        linear(f"{start}.output.dense", WIDTH, 2 * WIDTH)
        norm(f"{start}.attention.output.LayerNorm")
        norm(f"{start}.output.LayerNorm")
    return found


def reader(labels: int = 2) -> Reader:
    """The first layer stays, the second learns."""
    given = weights()
    return Reader(Lower(given, 1, 4), Upper(given, range(1, 2), 4, labels), batches)


@dataclass(frozen=True, slots=True, eq=False)
class TinyReading:
    """See `ale.tuning.belief.Reading`."""

    read: Reader

    def logits(self, texts: Sequence[str]) -> Logits:
        """Of texts whose words are numbers."""
        return self.read.logits(numbers(texts))


@dataclass(frozen=True, slots=True, eq=False)
class TinyTuned(TinyReading):
    """See `ale.tuning.belief.Tuned`."""

    belief: TunedBelief

    def arrays(self) -> Arrays:
        """The second layer and the head."""
        return self.read.upper.arrays(1)


class TinyTuner:
    """Tunes it on texts whose words are numbers; see `ale.tuning.belief.Tuner`."""

    def __init__(self, seconds: float = 1e6) -> None:
        self._seconds = seconds

    def tune(
        self,
        texts: Sequence[str],
        labelled: Indices,
        targets: NDArray[np.int64],
        *,
        labels: int,
        groups: NDArray[np.int64] | None = None,
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> TinyTuned:
        """Without a limit of time, as long as none is given."""
        read, belief = tune_on(
            reader(labels), numbers(texts), labelled, targets,
            plan=PLAN, groups=groups, weights=weights, seed=seed, time=Countdown(self._seconds),
        )  # fmt: skip
        return TinyTuned(read, belief)

    def restored(self, arrays: Arrays) -> TinyReading:
        """See `ale.tuning.belief.Tuner`."""
        labels = len(arrays["head.bias"])
        upper = Upper({**weights(), **arrays}, range(1, 2), 4, labels)
        upper.load_head(arrays)
        return TinyReading(Reader(reader(labels).lower, upper.eval(), batches))


def numbers(texts: Sequence[str]) -> Texts:
    """The token numbers of such texts."""
    return [[int(word) for word in text.split()] for text in texts]
