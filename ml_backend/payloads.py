"""Between Label Studio's JSON and our words. Pure: no network, no database, no clock.

What a prediction's `score` means: *how little this task needs a human*. Label Studio's uncertainty sampling
serves the lowest first. The batch that the strategy chose stands in [0, 0.05), in the strategy's order; all
other tasks stand in [0.05, 1], at 0.05 + 0.95 * the confidence with the temperature of held-out answers, which
audit labels have no say in (`ale.ranking.task_scores` makes the number, nothing here changes it). The confidence
with the audit's temperature, in [0, 1], is the `score` of the result item, so that a reader of one prediction
never sees the place in the queue as a probability.
"""

from __future__ import annotations

import math

from ale.text import normalise
from ml_backend.controls import Control, Json

Slot = Json | list[Json]
"""One task's entry in the answer to /predict. `[]` says: no prediction, and asks for none to be stored.
`null` would make Label Studio drop the whole batch, `{"result": []}` would count as a prediction."""


def task_text(data: object, control: Control) -> str | None:
    """The normalised text of a task's `data`; None when there is none to read."""
    return normalise(control.text(data))


def to_prediction(
    task_id: int, control: Control, label: str | None, confidence: float | None, score: float, version: str
) -> Json:
    """An entry of Label Studio's `import/predictions`. Without a label it has an empty result: the task has
    its place in the order but shows no suggestion.
    """
    return {"task": task_id, **_prediction(control, label, confidence, score, version)}


def to_slot(
    control: Control, label: str | None, confidence: float | None, score: float, version: str
) -> Slot:
    """The answer to /predict for one task; the abstention when there is no label."""
    return [] if label is None else _prediction(control, label, confidence, score, version)


def _prediction(
    control: Control, label: str | None, confidence: float | None, score: float, version: str
) -> Json:
    """Community Label Studio stores unchecked what it gets, so what leaves here is checked here."""
    if not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise ValueError(f"score {score} is not in [0, 1]")
    return {
        "result": [] if label is None else [control.region(label, confidence)],
        "score": float(score),
        "model_version": version,
    }
