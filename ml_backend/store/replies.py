"""Teacher answers: asked once, kept for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from ale.types import LabelSpace, Probs
from ml_backend.store.database import Database
from ml_backend.store.schema import Reply

CHUNK = 500


def question_of(labels: LabelSpace) -> str:
    """Fingerprint of all that a teacher is told besides the text."""
    payload = json.dumps([labels.labels, labels.hints, labels.instructions])
    return hashlib.sha256(payload.encode()).hexdigest()[:32]


def answers(
    db: Database, teacher: str, question: str, hashes: Sequence[str], n_labels: int
) -> tuple[Probs, NDArray[np.bool_]]:
    """Probabilities by text (NaN rows where there is none), and a mask of the texts that were asked."""
    probs = np.full((len(hashes), n_labels), np.nan, dtype=np.float32)
    asked = np.zeros(len(hashes), dtype=bool)
    with db.session() as session:
        rows = session.execute(
            select(Reply.text_hash, Reply.probs).where(Reply.teacher == teacher, Reply.question == question)
        ).all()
    found = {row.text_hash: row.probs for row in rows}
    for i, text in enumerate(hashes):
        if text in found:
            asked[i] = True
            values = found[text]
            if values is not None and len(values) == n_labels:
                probs[i] = values
    return probs, asked


def asked(db: Database, teacher: str, question: str) -> set[str]:
    """Hashes of the texts that this teacher has answered or abstained on."""
    with db.session() as session:
        return set(
            session.scalars(
                select(Reply.text_hash).where(Reply.teacher == teacher, Reply.question == question)
            )
        )


def save(
    db: Database,
    teacher: str,
    question: str,
    probs: Mapping[str, NDArray[np.float32]],
    abstention: str = "abstained",
) -> None:
    """Keep answers by text hash; a NaN row is an abstention. An answer that is there already stays."""
    hashes = list(probs)
    with db.session() as session:
        known: set[str] = set()
        for start in range(0, len(hashes), CHUNK):
            known.update(
                session.scalars(
                    select(Reply.text_hash).where(
                        Reply.teacher == teacher,
                        Reply.question == question,
                        Reply.text_hash.in_(hashes[start : start + CHUNK]),
                    )
                )
            )
        for text, row in probs.items():
            if text in known:
                continue
            silent = bool(np.isnan(row).any())
            session.add(
                Reply(
                    teacher=teacher,
                    question=question,
                    text_hash=text,
                    probs=None if silent else [round(float(p), 6) for p in row],
                    abstention=abstention if silent else None,
                )
            )


def count(db: Database, teacher: str, question: str) -> tuple[int, int]:
    """Numbers of answers and of abstentions."""
    with db.session() as session:
        total = session.scalar(
            select(func.count())
            .select_from(Reply)
            .where(Reply.teacher == teacher, Reply.question == question)
        )
        silent = session.scalar(
            select(func.count())
            .select_from(Reply)
            .where(Reply.teacher == teacher, Reply.question == question, Reply.probs.is_(None))
        )
        return int(total or 0) - int(silent or 0), int(silent or 0)


def newest(db: Database, question: str, hashes: Sequence[str], n_labels: int) -> dict[str, Probs]:
    """The latest answer to each of a few texts by whichever teacher; texts without one are left out."""
    found: dict[str, Probs] = {}
    with db.session() as session:
        for start in range(0, len(hashes), CHUNK):
            rows = session.execute(
                select(Reply.text_hash, Reply.probs)
                .where(Reply.question == question, Reply.text_hash.in_(hashes[start : start + CHUNK]))
                .order_by(Reply.answered_at)
            )
            found.update(
                {
                    text: np.array(probs, np.float32)
                    for text, probs in rows
                    if probs and len(probs) == n_labels
                }
            )
    return found
