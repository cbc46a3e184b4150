"""What a reviewer is told about a doubted label: the model's reason, each teacher's opinion, the texts most like it.

All from what is stored: nobody is asked, nothing is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ale.features import FeatureSpace
from ale.review.neighbours import NEAR
from ale.types import LabelSpace
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.learning import Learning
from ml_backend.review_flags import GESTURES
from ml_backend.review_project.layout import shown
from ml_backend.store import mirror, replies
from ml_backend.store.database import Database
from ml_backend.store.schema import ReviewFlag

SIMILAR = 3
EXCERPT = 110
"""Characters of a similar text: enough to see what it is about."""


def evidence_for(
    db: Database, project: str, learning: Learning, space: LabelSpace, flags: Sequence[ReviewFlag]
) -> dict[int, str]:
    """The lines of "Why" by task."""
    if not flags:
        return {}
    lines = {
        flag.task_id: [reason_of(flag, teachers=not said), *said]
        for flag, said in zip(flags, _teachers(db, learning, space, flags), strict=True)
    }
    dataset = build_dataset(
        mirror.all_tasks(db, project), mirror.all_annotations(db, project), space, reserve=None
    )
    for task_id, similar in _similar(db, project, learning, space, dataset, flags).items():
        lines[task_id] += similar
    return {task_id: "\n".join(told) for task_id, told in lines.items()}


def reason_of(flag: ReviewFlag, *, teachers: bool) -> str:
    """The flag's reason without the gestures, which are for the tab; without the teachers where each has a line."""
    first, *more = flag.reason.removesuffix(GESTURES).strip().rstrip(".").split("; ")
    kept = [part for part in more if teachers or not part.endswith(("agree", "agrees"))]
    return f"{'; '.join([first, *kept])}."


def _teachers(
    db: Database, learning: Learning, space: LabelSpace, flags: Sequence[ReviewFlag]
) -> list[list[str]]:
    """For each flag a line per teacher that has answered."""
    hashes = [flag.text_hash for flag in flags]
    told: list[list[str]] = [[] for _ in flags]
    for teacher in learning.teachers:
        probs, _ = replies.answers(db, teacher.name, replies.question_of(space), hashes, len(space))
        for lines, row in zip(told, probs, strict=True):
            if np.isfinite(row).all():
                best = int(row.argmax())
                ours = teacher.name.startswith("zero-shot")  # its full name is that of its weights
                name = "The zero-shot teacher" if ours else teacher.name
                lines.append(f"{name} says {shown(space.labels[best], space)} ({row[best]:.2f}).")
    return told


def _similar(
    db: Database,
    project: str,
    learning: Learning,
    space: LabelSpace,
    dataset: Dataset,
    flags: Sequence[ReviewFlag],
) -> dict[int, list[str]]:
    """The most similar texts with a label, other than the text itself."""
    raw, there = learning.cache.lookup(dataset.hashes)
    if not there.any():
        return {}
    centred = FeatureSpace.fit(raw[there])
    labelled = np.array([row for row in dataset.labelled.tolist() if there[row]], np.int64)
    labels = {int(row): human.label for row, human in zip(dataset.labelled, dataset.humans, strict=True)}
    features = centred.transform(raw[labelled])
    rows = {task.task_id: row for row, task in enumerate(dataset.tasks)}
    found: dict[int, list[int]] = {}
    for flag in flags:
        row = rows.get(flag.task_id)
        if row is None or not there[row]:
            continue
        cosines = features @ centred.transform(raw[row : row + 1])[0]
        near = [int(labelled[i]) for i in np.argsort(-cosines, kind="stable") if cosines[i] >= NEAR]
        found[flag.task_id] = _others(near, dataset, flag.text_hash)
    texts = mirror.texts(db, project, [dataset.hashes[row] for near in found.values() for row in near])
    return {
        task_id: [
            f"Similar, labelled {shown(labels[row], space)}: “{_excerpt(texts.get(dataset.hashes[row], ''))}”"
            for row in near
        ]
        for task_id, near in found.items()
    }


def _others(near: Sequence[int], dataset: Dataset, text_hash: str) -> list[int]:
    """The first few with texts of their own."""
    seen = {text_hash}
    found: list[int] = []
    for row in near:
        if dataset.hashes[row] not in seen and len(found) < SIMILAR:
            seen.add(dataset.hashes[row])
            found.append(row)
    return found


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1].rstrip() + "…"
