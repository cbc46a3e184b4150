"""The zero-shot teacher: a text belongs to the label whose description it resembles most.

No key, no cost, no training: label names and hints (what annotators read) are embedded as sentences and
compared with the text's sentence vector by cosine. On public sets it is 60 to 82 % right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.protocols import Encoder
from ale.types import Embeddings, Example, LabelSpace, Probs

PROMPT_VERSION = "v2"
SHARPNESS = 20.0  # cosines of MiniLM differ by hundredths; at 20 the probabilities are roughly calibrated

_NAME_WEIGHT = 0.25  # sentences and clauses count 1 each: a name may be a mere code
_SENTENCE_ENDS = re.compile(r"(?<=[.;?!:])\s+")
_CLAUSE_ENDS = re.compile(r"[.;?!:](?:\s+|$)|,\s+(?:(?:or|and)\s+)?|\s+or\s+")


class ZeroShotTeacher:
    """Cosine to label descriptions; `predict_from_vectors` serves callers that have the embeddings."""

    paid = False

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name = f"zero-shot-{encoder.name}-{PROMPT_VERSION}"

    def predict_proba(self, examples: Sequence[Example], labels: LabelSpace) -> Probs:
        """A distribution per example; never abstains on a text."""
        return self.predict_from_vectors(self._encoder.encode([example.text for example in examples]), labels)

    def predict_from_vectors(self, raw: Embeddings, labels: LabelSpace) -> Probs:
        """The same from the encoder's raw rows; a row of zeros or NaN (not embedded) is an abstention."""
        if len(labels) == 0 or len(raw) == 0:
            return np.full((len(raw), len(labels)), np.nan, np.float32)
        sentences, usable = _unit(_sentence_part(raw))
        probs = softmax(sentences @ self._label_vectors(labels).T * SHARPNESS)
        probs[~usable] = np.nan
        return probs

    def _label_vectors(self, labels: LabelSpace) -> NDArray[np.float32]:
        """Shape (labels, half): the weighted mean of each label's prompts, of unit length."""
        prompts = [prompts_for(*pair) for pair in zip(labels.labels, labels.hints, strict=True)]
        flat = [text for group in prompts for text, _ in group]
        vectors, _ = _unit(_sentence_part(self._encoder.encode(flat)))
        weights = np.array([weight for group in prompts for _, weight in group], np.float32)
        first = np.cumsum([0, *(len(group) for group in prompts[:-1])])
        return _unit(np.add.reduceat(vectors * weights[:, None], first))[0]


def prompts_for(label: str, hint: str) -> list[tuple[str, float]]:
    """What stands for a label, with weights: its name, the sentences of its hint and their clauses.

    A hint as a whole is farther from each text than the one clause that fits: taken apart, the same
    descriptions were 10 points better on TREC-6 and 6 on AG News. snake_case and camelCase are read as words.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    words = re.sub(r"[_\-/\s]+", " ", words).strip() or label
    sentences = [part.strip() for part in _SENTENCE_ENDS.split(hint) if part.strip()]
    clauses = [part.strip() for part in _CLAUSE_ENDS.split(hint) if part.strip()]
    parts = [(words, _NAME_WEIGHT if sentences else 1.0)]
    for group in (sentences, clauses):
        parts += [(text, 1.0 / len(group)) for text in group]
    return parts


def _sentence_part(raw: Embeddings) -> Embeddings:
    """The first half of a raw row is the last layer's: the sentence vector."""
    return raw[:, : raw.shape[1] // 2].astype(np.float32)


def _unit(vectors: Embeddings) -> tuple[Embeddings, NDArray[np.bool_]]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(length[:, 0]) & (length[:, 0] > 0)
    return np.where(usable[:, None], vectors, 0) / np.where(usable[:, None], length, 1), usable
