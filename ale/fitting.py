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
from ale.distilling import distil, with_gold
from ale.errors import NotEnoughLabels
from ale.features import FeatureSpace
from ale.folds import assign_folds
from ale.metrics import accuracy, ece, macro_f1
from ale.model import Model, ModelEncoder
from ale.predictor import Predictor
from ale.protocols import Student
from ale.scanner.words import Lexicon
from ale.types import Embeddings, Probs

MOST_HELD_OUT = 20_000
"""Rows that are kept in the model to compute promises from."""

Heard = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class FitInput:
    """Normalised texts and their embeddings; `targets` are label positions, -1 where there is no label.

    Texts without a label are taught by the student alone. `groups` are equal for equal texts. With a `lexicon` the
    scanner knows words that none of the texts has.
    """

    texts: Sequence[str]
    raw: Embeddings
    targets: NDArray[np.int64]
    groups: NDArray[np.int64]
    labels: tuple[str, ...]
    student: type[Student]
    text_column: str = "text"
    lexicon: Lexicon | None = None
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
    believed[labelled] = with_gold(student, truth)

    heard("teaching the scanner")
    folds = assign_folds(truth, given.groups[labelled])
    found = distil(given.texts, believed, labelled, folds, lexicon=given.lexicon, seed=given.seed)
    temperature = fit_temperature(found.logits, truth)
    scanner = found.scanner.at(temperature)
    said = softmax(found.logits, temperature)
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
