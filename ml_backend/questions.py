"""What is still to be asked of each paid teacher in a project, and why not where nothing may be asked.

Shared by the step that asks and the learn run that decides whether a step is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ale.types import LabelSpace, Probs
from ml_backend.agreement import not_agreed
from ml_backend.beliefs import BeliefsReader, PublishedBeliefs
from ml_backend.dataset import Dataset
from ml_backend.opinions import Opinion, Voice
from ml_backend.picking import believed, contested, worth_asking
from ml_backend.settings import Settings
from ml_backend.shots import audit_texts, gold_texts
from ml_backend.store import batches, versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.teachers import NamedTeacher
from ml_backend.tuned_teacher import outgrown


@dataclass(frozen=True, slots=True)
class Wanted:
    """Hashes of the texts to ask this teacher about, the most useful first; or the reason why nothing is asked."""

    teacher: NamedTeacher
    hashes: list[str]
    problem: str = ""


def wanted(
    settings: Settings,
    db: Database,
    project: Project,
    space: LabelSpace,
    dataset: Dataset,
    found: Opinion,
    *,
    as_if_agreed: bool = False,
) -> list[Wanted]:
    """One entry per paid teacher, in their order. Empty once the student beats them, if it is so set.

    `as_if_agreed`: what would be asked if somebody agreed to pay.
    """
    paid = [voice.teacher for voice in found.voices if voice.teacher.paid]
    if not paid or (settings.stop_paying and project.teacher_beaten):
        return []
    gold, blind = gold_texts(project.key, dataset), audit_texts(dataset)
    beliefs, student = _published(settings, db, project)
    entries = []
    for place, voice in enumerate(found.voices):
        if not voice.teacher.paid:
            continue
        problem = _problem(db, project, space, voice.teacher, as_if_agreed=as_if_agreed)
        # All but the last, the dear one, are asked about everything: else nobody could contradict anybody.
        cheaper = found.voices[:place] if place == len(found.voices) - 1 else ()
        asked = {h for h, was in zip(dataset.hashes, voice.asked, strict=True) if was}
        asked |= batches.in_flight(db, voice.teacher.name)  # on their way: not asked twice
        hashes = (
            []
            if problem
            else worth_asking(
                dataset.tasks,
                asked,
                gold,
                beliefs,
                student=student,
                only=_contested(dataset, cheaper, beliefs if student else None),
                blind=blind,
            )
        )
        entries.append(Wanted(voice.teacher, hashes, problem))
    return entries


def _problem(
    db: Database, project: Project, space: LabelSpace, teacher: NamedTeacher, *, as_if_agreed: bool
) -> str:
    refused = "" if as_if_agreed else not_agreed(db, project, teacher.name, space)
    return refused or teacher.problem or outgrown(db, project, teacher.name)


def _contested(
    dataset: Dataset, cheaper: Sequence[Voice], student: PublishedBeliefs | None
) -> list[str] | None:
    """Where the cheaper teachers, and the student as one of them, contradict each other; None without any."""
    if not cheaper:
        return None
    asked = np.all([voice.asked for voice in cheaper], axis=0)
    rows = np.flatnonzero(asked)
    hashes = [dataset.hashes[i] for i in rows]
    voices: list[Probs] = [voice.probs[rows] for voice in cheaper]
    learnt = believed(hashes, student)
    if learnt is not None and learnt.shape == voices[0].shape:
        voices.append(learnt)
    return contested(hashes, voices)


def _published(settings: Settings, db: Database, project: Project) -> tuple[PublishedBeliefs | None, bool]:
    """What is published about the texts, and whether a student stands behind it."""
    version = versions.find(db, project.key, project.version)
    if version is None:
        return None, False
    beliefs = BeliefsReader(settings.checkpoints).read(project.key, version.version)
    return beliefs, version.kind == "student"
