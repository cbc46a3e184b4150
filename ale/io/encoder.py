"""Which encoder a setting means: the embedded one, or a Hugging Face model by name."""

from __future__ import annotations

from ale.io.hugging_face import HuggingFaceEncoder
from ale.io.minilm import MiniLMEncoder

EMBEDDED = "embedded"


def resolve_encoder(source: str = EMBEDDED, threads: int = 2) -> MiniLMEncoder | HuggingFaceEncoder:
    """The encoder that `source` names. Weights are read at the first text, not here."""
    return MiniLMEncoder(threads) if source == EMBEDDED else HuggingFaceEncoder(source, threads)


def preloads(source: str) -> tuple[str, ...]:
    """Modules that this encoder will import: a process that forks imports them once for all its children."""
    if source == EMBEDDED:
        return "tokenizers", "ale.io.bert_graph", "ale.io.onnx_runtime"
    return "torch", "transformers", "transformers.models.bert.modeling_bert"
