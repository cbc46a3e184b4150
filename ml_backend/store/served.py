"""Rows of what was served and of feedback: keeping, choosing from, taking, forgetting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from ml_backend.store.database import Database
from ml_backend.store.schema import Feedback, Served

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """A prediction with its text, and the last word on it."""

    request_id: str
    item: int
    text: str
    label: str | None
    confidence: float | None
    thumbs: str
    right_label: str | None
    comment: str | None


def keep(db: Database, rows: Sequence[dict[str, Any]]) -> None:
    """New rows of `Served`, all or none; every one with the same columns."""
    with db.session() as session:
        session.execute(insert(Served), list(rows))


def keep_missing(db: Database, rows: Sequence[tuple[Served, Feedback | None]]) -> int:
    """Those whose request is not known; how many that were. For traces, which may be read twice."""
    new = 0
    for start in range(0, len(rows), _AT_ONCE):
        part = {row.request_id: (row, said) for row, said in rows[start : start + _AT_ONCE]}
        with db.session() as session:
            there = set(session.scalars(select(Served.request_id).where(Served.request_id.in_(part))))
            for request_id, (row, said) in part.items():
                if request_id not in there:
                    session.add(row)
                    session.add_all([said] if said else [])
                    new += 1
    return new


def add_feedback(db: Database, given: Feedback) -> None:
    """It is kept when this returns."""
    with db.session() as session:
        session.add(given)


def waiting(db: Database, service: str | None, most: int) -> list[Kept]:
    """The newest that have a text and that no project has taken; those with feedback before all others."""
    heard = select(Feedback.request_id)
    query = select(Served).where(Served.taken_by.is_(None)).order_by(Served.served_at.desc())
    if service is not None:
        query = query.where(Served.service == service)
    with db.session() as session:
        rows = [*session.scalars(query.where(Served.request_id.in_(heard)).limit(most))]
        rest = query.where(Served.text.is_not(None), Served.request_id.not_in(heard))
        rows += session.scalars(rest.limit(max(0, most - len(rows))))
        said = _last_words(session, [row.request_id for row in rows])
    kept = []
    for row in rows:
        word = said.get((row.request_id, row.item))
        text = row.text or (word.text if word else None)
        if text:
            kept.append(
                Kept(
                    row.request_id,
                    row.item,
                    text,
                    row.label,
                    row.confidence,
                    word.thumbs if word else "",
                    word.label if word else None,
                    word.comment if word else None,
                )
            )
    return kept


def _last_words(session: Session, ids: Sequence[str]) -> dict[tuple[str, int], Feedback]:
    found: dict[tuple[str, int], Feedback] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = (
            select(Feedback)
            .where(Feedback.request_id.in_(ids[start : start + _AT_ONCE]))
            .order_by(Feedback.feedback_id)
        )
        for row in session.scalars(query):
            found[row.request_id, row.item] = row
    return found


def take(db: Database, project: str, outcome: str, ids: Iterable[tuple[str, int]]) -> None:
    """They are not asked about again."""
    wanted = list(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        with db.session() as session:
            session.execute(
                update(Served)
                .where(tuple_(Served.request_id, Served.item).in_(part))
                .values(taken_by=project, outcome=outcome)
            )


def drawn(db: Database, service: str | None, since: datetime) -> Sequence[Served]:
    """The random sample since then, the oldest first."""
    query = select(Served).where(Served.drawn, Served.served_at >= since).order_by(Served.served_at)
    if service is not None:
        query = query.where(Served.service == service)
    with db.session() as session:
        return session.scalars(query).all()


def forget(db: Database, service: str, before: datetime) -> int:
    """Delete what a service said before then, with the feedback on it; how many predictions that were."""
    old = (Served.service == service) & (Served.served_at < before)
    with db.session() as session:
        gone = session.scalar(select(func.count()).select_from(Served).where(old)) or 0
        session.execute(delete(Feedback).where(Feedback.request_id.in_(select(Served.request_id).where(old))))
        session.execute(delete(Served).where(old))
        return gone
