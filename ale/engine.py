"""The whole learning step as one straight line: features, student, temperature, beliefs, ranking, review.

Pure: arrays in, arrays out. Who reads the annotations and who publishes the result is not known here.
"""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.audit.measured import NOTHING_AUDITED, Audit, measure_audit
from ale.audit.temperature import audit_temperature
from ale.calibration import fit_temperature, softmax
from ale.errors import NotEnoughLabels
from ale.features import FeatureSpace
from ale.learn_input import LearnInput
from ale.metrics import accuracy, ece, macro_f1
from ale.predictor import Predictor
from ale.protocols import Student
from ale.ranking import Ranking, confidence_of, mix_audit, rank_pool, task_scores
from ale.review import Decisions, Evidence, Refit, Remaining, Review, find_label_issues
from ale.types import Beliefs, Embeddings, LabelIssue, Probs, Scores

__all__ = ["LearnInput", "Learned", "learn"]

_SECOND_PASS = 20_000  # labelled rows * labels up to which the review may fit a second time


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a learn run found out.

    `probs` has a row per pool row: the student's calibrated belief, else the teacher's, else NaN.
    `ranking` holds pool rows; `scores` is NaN for rows that are no candidates, else 0 = ask now, 1 = leave.
    `reasons` says, in stable words, which steps were left out. `audit` is what the audit labels say.
    """

    predictor: Predictor | None
    space: FeatureSpace
    probs: Probs
    ranking: Ranking
    scores: Scores
    issues: list[LabelIssue]
    metrics: dict[str, float]
    reasons: dict[str, str] = field(default_factory=dict)
    audit: Audit = NOTHING_AUDITED
    remaining: Remaining | None = None
    """Wrong labels among those that nobody has reviewed; None where nothing could be judged."""
    held_out: Probs | None = None
    """Calibrated out-of-fold probabilities of each labelled row; None without a student."""
    unaided: Probs | None = None
    """`probs` without the help of any audit label: at the out-of-fold temperature, and out of fold where a row
    is labelled. What is to be proved by the audit must not have seen it."""

    @property
    def student(self) -> Student | None:
        """The fitted student, None while there is too little to learn from."""
        return None if self.predictor is None else self.predictor.student

    @property
    def temperature(self) -> float:
        """The student's temperature, 1 without a student."""
        return 1.0 if self.predictor is None else self.predictor.temperature


def learn(given: LearnInput) -> Learned:
    """The learn run. Deterministic for a seed; never raises for too few labels, it says so in `reasons`."""
    # L-BFGS makes thousands of small products: there a second BLAS thread waits more than it works
    # (measured on two cores: three to ten times as slow).
    with threadpool_limits(1, user_api="blas"):
        return _learn(given)


def _learn(given: LearnInput) -> Learned:
    clock = _Clock()
    reasons: dict[str, str] = {}
    space = FeatureSpace.fit(given.raw)
    features = space.transform(given.raw)
    clock.lap("features")

    fitted = _fit(given, features, reasons)
    predictor = held_out = audited = None
    out_of_fold = 1.0
    probs = unaided = _nothing(given) if given.teacher is None else given.teacher
    if fitted is not None:
        logits, pool = fitted.out_of_fold_logits(), fitted.pool_logits()
        out_of_fold = fit_temperature(logits, given.targets, given.weights)
        held_out = softmax(logits, out_of_fold)
        audited = pool[given.audited]
        temperature = audit_temperature(audited, given.audit_targets, out_of_fold)
        predictor = Predictor(fitted, space, temperature)
        probs, unaided = softmax(pool, temperature), softmax(pool, out_of_fold)
    clock.lap("fit")

    committee = None if fitted is None else fitted.committee()
    # By `unaided`: had audit labels a say in what is asked next, the next student would know of them.
    ranking, scores = _rank(given, features, None if predictor is None else unaided, committee)
    clock.lap("rank")
    found = _review(given, features, fitted, held_out, reasons)
    clock.lap("review")
    audit = measure_audit(
        given.audit_targets,
        given.audit_skipped,
        audited,
        out_of_fold=out_of_fold,
        teacher=None if given.teacher is None else given.teacher[given.audited],
    )
    if held_out is not None:
        unaided = unaided.copy()
        unaided[given.labelled] = held_out
    return Learned(
        predictor=predictor,
        space=space,
        probs=probs,
        ranking=ranking,
        scores=scores,
        issues=found.issues,
        remaining=found.remaining,
        metrics=_metrics(given, held_out) | audit.metrics | clock.seconds,
        reasons=reasons,
        audit=audit,
        held_out=held_out,
        unaided=unaided,
    )


