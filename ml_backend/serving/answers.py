"""What the model says of a batch, as the API gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ale.cascade import Cascade
from ale.model import Model
from ale.scanner.texts import BAD_ROWS, Texts

Json = dict[str, Any]


class Answer(NamedTuple):
    """One text's: label and calibrated confidence, or the reason why there is none; a prediction set if asked for."""

    label: str | None
    confidence: float
    reason: str | None
    likely: list[str] | None = None

    def as_json(self) -> Json:
        """As the API gives it."""
        told: Json = {"label": self.label, "confidence": round(self.confidence, 4), "reason": self.reason}
        return told if self.likely is None else {**told, "set": self.likely}


def answer(
    model: Model, texts: Sequence[str | None], cascade: Cascade, coverage: float | None = None
) -> list[Answer]:
    """One answer per text, in order. ConfigurationError where too few texts were held out for that coverage."""
    threshold = None if coverage is None else model.set_threshold(coverage, cascade)
    found = model.classify(Texts.of(texts), cascade, threshold=threshold)
    likely: list[list[str] | None] = [None] * len(texts)
    if found.sets is not None:
        likely = [[model.labels[place] for place in np.flatnonzero(row)] for row in found.sets]
    rows = zip(found.best.tolist(), found.confidence.tolist(), found.bad.tolist(), likely, strict=True)
    return [
        Answer(
            None if best < 0 else model.labels[best],
            confidence if best >= 0 else 0.0,
            str(BAD_ROWS[bad - 1]) if bad else None,
            of,
        )
        for best, confidence, bad, of in rows
    ]
