"""What the model says of a batch, as the API gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.cascade import Cascade
from ale.model import Model
from ale.scanner.texts import BAD_ROWS, Texts
from ale.types import Probs

Json = dict[str, Any]


class Sets(Protocol):
    """Labels that hold the right one with a given probability."""

    def sets(self, probs: Probs, deferred: NDArray[np.bool_], coverage: float) -> Sequence[Sequence[int]]:
        """Positions of the labels, the likeliest first; `deferred` rows are the encoder student's."""
        ...


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


def sets_of(model: Model) -> Sets | None:
    """What makes prediction sets; None where the model folder has nothing to make them from."""
    found: Sets | None = getattr(model, "conformal", None)
    return found


def answer(
    model: Model, texts: Sequence[str | None], cascade: Cascade, coverage: float | None = None
) -> list[Answer]:
    """One answer per text, in order. `coverage` needs a model that has `sets_of`."""
    read = Texts.of(texts)
    found = model.classify(read, cascade)
    likely: list[list[str] | None] = [None] * len(texts)
    maker = sets_of(model)
    if coverage is not None and maker is not None:
        probs = softmax(model.scanner.logits(read))
        deferred = np.zeros(len(texts), np.bool_)
        if len(found.deferred):
            deferred[found.deferred] = True
            probs[deferred] = model.student_probs([read[row].decode() for row in found.deferred])
        for row, places in enumerate(maker.sets(probs, deferred, coverage)):
            likely[row] = [model.labels[place] for place in places] if not found.bad[row] else []
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