def _fit(given: LearnInput, features: Embeddings, reasons: dict[str, str]) -> Student | None:
    try:
        return _student(given.student(), given, features, given.weights)
    except NotEnoughLabels as error:
        reasons["student"] = error.reason
        return None


def _student(
    student: Student, given: LearnInput, features: Embeddings, weights: NDArray[np.float64] | None
) -> Student:
    return student.fit(
        features,
        given.labelled,
        given.targets,
        labels=len(given.labels),
        groups=given.groups,
        teacher=given.teacher,
        weights=weights,
    )


def _rank(
    given: LearnInput, features: Embeddings, student: Probs | None, committee: NDArray[np.float32] | None
) -> tuple[Ranking, Scores]:
    """The ranking in pool rows, and the published score of every pool row."""
    mark = given.candidates
    if mark is None:
        mark = np.ones(len(given.raw), bool)
        mark[given.labelled] = mark[given.audited] = mark[given.audit_order] = False
    rows = np.flatnonzero(mark)
    beliefs = Beliefs(
        embeddings=features[rows],
        student=None if student is None else student[rows],
        teacher=None if given.teacher is None else given.teacher[rows],
        labelled=features[np.unique(given.labelled)],
        committee=None if committee is None else committee[:, rows],
    )
    local = rank_pool(beliefs, given.strategy, given.batch, np.random.default_rng(given.seed))
    local = mix_audit(
        local,
        len(given.audit_order),
        given.audit_share,
        seed=given.seed,
        answered=given.answered,
        audited=given.audit_answered,
    )
    if len(local.audit):
        rows = np.concatenate([rows, given.audit_order])
    scores = np.full(len(given.raw), np.nan)
    scores[rows] = task_scores(local, confidence_of(beliefs))
    return Ranking(rows[local.order], local.queue, rows[local.audit]), scores


def _review(
    given: LearnInput,
    features: Embeddings,
    fitted: Student | None,
    held_out: Probs | None,
    reasons: dict[str, str],
) -> Review:
    if fitted is None or held_out is None or not given.review:
        return Review([], "no_student" if held_out is None else "not_asked")
    found = find_label_issues(
        Evidence(
            held_out=held_out,
            targets=given.targets,
            features=features[given.labelled],
            groups=given.groups,
            teacher=None if given.teacher is None else given.teacher[given.labelled],
            refit=_refit(given, features, fitted),
        ),
        given.labels,
        reviewed=given.reviewed,
        decisions=_decisions(given, features),
        precision=given.review_precision,
    )
    if found.skipped is not None:
        reasons["review"] = found.skipped
    return found


def _decisions(given: LearnInput, features: Embeddings) -> Decisions | None:
    past = given.past
    return None if past is None else Decisions(features[past.rows], past.targets, past.doubts, past.wrong)


def _refit(given: LearnInput, features: Embeddings, fitted: Student) -> Refit | None:
    """The review's second pass; left out where it would double a wait of seconds.

    By a copy of the student, which knows the pool already.
    """
    if len(given.targets) * len(given.labels) > _SECOND_PASS:
        return None

    def held_out(weights: NDArray[np.float64]) -> Probs:
        if given.weights is not None:
            weights = weights * given.weights
        logits = _student(copy(fitted), given, features, weights).out_of_fold_logits()
        return softmax(logits, fit_temperature(logits, given.targets, weights))

    return held_out


def _nothing(given: LearnInput) -> Probs:
    return np.full((len(given.raw), len(given.labels)), np.nan, np.float32)


def _metrics(given: LearnInput, held_out: Probs | None) -> dict[str, float]:
    counts = {"n_labels": float(len(given.targets)), "n_classes": float(len(np.unique(given.targets)))}
    if held_out is None:
        return counts
    predicted = held_out.argmax(axis=1)
    return counts | {
        "oof_accuracy": accuracy(predicted, given.targets),
        "oof_macro_f1": macro_f1(predicted, given.targets),
        "oof_ece": ece(held_out, given.targets),
    }


class _Clock:
    """Seconds per step, under `seconds_<step>`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[f"seconds_{step}"] = now - self._last
        self._last = now
