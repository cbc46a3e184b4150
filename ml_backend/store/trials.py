"""Answers to a prompt that is on trial, and to one that no longer is in force: paid for once, kept beside.

`replies` holds one answer per teacher, question and text: the one in force. Here stand the others, in the same
table, with the fingerprint of their prompt in the place of the question.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ale.types import Probs
from ml_backend.store import replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Reply


def answers_to(
    db: Database, teacher: str, question: str, prompt: str, hashes: Sequence[str]
) -> dict[str, Reply]:
    """The answers that were given to just this prompt, in force or not, by text."""
    in_force = [row for row in replies.rows(db, teacher, question, hashes) if row.prompt == prompt]
    return {row.text_hash: row for row in (*replies.rows(db, teacher, prompt, hashes), *in_force)}


def as_probs(found: dict[str, Reply], hashes: Sequence[str], n_labels: int) -> Probs:
    """A row per text; NaN where the teacher abstained or was not asked."""
    probs = np.full((len(hashes), n_labels), np.nan, np.float32)
    for i, name in enumerate(hashes):
        row = found.get(name)
        if row is not None and row.probs is not None and len(row.probs) == n_labels:
            probs[i] = row.probs
    return probs


def adopt(session: Session, teacher: str, question: str, prompt: str, instead_of: str | None = None) -> None:
    """Put the answers to this prompt in force; those that they replace are kept under their own prompt.

    `instead_of`: only where the answer in force was given to that one. Part of the caller's transaction.
    """
    mine = Reply.teacher == teacher
    ours = session.scalars(select(Reply.text_hash).where(mine, Reply.question == prompt)).all()
    for start in range(0, len(ours), replies.CHUNK):
        chunk = Reply.text_hash.in_(ours[start : start + replies.CHUNK])
        query = select(Reply.text_hash, Reply.prompt).where(mine, Reply.question == question, chunk)
        in_force = {row.text_hash: row.prompt for row in session.execute(query)}
        for name in ours[start : start + replies.CHUNK]:
            theirs = in_force.get(name)
            if instead_of is not None and theirs != instead_of:
                continue
            this = Reply.text_hash == name
            if theirs is not None:
                session.execute(delete(Reply).where(mine, Reply.question == theirs, this))
                session.execute(
                    update(Reply).where(mine, Reply.question == question, this).values(question=theirs)
                )
            session.execute(
                update(Reply).where(mine, Reply.question == prompt, this).values(question=question)
            )
