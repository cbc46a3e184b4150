"""Any Hugging Face model by name (or folder) as an encoder, through torch and transformers.

torch and the weights wait for the first text that needs encoding; the width needs the model's config only,
so that a worker may ask for it before it forks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ale.errors import CheckpointError, MissingExtra
from ale.io.batches import Tokens, run_in_batches
from ale.io.lexicon import TokenLexicon
from ale.io.runtime import Runtime
from ale.types import Embeddings

_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class _Loaded:
    torch: Any
    tokenizer: Any
    model: Any
    layers: tuple[int, int]


class HuggingFaceEncoder:
    """The model that `source` names, on the GPU where torch finds one. A row: its mean-pooled last and middle layer, each of unit length.

    In float32 the same text gives the same row within 1e-5, whatever else is in its batch.
    """

    def __init__(self, source: str, threads: int = 2, runtime: Runtime = Runtime.FLOAT32) -> None:
        self._source = source
        self._threads = threads
        self._runtime = runtime
        self._loaded: _Loaded | None = None
        self._width: int | None = None
        self.name = source.replace("/", "--")

    @property
    def dimensions(self) -> int:
        """Columns of what `encode` returns: twice the width of the model."""
        if self._width is None:
            _, transformers = self._parts()
            self._width = int(self._read(transformers.AutoConfig).hidden_size)
        return 2 * self._width

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """Shape (texts, dimensions), float32; `progress` hears how many more texts are done."""
        if not len(texts):
            return np.empty((0, self.dimensions), np.float32)
        tokenizer = self._load().tokenizer
        tokens = tokenizer(list(texts), truncation=True, max_length=_MAX_TOKENS)["input_ids"]
        return run_in_batches(tokens, self.dimensions, self._forward, progress)

    def lexicon(self) -> TokenLexicon | None:
        """The words that the model knows; None for a model that has no table of input embeddings."""
        loaded = self._load()
        tokenizer = loaded.tokenizer
        try:
            table = loaded.model.get_input_embeddings().weight
        except (AttributeError, NotImplementedError):
            return None

        def pieces(words: Sequence[str]) -> list[list[int]]:
            return list(tokenizer(list(words), add_special_tokens=False)["input_ids"])

        vocabulary = [tokenizer.decode([number]) for number in range(len(tokenizer))]
        rows = np.asarray(table.detach().to("cpu", loaded.torch.float32).numpy(), np.float32)
        return TokenLexicon(vocabulary, pieces, tokenizer.unk_token_id, rows)

    def _forward(self, tokens: Tokens) -> Embeddings:
        loaded = self._load()
        torch = loaded.torch
        batch = loaded.tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(loaded.model.device)
        mask = batch["attention_mask"]
        with torch.inference_mode():
            hidden = loaded.model(
                input_ids=batch["input_ids"], attention_mask=mask, output_hidden_states=True
            ).hidden_states
            weight = mask.unsqueeze(-1).to(torch.float32)
            means = [
                (hidden[layer] * weight).sum(1) / weight.sum(1).clamp(min=1.0) for layer in loaded.layers
            ]
            joined = torch.cat([torch.nn.functional.normalize(mean, dim=1) for mean in means], dim=1)
        return np.asarray(joined.cpu().numpy(), np.float32)

    def _load(self) -> _Loaded:
        if self._loaded is None:
            torch, transformers = self._parts()
            torch.set_num_threads(self._threads)
            transformers.utils.logging.disable_progress_bar()
            tokenizer = self._read(transformers.AutoTokenizer)
            dtype = torch.float32 if self._runtime is Runtime.FLOAT32 else torch.bfloat16
            model = self._read(transformers.AutoModel, dtype=dtype)
            last = int(model.config.num_hidden_layers)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._loaded = _Loaded(torch, tokenizer, model.eval().to(device), (last, (last + 1) // 2))
        return self._loaded

    def _parts(self) -> tuple[Any, Any]:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise MissingExtra(f"the encoder {self._source!r}", "transformers") from error
        return torch, transformers

    def _read(self, kind: Any, **options: Any) -> Any:
        try:
            return kind.from_pretrained(self._source, **options)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"the encoder {self._source!r} cannot be read: {error}") from error
