"""The detectors that are compared, and the figures of each on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ale.benchmark.noise.injecting import Gold
from ale.calibration import fit_temperature, softmax
from ale.review.evidence import Evidence
from ale.review.issues import CUT, flags, suggestions
from ale.review.ridge import held_out_by_ridge
from ale.review.weighing import weigh
from ale.students import HybridStudent
from ale.types import Embeddings, Probs

OURS = "ale"
WITHOUT = "ale-without-teacher"

Figures = dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one run. `groups` are equal for equal texts; `teacher` has a row for each, NaN where it abstained."""

    texts: list[str]
    features: Embeddings
    gold: Gold
    groups: NDArray[np.int64]
    teacher: Probs | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Figures by detector; labels after a simulated reviewer gave the gold label to every flag of `cleaner`."""

    figures: dict[str, Figures] = field(default_factory=dict)
    cleaner: str = WITHOUT
    cleaned: Gold = field(default_factory=lambda: np.zeros(0, np.int64))
    student: HybridStudent = field(default_factory=HybridStudent)
    """Trained on the labels as given, without the teacher."""


def detect(rows: Rows, given: Gold, labels: int) -> Found:
    """Ours without and with the teacher, and cleanlab and plain self-confidence on the default student's held-out
    probabilities and on those of the leave-one-out ridge alone. Natural errors of the gold labels count against
    all of them. AUROC, precision at the number of errors (`p@k`) and average precision are absent without errors.
    """
    error = given != rows.gold
    at = np.arange(len(given))
    student = HybridStudent().fit(rows.features, at, given, labels=labels, groups=rows.groups)
    logits = student.out_of_fold_logits()
    probs = softmax(logits, fit_temperature(logits, given)).astype(np.float64)
    alone = np.exp(held_out_by_ridge(rows.features, given, labels, rows.groups))
    figures = {
        "self-confidence": _ranked(1.0 - probs[at, given], error),
        "cleanlab": _cleanlab(probs, given, error),
        "self-confidence of ridge": _ranked(1.0 - alone[at, given], error),
        "cleanlab of ridge": _cleanlab(alone, given, error),
    }
    cleaner, cleaned = "", given
    for name, teacher in ((WITHOUT, None), (OURS, rows.teacher)):
        if name == WITHOUT or teacher is not None:
            evidence = Evidence(
                None, given, rows.features, groups=rows.groups, texts=rows.texts, teacher=teacher
            )
            judged = weigh(evidence, labels)
            flagged = np.zeros(len(given), bool)
            flagged[flags(evidence, judged, suggestions(judged, given), CUT)] = True
            figures[name] = _ranked(judged.score, error) | _cut(flagged, error) | {"estimated": judged.errors}
            cleaner, cleaned = name, np.where(flagged, rows.gold, given)
    return Found(figures, cleaner, cleaned, student)


def _ranked(score: NDArray[np.float64], error: NDArray[np.bool_]) -> Figures:
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not error.any() or error.all():
        return {}
    first = np.argsort(-score, kind="stable")[: error.sum()]
    return {
        "auroc": float(roc_auc_score(error, score)),
        "p@k": float(error[first].mean()),
        "ap": float(average_precision_score(error, score)),
    }


def _cut(flagged: NDArray[np.bool_], error: NDArray[np.bool_]) -> Figures:
    """Of the default cut; precision is absent where nothing is flagged."""
    hits = float((flagged & error).sum())
    told = {"flagged": float(flagged.mean())}
    if error.any():
        told["recall"] = hits / float(error.sum())
        if flagged.any():
            told["precision"] = hits / float(flagged.sum())
    return told


def _cleanlab(probs: NDArray[np.float64], given: Gold, error: NDArray[np.bool_]) -> Figures:
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(given, probs, method="normalized_margin")
    flagged = np.asarray(find_label_issues(given, probs, n_jobs=1), bool)
    count = {"estimated": float(num_label_issues(given, probs))}
    return _ranked(1.0 - np.asarray(quality), error) | _cut(flagged, error) | count
