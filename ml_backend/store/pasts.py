"""Rows of past models: what each student of one kind said of the same tasks, some labels apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sqlalchemy import func, select

from ale.audit.stopping import APART
from ml_backend.store.database import Database
from ml_backend.store.schema import PastModel


def keep(db: Database, project: str, kind: str, labels: int, said: Mapping[int, int]) -> bool:
    """Remember a student of so many labels, if it lies far enough behind the last one that is kept."""
    with db.session() as session:
        last = session.scalar(
            select(func.max(PastModel.labels)).where(
                PastModel.project == project, PastModel.space == kind, PastModel.labels <= labels
            )
        )
        if last is not None and labels - last < APART:
            return False
        session.add(
            PastModel(
                project=project,
                space=kind,
                labels=labels,
                tasks=np.array(list(said), "<i8").tobytes(),
                said=np.array(list(said.values()), "<i2").tobytes(),
            )
        )
        return True


def before(db: Database, project: str, kind: str, labels: int) -> list[tuple[int, dict[int, int]]]:
    """Students of fewer labels, rising: how many they had, and what they said of each task."""
    query = (
        select(PastModel)
        .where(PastModel.project == project, PastModel.space == kind, PastModel.labels < labels)
        .order_by(PastModel.labels)
    )
    with db.session() as session:
        return [(row.labels, _said(row)) for row in session.scalars(query)]


def _said(row: PastModel) -> dict[int, int]:
    tasks, said = np.frombuffer(row.tasks, "<i8"), np.frombuffer(row.said, "<i2")
    return dict(zip(tasks.tolist(), said.tolist(), strict=True))
