"""Rows of the looks: how often a promise was tried, which no success and no refusal makes forgotten.

A promise is a project, a largest error and a confidence. Each has its own risk to be broken, so looks at another
promise do not count against it; who tries several until one succeeds has added their risks up (union bound). That
can not be hindered, but it is told: the certificate names all promises that were tried, and the confidence that is
left over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from ale.audit.finish import Look
from ml_backend.store.database import Database
from ml_backend.store.schema import FinishLook


def made(db: Database, project: str, max_error: float, confidence: float) -> list[Look]:
    """All looks at this promise, in the order of the audit."""
    query = (
        select(FinishLook)
        .where(
            FinishLook.project == project,
            FinishLook.max_error == max_error,
            FinishLook.confidence == confidence,
        )
        .order_by(FinishLook.audited, FinishLook.made_at)
    )
    with db.session() as session:
        return [Look(row.audited, row.model) for row in session.scalars(query)]


def keep(db: Database, project: str, max_error: float, confidence: float, look: Look, version: str) -> None:
    """Remember a look. The same look again is no second one."""
    row = FinishLook(
        project=project,
        max_error=max_error,
        confidence=confidence,
        audited=look.audited,
        model=look.version,
        version=version,
    )
    with suppress(IntegrityError), db.session() as session:  # it is there: made before, or by another process
        session.add(row)


def promises(db: Database, project: str) -> Sequence[tuple[float, float, int]]:
    """Every promise that was tried: largest error, confidence, and at how many numbers of audit labels."""
    query = (
        select(FinishLook.max_error, FinishLook.confidence, func.count(FinishLook.audited.distinct()))
        .where(FinishLook.project == project)
        .group_by(FinishLook.max_error, FinishLook.confidence)
        .order_by(FinishLook.max_error, FinishLook.confidence)
    )
    with db.session() as session:
        return [(float(error), float(sure), int(n)) for error, sure, n in session.execute(query)]
