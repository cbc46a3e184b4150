"""From what a method believes after n labels to one place on its curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.audit.temperature import audit_temperature
from ale.calibration import softmax
from ale.chance import Rate
from ale.metrics import accuracy, ece, macro_f1
from ale.reliability import Reliability, ece_by_luck, reliability
from ale.types import Indices, Probs


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a method would say now. Logits are those before calibration; `temperature` is the method's own.

    `audit_logits` has a row per audit label. `fit_seconds` is the student's fit, `learn_seconds` all that a
    person waits for between an answer and the next question. `tuned_share` is that of a tuned encoder, 0 where
    it has no word; then `untuned` says why, in a stable word. None for methods that tune nothing.
    """

    labels: int
    test_logits: NDArray[np.float64]
    audit_logits: NDArray[np.float64]
    temperature: float
    fit_seconds: float
    learn_seconds: float
    tuned_share: float | None = None
    untuned: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """What the audit labels say and do: the student's accuracy on them, with its 95 % interval, and the
    calibration on the test split when the temperature is fitted on them, too.
    """

    accuracy: float
    low: float
    high: float
    ece: float
    ece_by_luck: float
    bins: Reliability


@dataclass(frozen=True, slots=True)
class Point:
    """One place on one curve. `accuracy`, `macro_f1`: higher is better; `ece`: lower, see `ece_by_luck`.

    `labels` counts what the student was trained on: audit labels come on top of it. `tuned_share`, `untuned`:
    see `Outcome`.
    """

    method: str
    seed: int
    labels: int
    accuracy: float
    macro_f1: float
    ece: float
    fit_seconds: float
    learn_seconds: float = float("nan")
    ece_by_luck: float = float("nan")
    bins: Reliability | None = None
    audit: Audited | None = None
    tuned_share: float | None = None
    untuned: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AuditDraw:
    """Pool rows that measure and never train, and all rows that may not be asked because of them."""

    rows: Indices
    reserved: NDArray[np.bool_]


def draw_audit(labels: int, groups: NDArray[np.int64], seed: int) -> AuditDraw:
    """Random pool rows, drawn before the first question. A text that equals one of them is held back too."""
    rows = np.random.default_rng([seed, len(groups)]).permutation(len(groups))[:labels]
    return AuditDraw(rows, np.isin(groups, groups[rows]))


def measure(
    method: str,
    seed: int,
    outcome: Outcome,
    truth: NDArray[np.int64],
    audit_truth: NDArray[np.int64] | None = None,
) -> Point:
    """The point of `outcome` on the test split; with audit labels also what these add."""
    probs = softmax(outcome.test_logits, outcome.temperature)
    said = probs.argmax(axis=1)
    audit = None
    if audit_truth is not None and len(audit_truth):
        audit = _audited(outcome, truth, audit_truth)
    return Point(
        method=method,
        seed=seed,
        labels=outcome.labels,
        accuracy=accuracy(said, truth),
        macro_f1=macro_f1(said, truth),
        ece=ece(probs, truth),
        fit_seconds=outcome.fit_seconds,
        learn_seconds=outcome.learn_seconds,
        ece_by_luck=_luck(probs),
        bins=reliability(probs, truth),
        audit=audit,
        tuned_share=outcome.tuned_share,
        untuned=outcome.untuned,
    )


def _audited(outcome: Outcome, truth: NDArray[np.int64], audit_truth: NDArray[np.int64]) -> Audited:
    right = Rate(int(np.sum(outcome.audit_logits.argmax(axis=1) == audit_truth)), len(audit_truth))
    temperature = audit_temperature(outcome.audit_logits, audit_truth, outcome.temperature)
    probs = softmax(outcome.test_logits, temperature)
    return Audited(right.share, *right.interval, ece(probs, truth), _luck(probs), reliability(probs, truth))


def _luck(probs: Probs) -> float:
    return ece_by_luck(probs, np.random.default_rng(0))
