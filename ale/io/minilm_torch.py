"""The embedded encoder by torch in bfloat16: the quickest where the processor multiplies whole tiles of it (AMX)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ale.errors import MissingExtra
from ale.io.batches import Tokens, run_in_batches
from ale.io.minilm import HEADS, LAYERS, MAX_TOKENS, POOLED, MiniLMEncoder, read_embedded
from ale.types import Embeddings


@dataclass(frozen=True, slots=True)
class _Loaded:
    tokenizer: Any
    lower: Any


class TorchMiniLM:
    """As MiniLMEncoder, and under the same name: each half of a row has a cosine of at least .999 to its."""

    name = MiniLMEncoder.name
    dimensions = MiniLMEncoder.dimensions

    def __init__(self, threads: int = 2) -> None:
        self._threads = threads
        self._loaded: _Loaded | None = None

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """Shape (texts, dimensions), float32; `progress` hears how many more texts are done."""
        if not len(texts):
            return np.empty((0, self.dimensions), np.float32)
        tokens = [text.ids for text in self._load().tokenizer.encode_batch_fast(list(texts))]
        return run_in_batches(tokens, self.dimensions, self._forward, progress)

    def _forward(self, tokens: Tokens) -> Embeddings:
        import torch
        from torch.nn import functional

        from ale.tuning.bert import mean_of, padded

        ids, mask = padded(tokens, "cpu")
        with torch.inference_mode():
            layers = list(self._load().lower.by_layer(ids, mask))
            means = [functional.normalize(mean_of(layers[number], mask), dim=1) for number in POOLED]
            return np.asarray(torch.cat(means, dim=1).numpy(), np.float32)

    def _load(self) -> _Loaded:
        if self._loaded is None:
            tokenizer, weights = read_embedded(MAX_TOKENS)
            try:
                import torch

                from ale.tuning.bert import Lower
            except ImportError as error:
                raise MissingExtra("the embedded encoder by torch", "transformers") from error
            torch.set_num_threads(self._threads)
            self._loaded = _Loaded(tokenizer, Lower(weights, LAYERS, HEADS).to(torch.bfloat16))
        return self._loaded
