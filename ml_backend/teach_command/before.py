"""What was answered about a text the last time: by an older question, an older prompt, or another teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from ale.types import LabelSpace
from ml_backend.store import consents, replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Reply

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier answer; None as the answer is an abstention. `why_not_now` tells it from today's."""

    answer: str | None
    teacher: str
    why_not_now: str


def previous(
    db: Database, project: str, teacher: str, space: LabelSpace, hashes: Sequence[str]
) -> dict[str, Before]:
    """The newest answer to each text that is not this teacher's to today's question; by text hash.

    Answers to a question whose labels nobody remembers are left out: a number is no label.
    """
    question = replies.question_of(space)
    asked = consents.questions(db, project) | {question: space.labels}
    found: dict[str, Before] = {}
    with db.session() as session:
        for start in range(0, len(hashes), CHUNK):
            rows = session.scalars(
                select(Reply)
                .where(Reply.text_hash.in_(hashes[start : start + CHUNK]))
                .order_by(Reply.answered_at)
            )
            for row in rows:
                labels = asked.get(row.question)
                if labels is None or (row.teacher, row.question) == (teacher, question):
                    continue
                other = (
                    "another teacher"
                    if row.teacher != teacher
                    else "before the labels or instructions changed"
                )
                found[row.text_hash] = Before(_answer(row, labels), row.teacher, other)
    return found


def said(db: Database, teacher: str, space: LabelSpace, hashes: Sequence[str]) -> dict[str, Before]:
    """This teacher's own answers to today's question, which are about to be replaced."""
    return {
        row.text_hash: Before(_answer(row, space.labels), teacher, "with other examples or hints")
        for row in replies.rows(db, teacher, replies.question_of(space), hashes)
    }


def label_of(reply: Reply, labels: Sequence[str]) -> tuple[str, float] | None:
    """The likeliest label and its probability; None for an abstention."""
    if reply.probs is None or len(reply.probs) != len(labels):
        return None
    probs, label = max(zip(reply.probs, labels, strict=True), key=lambda pair: float(pair[0]))
    return label, float(probs)


def _answer(reply: Reply, labels: Sequence[str]) -> str | None:
    best = label_of(reply, labels)
    return None if best is None else best[0]
