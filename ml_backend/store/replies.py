"""Teacher answers: asked once, kept for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from ale.types import Abstention, Answer, Confidence, LabelSpace, Probs, Usage
from ml_backend.store.database import Database
from ml_backend.store.schema import Reply
from ml_backend.store.spend import Settled, settle

CHUNK = 500


def question_of(labels: LabelSpace) -> str:
    """Fingerprint of all that a teacher is told besides the text. Aliases count where there are any: without
    them the fingerprint is that of the answers that were stored before they counted.
    """
    said: list[object] = [labels.labels, labels.hints, labels.instructions]
    if any(labels.aliases):
        said.append(labels.aliases)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


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


def save(db: Database, teacher: str, question: str, probs: Mapping[str, NDArray[np.float32]]) -> None:
    """Keep answers that are distributions by text hash; a row of NaN is an abstention."""
    keep(
        db,
        teacher,
        question,
        {
            text: Answer(None, Abstention.TEACHER_UNAVAILABLE)
            if np.isnan(row).any()
            else Answer(np.asarray(row, np.float32), confidence=Confidence.COSINE)
            for text, row in probs.items()
        },
    )


def keep(
    db: Database,
    teacher: str,
    question: str,
    answers: Mapping[str, Answer],
    *,
    usd: Callable[[Usage], float | None] = lambda _: 0.0,
    project: str = "",
    settled: Sequence[Settled] = (),
) -> None:
    """Keep answers by text hash together with what `project` paid for them, in one transaction.

    An answer that is there already stays: it was the first.
    """
    try:
        _keep(db, teacher, question, answers, usd, project, settled)
    except IntegrityError:
        # Somebody else has saved the same text between our look and our INSERT: now we see it.
        _keep(db, teacher, question, answers, usd, project, settled)


def _keep(
    db: Database,
    teacher: str,
    question: str,
    answers: Mapping[str, Answer],
    usd: Callable[[Usage], float | None],
    project: str,
    settled: Sequence[Settled],
) -> None:
    hashes = list(answers)
    mine = Reply.teacher == teacher, Reply.question == question
    with db.session() as session:
        known: set[str] = set()
        for start in range(0, len(hashes), CHUNK):
            chunk = hashes[start : start + CHUNK]
            known.update(session.scalars(select(Reply.text_hash).where(*mine, Reply.text_hash.in_(chunk))))
        rows = [
            {
                "teacher": teacher,
                "question": question,
                "text_hash": text,
                "probs": None if answer.probs is None else [round(float(p), 6) for p in answer.probs],
                "abstention": answer.abstention,
                "prompt": answer.prompt,
                "confidence": answer.confidence,
                "unseen": answer.unseen,
                "prompt_tokens": answer.usage.prompt,
                "cached_tokens": answer.usage.cached,
                "completion_tokens": answer.usage.completion,
                "usd": usd(answer.usage),
            }
            # In one order: two workers that bring the same texts would else wait for each other, on Postgres.
            for text, answer in sorted(answers.items())
            if text not in known
        ]
        if rows:
            session.execute(insert(Reply), rows)
        settle(session, project, settled)


def forget(db: Database, teacher: str, question: str, hashes: Sequence[str]) -> None:
    """Drop the answers to these texts, so that they are asked (and paid) again: only a person may want that."""
    with db.session() as session:
        for start in range(0, len(hashes), CHUNK):
            chunk = hashes[start : start + CHUNK]
            session.execute(
                delete(Reply).where(
                    Reply.teacher == teacher, Reply.question == question, Reply.text_hash.in_(chunk)
                )
            )


def abstentions(db: Database, teacher: str, question: str) -> dict[str, int]:
    """Numbers of abstentions by reason."""
    query = (
        select(Reply.abstention, func.count())
        .where(Reply.teacher == teacher, Reply.question == question, Reply.abstention.is_not(None))
        .group_by(Reply.abstention)
    )
    with db.session() as session:
        return {str(reason): int(n) for reason, n in session.execute(query)}


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
            .where(Reply.teacher == teacher, Reply.question == question, Reply.abstention.is_not(None))
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


def rows(db: Database, teacher: str, question: str, hashes: Sequence[str]) -> list[Reply]:
    """The stored answers to these texts, abstentions too, with all that is known of them."""
    found: list[Reply] = []
    with db.session() as session:
        for start in range(0, len(hashes), CHUNK):
            chunk = hashes[start : start + CHUNK]
            found += session.scalars(
                select(Reply).where(
                    Reply.teacher == teacher, Reply.question == question, Reply.text_hash.in_(chunk)
                )
            )
    return found


def put_back(db: Database, old: Sequence[Reply]) -> None:
    """Answers that were forgotten, where there is no newer one."""
    columns = [column.key for column in Reply.__table__.columns]
    for row in old:
        with suppress(IntegrityError), db.session() as session:
            if session.get(Reply, (row.teacher, row.question, row.text_hash)) is None:
                session.add(Reply(**{name: getattr(row, name) for name in columns}))
