"""Which questions each teacher was asked in a project, and which of them somebody agreed to pay for all of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from ale.types import LabelSpace
from ml_backend.store import replies
from ml_backend.store.database import Database
from ml_backend.store.schema import AskedQuestion


def remember(db: Database, project: str, teacher: str, space: LabelSpace) -> None:
    """The teacher is asked this question now: later its answers can be read by the labels that it meant."""
    question = replies.question_of(space)
    with db.session() as session:
        if session.get(AskedQuestion, (project, teacher, question)) is not None:
            return
    with suppress(IntegrityError), db.session() as session:  # another worker may be faster
        session.add(
            AskedQuestion(project=project, teacher=teacher, question=question, labels=list(space.labels))
        )


def agree(db: Database, project: str, teacher: str, space: LabelSpace, by: str = "teach") -> None:
    """Somebody wants the whole project asked, and pays. `by`: see `AskedQuestion.agreed_by`."""
    remember(db, project, teacher, space)
    with db.session() as session:
        session.execute(
            update(AskedQuestion)
            .where(
                AskedQuestion.project == project,
                AskedQuestion.teacher == teacher,
                AskedQuestion.question == replies.question_of(space),
            )
            .values(agreed_at=datetime.now(UTC), agreed_by=by)
        )


def agree_to_first(db: Database, project: str, teachers: Iterable[str], space: LabelSpace) -> None:
    """Connecting has agreed to whatever is asked first, which is this. Nothing is written when there is a first."""
    if not agreed_to(db, project):
        for teacher in teachers:
            agree(db, project, teacher, space, by="connect")


def said_yes(db: Database, project: str, teacher: str, space: LabelSpace) -> bool:
    """Whether somebody has agreed to this very question by `ale teach --yes`."""
    with db.session() as session:
        row = session.get(AskedQuestion, (project, teacher, replies.question_of(space)))
        return row is not None and row.agreed_at is not None and row.agreed_by == "teach"


def agreed_to(db: Database, project: str) -> list[AskedQuestion]:
    """What somebody has agreed to pay for, the latest last."""
    query = (
        select(AskedQuestion)
        .where(AskedQuestion.project == project, AskedQuestion.agreed_at.is_not(None))
        .order_by(AskedQuestion.agreed_at)
    )
    with db.session() as session:
        return list(session.scalars(query))


def questions(db: Database, project: str) -> dict[str, tuple[str, ...]]:
    """The labels behind each question that was asked in the project."""
    query = select(AskedQuestion.question, AskedQuestion.labels).where(AskedQuestion.project == project)
    with db.session() as session:
        return {question: tuple(labels) for question, labels in session.execute(query)}
