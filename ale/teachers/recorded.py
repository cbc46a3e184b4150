"""A teacher whose answers were recorded: one word per text, read from a column, no call and no cost.

A word says nothing of its own certainty. How much it is worth is measured against people's labels, per label
(GPT's errors are not symmetric), and shrunk to what is assumed while there are few of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ale.teachers.llm.names import Names
from ale.text import to_example
from ale.types import Abstention, Answer, Confidence, Example, LabelSpace, Probs

ASSUMED = 0.8
"""How often a word is right before anything was measured: between zero-shot models and good GPT prompts."""

_STRENGTH = 10.0  # labels that stand behind the assumption, and behind the overall rate of each word


class RecordedTeacher:
    """Answers by text hash. `name` changes with the answers, so that no cache mixes two recordings."""

    paid = False

    def __init__(
        self,
        source: str,
        answers: Mapping[str, str],
        reliability: NDArray[np.floating] | float = ASSUMED,
    ) -> None:
        self._answers = dict(answers)
        self._reliability = reliability
        told = json.dumps([sorted(self._answers.items()), np.asarray(reliability, np.float64).tolist()])
        self.name = f"recorded-{source}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def predict_proba(self, examples: Sequence[Example], labels: LabelSpace) -> Probs:
        """The word's reliability on its label, the rest spread evenly; NaN where it abstains."""
        probs = np.full((len(examples), len(labels)), np.nan, np.float32)
        for row, example in enumerate(examples):
            answer = self.answer(example, labels)
            if answer.probs is not None:
                probs[row] = answer.probs
        return probs

    def answer(self, example: Example, labels: LabelSpace) -> Answer:
        """The recorded answer. Empty = no answer; a word that is no label of the space = an unknown label."""
        word = self._answers.get(example.text_hash)
        if word is None:
            return Answer(None, Abstention.TEACHER_PENDING)
        if not word.strip():
            return Answer(None, Abstention.NO_ANSWER)
        label = _names(labels).find(word.strip())
        if label is None:
            return Answer(None, Abstention.UNKNOWN_LABEL)
        return Answer(hard(np.array([label]), len(labels), self._reliability)[0], confidence=Confidence.NONE)


def answers_by_text(texts: Sequence[str], words: Sequence[str]) -> dict[str, str]:
    """Words by text hash; of a text that stands there twice the first word counts, as a cache would give it."""
    found: dict[str, str] = {}
    for row, (text, word) in enumerate(zip(texts, words, strict=True)):
        example = to_example(row, text)
        if example is not None:
            found.setdefault(example.text_hash, word)
    return found


def hard(said: NDArray[np.int64], labels: int, reliability: NDArray[np.floating] | float = ASSUMED) -> Probs:
    """Words (-1 = silent, gives NaN) as distributions; `reliability` is one number, or one per label."""
    worth = np.broadcast_to(np.asarray(reliability, np.float64), (labels,))
    probs = np.full((len(said), labels), np.nan)
    spoke = np.flatnonzero(said >= 0)
    if labels == 1:
        probs[spoke] = 1.0
        return probs.astype(np.float32)
    right = worth[said[spoke]]
    probs[spoke] = ((1.0 - right) / (labels - 1))[:, None]
    probs[spoke, said[spoke]] = right
    return probs.astype(np.float32)


def measured_reliability(
    said: NDArray[np.int64], human: NDArray[np.int64], labels: int, assumed: float = ASSUMED
) -> NDArray[np.float64]:
    """Per label: how often people agree when the teacher says it, in (0, 1); -1 in `said` is silence.

    Shrunk twice: the overall rate to `assumed`, each label's rate to the overall one, by ten labels each.
    """
    spoke = said >= 0
    hit = spoke & (said == human)
    overall = (hit.sum() + _STRENGTH * assumed) / (spoke.sum() + _STRENGTH)
    asked = np.bincount(said[spoke], minlength=labels)
    right = np.bincount(said[hit], minlength=labels)
    return np.asarray((right + _STRENGTH * overall) / (asked + _STRENGTH), np.float64)


@lru_cache(maxsize=8)
def _names(labels: LabelSpace) -> Names:
    return Names(labels)
