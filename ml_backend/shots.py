"""Few-shot examples from what people have labelled: frozen sets, made anew when the labels have grown.

A set is frozen so that answers can name what they were told, and so that the prompt's beginning stays the same
for the provider's cache. A seeded fifth of the labelled texts is never shown to a teacher: the gold texts, on
which teachers are trusted and changes of the prompt are judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select

from ale.io.embeddings import EmbeddingCache
from ale.teachers.llm import EMPTY, Shot, ShotSet, contrast_shots, make_shots
from ale.types import LabelSpace
from ml_backend.dataset import Dataset
from ml_backend.store import mirror, replies, tunings
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, FewShots, ReviewFlag

GOLD_SHARE = 0.2
LEAST = 8
"""Human labels for the first set, and the least number of new ones for another."""
GROWTH = 0.25
MOST = 2_000
"""Examples to choose from; with more, those of the newest annotations."""


@dataclass(frozen=True, slots=True)
class Human:
    """A text's hash and the position of the label that people gave it."""

    text_hash: str
    label: int


def is_gold(project: str, text_hash: str) -> bool:
    """Whether the text, once labelled, is kept for measuring. Equal texts stand on the same side."""
    drawn = int.from_bytes(hashlib.sha256(f"gold:{project}:{text_hash}".encode()).digest()[:8])
    return drawn < GOLD_SHARE * 2**64


def labelled_texts(dataset: Dataset, left_out: Collection[int] = ()) -> list[Human]:
    """Every labelled text once, the newest annotation first; texts with several labels are left out.

    So is one that a task of the audit's reserve has as well: no prompt, patch or fine-tuning sees a text that
    measures. `left_out` are task ids that do not count.
    """
    reserved = _reserve_texts(dataset)
    labels: dict[str, set[int]] = {}
    newest: dict[str, int] = {}
    for row, target, human in zip(dataset.labelled, dataset.targets, dataset.humans, strict=True):
        if human.task_id in left_out:
            continue
        name = dataset.tasks[int(row)].text_hash or ""
        if name in reserved:
            continue
        labels.setdefault(name, set()).add(int(target))
        newest[name] = max(newest.get(name, 0), human.annotation_id)
    order = sorted(labels, key=lambda name: -newest[name])
    return [Human(name, *labels[name]) for name in order if len(labels[name]) == 1]


def _reserve_texts(dataset: Dataset) -> set[str]:
    """Hashes of all texts in the audit's reserve, whether they wait or were answered."""
    audit = dataset.audit
    rows = np.concatenate([audit.rows, audit.front, audit.order])
    return {dataset.tasks[int(row)].text_hash or "" for row in rows}


def gold_texts(project: str, dataset: Dataset) -> list[str]:
    """Hashes of the labelled texts that teachers are measured on, besides those of the audit."""
    return [human.text_hash for human in labelled_texts(dataset) if is_gold(project, human.text_hash)]


def audit_texts(dataset: Dataset) -> list[str]:
    """Hashes of the reserve's texts that people have labelled or skipped."""
    rows = {*dataset.audit.rows.tolist(), *dataset.audit.front.tolist()}
    return list(dict.fromkeys(dataset.tasks[row].text_hash or "" for row in sorted(rows)))


def left_out_tasks(db: Database, project: str) -> set[int]:
    """Tasks whose label is no example: set aside as ground truth, or doubted, by us or by a reviewer."""
    with db.session() as session:
        truth = session.scalars(
            select(Annotation.task_id).where(Annotation.project == project, Annotation.ground_truth)
        )
        doubted = session.scalars(
            select(ReviewFlag.task_id).where(
                ReviewFlag.project == project, ReviewFlag.status.in_(("suspect", "reported"))
            )
        )
        return set(truth) | set(doubted)


def current_shots(
    db: Database,
    project: str,
    teacher: str,
    space: LabelSpace,
    dataset: Dataset,
    cache: EmbeddingCache,
) -> ShotSet:
    """The set that is in force, frozen now if it is time for one; empty before there are `LEAST` labels.

    A set one of whose labels a person has changed, or whose texts are gone, is no longer in force.
    """
    humans = [
        human
        for human in labelled_texts(dataset, left_out_tasks(db, project))
        if not is_gold(project, human.text_hash)
    ]
    known = {human.text_hash: human.label for human in humans}
    if tunings.find_teacher(db, teacher) is not None:
        return EMPTY  # a fine-tuned model has its examples in its weights
    question = replies.question_of(space)
    stored = _newest(db, project, teacher, question)
    if (
        stored is not None
        and len(humans) < stored.labels + max(LEAST, GROWTH * stored.labels)
        and _holds(stored, known, space)
    ):
        return _thawed(db, stored, space, cache)
    if len(humans) < LEAST:
        return EMPTY
    return _freeze(db, project, teacher, space, humans[:MOST], len(humans), cache)


def _newest(db: Database, project: str, teacher: str, question: str) -> FewShots | None:
    with db.session() as session:
        return session.scalars(
            select(FewShots)
            .where(FewShots.project == project, FewShots.teacher == teacher, FewShots.question == question)
            .order_by(FewShots.number.desc())
            .limit(1)
        ).first()


def _holds(stored: FewShots, known: Mapping[str, int], space: LabelSpace) -> bool:
    return all(known.get(name) == space.index(label) for name, label, *_ in (*stored.standing, *stored.pool))


def _thawed(db: Database, stored: FewShots, space: LabelSpace, cache: EmbeddingCache) -> ShotSet:
    hashes = [name for name, *_ in (*stored.standing, *stored.pool)]
    texts = mirror.texts(db, stored.project, hashes)
    standing = [Shot(texts[h], space.labels.index(label), note) for h, label, note in stored.standing]
    pool = [Shot(texts[h], space.labels.index(label)) for h, label in stored.pool]
    vectors, _ = cache.lookup([h for h, _ in stored.pool])
    return make_shots(standing, pool, vectors)


def _freeze(
    db: Database,
    project: str,
    teacher: str,
    space: LabelSpace,
    humans: list[Human],
    labels: int,
    cache: EmbeddingCache,
) -> ShotSet:
    hashes = [human.text_hash for human in humans]
    texts = mirror.texts(db, project, hashes)
    pool = [Shot(texts[human.text_hash], human.label) for human in humans]
    question = replies.question_of(space)
    probs, _ = replies.answers(db, teacher, question, hashes, len(space))
    said = [None if np.isnan(row).any() else int(row.argmax()) for row in probs]
    standing = contrast_shots(pool, said, space.labels)
    vectors, _ = cache.lookup(hashes)
    shots = make_shots(standing, pool, vectors)
    by_text = {shot.text: name for shot, name in zip(pool, hashes, strict=True)}
    with db.session() as session:
        number = session.scalar(select(func.max(FewShots.number)).where(FewShots.project == project))
        session.add(
            FewShots(
                project=project,
                number=int(number or 0) + 1,
                teacher=teacher,
                question=question,
                labels=labels,
                fingerprint=shots.fingerprint,
                standing=[[by_text[s.text], space.labels[s.label], s.note] for s in standing],
                pool=[[human.text_hash, space.labels[human.label]] for human in humans],
            )
        )
    return shots
