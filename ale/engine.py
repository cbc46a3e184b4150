"""The whole learning step as one straight line: features, student, temperature, beliefs, ranking, review.

Pure: arrays in, arrays out. Who reads the annotations and who publishes the result is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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
from ale.metrics import accuracy, ece, macro_f1
from ale.predictor import Predictor
from ale.protocols import Strategy, Student
from ale.ranking import Ranking, confidence_of, mix_audit, rank_pool, task_scores
from ale.review import Evidence, Refit, Review, find_label_issues
from ale.types import Beliefs, Embeddings, Indices, LabelIssue, LabelSpace, Probs, Scores

_SECOND_PASS = 20_000  # labelled rows * labels up to which the review may fit a second time


def _no_rows() -> Indices:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LearnInput:
    """All that one learn run needs. Row i of `raw`, `teacher` and `candidates` is pool row i.

    `labelled` may name a row twice (two annotators); `targets`, `groups` and `weights` are aligned with it.
    `candidates` are rows that may be ranked (by default all that have no label).

    `audited` rows have an audit label, which measures and trains nothing; beside them `audit_skipped` were shown
    and got none. `audit_order` are the rows of the audit reserve that wait, in their order; `audit_share` of
    what is served is to be taken from them, given that of `answered` tasks `audit_answered` were.
    """

    raw: Embeddings
    labelled: Indices
    targets: NDArray[np.int64]
    labels: LabelSpace
    strategy: Strategy
    student: Callable[[], Student]
    groups: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None
    teacher: Probs | None = None
    candidates: NDArray[np.bool_] | None = None
    batch: int = 20
    seed: int = 0
    review: bool = True
    audited: Indices = field(default_factory=_no_rows)
    audit_targets: NDArray[np.int64] = field(default_factory=_no_rows)
    audit_skipped: int = 0
    audit_order: Indices = field(default_factory=_no_rows)
    audit_share: float = 0.0
    answered: int = 0
    audit_answered: int = 0

    def __post_init__(self) -> None:
        n = len(self.raw)
        if len(self.labelled) != len(self.targets):
            raise ValueError(f"{len(self.labelled)} labelled rows, {len(self.targets)} targets")
        if self.teacher is not None and self.teacher.shape != (n, len(self.labels)):
            raise ValueError(f"teacher of shape {self.teacher.shape} for {n} rows, {len(self.labels)} labels")
        if self.candidates is not None and len(self.candidates) != n:
            raise ValueError(f"{len(self.candidates)} candidate marks for {n} rows")
        if len(self.labelled) and (self.labelled.min() < 0 or self.labelled.max() >= n):
            raise ValueError("a labelled row is outside the pool")
        if len(self.targets) and (self.targets.min() < 0 or self.targets.max() >= len(self.labels)):
            raise ValueError("a target is outside the label space")
        if len(self.audited) != len(self.audit_targets):
            raise ValueError(f"{len(self.audited)} audited rows, {len(self.audit_targets)} audit targets")
        if np.isin(self.audited, self.labelled).any():
            raise ValueError("an audited row is learnt from")
        if self.candidates is not None and self.candidates[self.audit_order].any():
            raise ValueError("a row of the audit reserve is a candidate")


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
    )
    if found.skipped is not None:
        reasons["review"] = found.skipped
    return found


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
