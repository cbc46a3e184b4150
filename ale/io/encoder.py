"""Which encoder a setting means: the embedded one, or a Hugging Face model by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ale.io.hugging_face import HuggingFaceEncoder
from ale.io.lexicon import TokenLexicon
from ale.io.minilm import MiniLMEncoder, read_embedded_lexicon
from ale.io.minilm_torch import TorchMiniLM
from ale.io.runtime import Runtime
from ale.types import Embeddings

EMBEDDED = "embedded"

AnyEncoder = MiniLMEncoder | TorchMiniLM | HuggingFaceEncoder


def resolve_encoder(source: str = EMBEDDED, threads: int = 2) -> MiniLMEncoder | HuggingFaceEncoder:
    """The encoder that `source` names, in float32. Weights are read at the first text, not here."""
    return MiniLMEncoder(threads) if source == EMBEDDED else HuggingFaceEncoder(source, threads)


def resolve_for(runtime: Runtime, source: str = EMBEDDED, threads: int = 2) -> AnyEncoder:
    """The same by another runtime: under the same name, so never to be cached together with rows of float32."""
    if source != EMBEDDED:
        return HuggingFaceEncoder(source, threads, runtime)
    return TorchMiniLM(threads) if runtime is Runtime.TORCH else MiniLMEncoder(threads, runtime)


def resolve_lexicon(source: str = EMBEDDED) -> TokenLexicon | None:
    """The words that this encoder knows before it reads any text; None where it keeps no table of them."""
    return read_embedded_lexicon() if source == EMBEDDED else HuggingFaceEncoder(source).lexicon()


def preloads(source: str) -> tuple[str, ...]:
    """Modules that this encoder will import: a process that forks imports them once for all its children."""
    if source == EMBEDDED:
        return "tokenizers", "ale.io.bert_graph", "ale.io.onnx_runtime"
    return "torch", "transformers", "transformers.models.bert.modeling_bert"


class TakingTurns:
    """An encoder for several threads: one encodes, on all of its cores, while the others wait or do other work."""

    def __init__(self, encoder: AnyEncoder) -> None:
        self._encoder = encoder
        self._turn = threading.Lock()
        self.name = encoder.name

    @property
    def dimensions(self) -> int:
        """Columns of what `encode` returns."""
        return self._encoder.dimensions

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """As the encoder."""
        with self._turn:
            return self._encoder.encode(texts, progress)
