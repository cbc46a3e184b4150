"""From labelled texts to a model that leaves home: the encoder student, the scanner taught by it, and measures.

Every figure is out of fold: of a text, neither scanner nor student has seen the label when it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.calibration import fit_temperature, softmax
from ale.cascade import HeldOut
from ale.errors import NotEnoughLabels
from ale.features import FeatureSpace
from ale.folds import assign_folds
from ale.metrics import accuracy, ece, macro_f1
from ale.model import Model, ModelEncoder
from ale.predictor import Predictor
from ale.protocols import Student
from ale.scanner.features import STEMS, WORDS
from ale.scanner.learning import learn_scanner
from ale.scanner.scanner import Scanner
from ale.scanner.texts import Texts
from ale.types import Embeddings, Probs

GOLD = 0.8
"""How much of a labelled text's target is its label; the rest is what the student says without having seen it."""
MOST_HELD_OUT = 20_000
"""Rows that are kept in the model to compute promises from."""

Heard = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class FitInput:
    """Normalised texts and their embeddings; `targets` are label positions, -1 where there is no label.

    Texts without a label are taught by the student alone. `groups` are equal for equal texts.
    """

    texts: Sequence[str]
    raw: Embeddings
    targets: NDArray[np.int64]
    groups: NDArray[np.int64]
    labels: tuple[str, ...]
    student: type[Student]
    text_column: str = "text"
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The model and what was measured out of fold."""

    model: Model
    metrics: dict[str, float]


def fit_model(given: FitInput, encoder: ModelEncoder, heard: Heard = lambda _: None) -> Fitted:
    """Teach the student, then the scanner by the student. Deterministic for a seed.

    Raises NotEnoughLabels under two labels. `heard` is told what is being done.
    """
    labelled = np.flatnonzero(given.targets >= 0)
    truth = given.targets[labelled]
    if len(np.unique(truth)) < 2:
        raise NotEnoughLabels("need_two_classes", "a model needs texts of at least two labels")
    heard("teaching the encoder student")
    with threadpool_limits(1, user_api="blas"):
        predictor, student = _student(given, labelled, truth)
        believed = predictor.predict_proba(given.raw)
    believed[labelled] = GOLD * np.eye(len(given.labels), dtype=np.float32)[truth] + (1 - GOLD) * student

    folds = assign_folds(truth, given.groups[labelled])
    fold_of = np.full(len(given.texts), -1, np.int64)
    fold_of[labelled] = folds
    heard("teaching the scanner")
    judged = {form: _held_out(given, believed, fold_of, labelled, form) for form in (WORDS, STEMS)}
    # Fewer features unless more of them are better.
    form = max(judged, key=lambda form: (accuracy(judged[form].argmax(axis=1), truth), -form))
    temperature = fit_temperature(judged[form], truth)
    scanner = learn_scanner(Texts.of(given.texts), believed, form=form, seed=given.seed).at(temperature)
    said = softmax(judged[form], temperature)
    keep = np.linspace(0, len(truth) - 1, min(len(truth), MOST_HELD_OUT)).astype(np.int64)
    held_out = HeldOut(truth[keep].astype(np.int32), said[keep], student[keep])
    model = Model(given.labels, scanner, predictor, encoder, held_out, given.text_column)
    return Fitted(model, _metrics(given, truth, said, student))


def _student(
    given: FitInput, labelled: NDArray[np.int64], truth: NDArray[np.int64]
) -> tuple[Predictor, Probs]:
    """The calibrated student, and its out-of-fold probabilities for the labelled rows."""
    space = FeatureSpace.fit(given.raw)
    fitted = given.student().fit(
        space.transform(given.raw), labelled, truth, labels=len(given.labels), groups=given.groups[labelled]
    )
    logits = fitted.out_of_fold_logits()
    temperature = fit_temperature(logits, truth)
    return Predictor(fitted, space, temperature), softmax(logits, temperature)


def _held_out(
    given: FitInput,
    believed: Probs,
    fold_of: NDArray[np.int64],
    labelled: NDArray[np.int64],
    form: int,
) -> NDArray[np.float32]:
    """Logits of each labelled text from a scanner that has not seen its fold."""
    logits = np.zeros((len(given.texts), len(given.labels)), np.float32)
    for fold in np.unique(fold_of[labelled]):
        seen, rest = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(seen):
            continue
        scanner: Scanner = learn_scanner(
            Texts.of([given.texts[row] for row in seen]), believed[seen], form=form, seed=given.seed
        )
        logits[rest] = scanner.logits(Texts.of([given.texts[row] for row in rest]))
    return logits[labelled]


def _metrics(given: FitInput, truth: NDArray[np.int64], scanner: Probs, student: Probs) -> dict[str, float]:
    mine, theirs = scanner.argmax(axis=1), student.argmax(axis=1)
    return {
        "texts": float(len(given.texts)),
        "labelled": float(len(truth)),
        "scanner_accuracy": accuracy(mine, truth),
        "student_accuracy": accuracy(theirs, truth),
        "agreement": accuracy(mine, theirs),
        "scanner_macro_f1": macro_f1(mine, truth),
        "student_macro_f1": macro_f1(theirs, truth),
        "scanner_ece": ece(scanner, truth),
        "student_ece": ece(student, truth),
    }
