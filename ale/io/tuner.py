"""Reads the embedded encoder's weights for tuning. torch and the weights wait for the first tuning."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ale.errors import CheckpointError, MissingExtra
from ale.io.batches import batches
from ale.io.minilm import HEADS, LAYERS, check_embedded, read_embedded
from ale.tuning.belief import Logits, TunedBelief
from ale.tuning.plan import Countdown, Plan
from ale.types import Indices

if TYPE_CHECKING:
    from ale.tuning.cross import Reader

FROZEN = 3
"""Layers that stay as they are. The middle layer is half of what the other students see: it stays, too."""


@dataclass(frozen=True, slots=True, eq=False)
class MiniLMReading:
    """A tuned embedded encoder; see `ale.tuning.belief.Reading`."""

    tokenizer: Any
    reader: Reader

    def logits(self, texts: Sequence[str]) -> Logits:
        """What it believes about any texts, shape (texts, labels)."""
        return self.reader.logits(_tokens(self.tokenizer, texts))


@dataclass(frozen=True, slots=True, eq=False)
class TunedMiniLM(MiniLMReading):
    """One that was tuned just now; see `ale.tuning.belief.Tuned`."""

    belief: TunedBelief

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights that have changed, under the names of the encoder's file, and the head's."""
        return self.reader.upper.arrays(FROZEN)


class MiniLMTuner:
    """Tunes the upper half of all-MiniLM-L6-v2, on the GPU where torch finds one."""

    def __init__(self, plan: Plan | None = None, threads: int = 2) -> None:
        self._plan = plan or Plan()
        self._threads = threads

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
    ) -> TunedMiniLM:
        """See `ale.tuning.belief.Tuner`. Raises MissingExtra without torch."""
        time = Countdown(self._plan.seconds)
        with self._reader(labels) as (tokenizer, untuned, cross):
            reader, belief = cross.tune_on(
                untuned,
                _tokens(tokenizer, texts),
                labelled,
                targets,
                plan=self._plan,
                groups=groups,
                weights=weights,
                seed=seed,
                time=time,
            )
        return TunedMiniLM(tokenizer, reader, belief)

    def held_out(
        self,
        texts: Sequence[str],
        targets: NDArray[np.int64],
        *,
        labels: int,
        groups: NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> Logits:
        """See `ale.tuning.belief.CrossTuner`. Raises MissingExtra without torch."""
        with self._reader(labels) as (tokenizer, untuned, cross):
            found: Logits = cross.held_out_on(
                untuned, _tokens(tokenizer, texts), targets, plan=self._plan, groups=groups, seed=seed
            )
        return found

    @contextmanager
    def _reader(self, labels: int) -> Iterator[tuple[Any, Reader, Any]]:
        """Tokenizer, encoder and the module that tunes it, while torch has as many threads as it may."""
        torch, bert, cross = _torch()
        tokenizer, weights_of = read_embedded(self._plan.tokens)
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            lower = bert.Lower(weights_of, FROZEN, HEADS).to(device)
            upper = bert.Upper(weights_of, range(FROZEN, LAYERS), HEADS, labels).to(device)
            yield tokenizer, cross.Reader(lower, upper, batches), cross
        finally:
            torch.set_num_threads(before)

    def restored(self, arrays: Mapping[str, NDArray[Any]]) -> MiniLMReading:
        """See `ale.tuning.belief.Tuner`. Raises MissingExtra without torch."""
        torch, bert, cross = _torch()
        tokenizer, weights_of = read_embedded(self._plan.tokens)
        labels = max(1, len(arrays.get("head.bias", ())))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        upper = bert.Upper(weights_of, range(FROZEN, LAYERS), HEADS, labels)
        shapes = {name: array.shape for name, array in upper.arrays(FROZEN).items()}
        if {name: array.shape for name, array in arrays.items()} != shapes:
            raise CheckpointError("these are not the weights of a tuned all-MiniLM-L6-v2")
        upper = bert.Upper({**weights_of, **arrays}, range(FROZEN, LAYERS), HEADS, labels)
        upper.load_head(arrays)
        lower = bert.Lower(weights_of, FROZEN, HEADS)
        return MiniLMReading(tokenizer, cross.Reader(lower.to(device), upper.eval().to(device), batches))


def check_tuning() -> None:
    """Raises MissingExtra or CheckpointError where nothing can be tuned; loads nothing."""
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("the transformer student", "transformers")
    check_embedded()


def _torch() -> tuple[Any, Any, Any]:
    """torch, and the modules that need it."""
    try:
        import torch

        from ale.tuning import bert, cross
    except ImportError as error:
        raise MissingExtra("the transformer student", "transformers") from error
    return torch, bert, cross


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [text.ids for text in tokenizer.encode_batch_fast(list(texts))]
