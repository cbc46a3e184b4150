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

PROMPT_VERSION = "v1"
SHARPNESS = 20.0  # cosines of MiniLM differ by hundredths; at 20 the probabilities are roughly calibrated


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
        """Shape (labels, half): the mean of each label's prompts, of unit length."""
        prompts = [prompts_for(*pair) for pair in zip(labels.labels, labels.hints, strict=True)]
        flat = [prompt for group in prompts for prompt in group]
        vectors, _ = _unit(_sentence_part(self._encoder.encode(flat)))
        ends = np.cumsum([len(group) for group in prompts])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
        return _unit(means)[0]


def prompts_for(label: str, hint: str) -> list[str]:
    """The sentences that stand for a label; snake_case and camelCase names are read as words."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    words = re.sub(r"[_\-/\s]+", " ", words).strip() or label
    if not hint.strip():
        return [words]
    return [hint.strip(), words, f"{words}: {hint.strip()}"]


def _sentence_part(raw: Embeddings) -> Embeddings:
    """The first half of a raw row is the last layer's: the sentence vector."""
    return raw[:, : raw.shape[1] // 2].astype(np.float32)


def _unit(vectors: Embeddings) -> tuple[Embeddings, NDArray[np.bool_]]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(length[:, 0]) & (length[:, 0] > 0)
    return np.where(usable[:, None], vectors, 0) / np.where(usable[:, None], length, 1), usable
