"""What the teachers say about a project's texts: their stored answers, made honest, and made one.

Every paid teacher is calibrated against people's labels; several teachers are fused as noisy annotators. Nobody is asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.teachers.calibrate import fit_calibration
from ale.teachers.fuse import fuse
from ale.trust import Comparison, Verdict, compare
from ale.types import LabelSpace, Probs
from ml_backend.dataset import Dataset
from ml_backend.store import replies
from ml_backend.store.database import Database
from ml_backend.teachers import NamedTeacher

BEATEN_ALPHA = 0.01
"""Smaller than usual: the test is made after every learn run, not once."""
BEATEN_FROM = 50
"""Texts that people, teacher and student have all labelled; fewer would not carry a farewell."""


FOLDS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """One teacher's answers (calibrated, if it is paid), a row per text of the data set, and which texts it was asked about.

    `said` are the answers as it gave them.
    """

    teacher: NamedTeacher
    probs: Probs
    asked: NDArray[np.bool_]
    said: Probs

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Rows without an answer: abstained, or not asked."""
        return np.asarray(np.isnan(self.probs).any(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What all teachers together believe (None when none has said anything), and each by itself."""

    probs: Probs | None
    voices: tuple[Voice, ...]

    @property
    def counts(self) -> dict[str, object]:
        """Texts that were answered, abstained on, and never asked; in all and by teacher."""
        each = {
            voice.teacher.name: {
                "answers": int((~voice.silent).sum()),
                "abstained": int((voice.asked & voice.silent).sum()),
            }
            for voice in self.voices
        }
        if not self.voices:
            return {}
        asked = np.any([voice.asked for voice in self.voices], axis=0)
        silent = np.all([voice.silent for voice in self.voices], axis=0)
        return {
            "teacher_answers": int((~silent).sum()),
            "teacher_abstained": int((asked & silent).sum()),
            "teacher_pending": int((~asked).sum()),
            "teachers": each,
        }


NOBODY = Opinion(None, ())


def opinion(db: Database, teachers: Sequence[NamedTeacher], space: LabelSpace, dataset: Dataset) -> Opinion:
    """The stored answers to this label space about these texts."""
    question, size = replies.question_of(space), len(space)
    voices = []
    for teacher in teachers:
        probs, asked = replies.answers(db, teacher.name, question, dataset.hashes, size)
        honest = probs
        if teacher.paid:
            # A free teacher's sharpness is set on public data. The labels here are of the hardest texts and the
            # doubted ones: calibrated on those it would be too meek a witness against a wrong label (measured).
            calibration = fit_calibration(probs[dataset.labelled], dataset.targets)
            honest = calibration.apply(probs).astype(np.float32)
        voices.append(Voice(teacher, honest, asked, probs))
    spoken = [voice for voice in voices if not voice.silent.all()]
    if not spoken:
        return Opinion(None, tuple(voices))
    probs = spoken[0].probs if len(spoken) == 1 else _fused([v.probs for v in spoken], dataset)
    return Opinion(probs, tuple(voices))


def _fused(answers: list[Probs], dataset: Dataset) -> Probs:
    """The teachers' common belief. Where a person has labelled a text, it is what they would believe without
    that label: the engine takes it for evidence about the label.
    """
    human = np.full(len(dataset.tasks), -1, np.int64)
    human[dataset.labelled] = dataset.targets
    probs = fuse(answers, human).probs
    # Equal texts stay together; drawn, because the order of the texts may follow their labels.
    drawn = np.random.default_rng(0).integers(0, FOLDS, size=len(dataset.tasks))
    for fold in range(FOLDS):
        rows = dataset.labelled[drawn[dataset.groups] == fold]
        if len(rows):
            hidden = human.copy()
            hidden[rows] = -1
            probs[rows] = fuse(answers, hidden).probs[rows]
    return probs


def beaten(found: Opinion, student: Probs | None, dataset: Dataset) -> str:
    """The figures, when the student beats every paid teacher on texts that people have labelled; else empty.

    `student` has an out-of-fold row per labelled row. Equal texts count once.
    """
    paid = [voice for voice in found.voices if voice.teacher.paid]
    if student is None or not paid:
        return ""
    _, once = np.unique(dataset.groups, return_index=True)
    rows = dataset.labelled[once]
    said = []
    for voice in paid:
        result = compare(student[once], voice.probs[rows], dataset.targets[once], BEATEN_ALPHA)
        if result.verdict is not Verdict.STUDENT_BETTER or result.student.of < BEATEN_FROM:
            return ""
        said.append(_figures(voice.teacher.name, result))
    return "; ".join(said)


def _figures(name: str, result: Comparison) -> str:
    return (
        f"of {result.student.of} texts that people labelled the student has {result.student.share:.0%} right, "
        f"{name} {result.teacher.share:.0%} (p = {result.p_value:.1g})"
    )
