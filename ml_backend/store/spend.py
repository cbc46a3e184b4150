"""A project's budget: money and tokens are set aside before each call, and counted after it.

Setting aside is one conditional UPDATE, so that many workers together can not overspend by one call. What a
worker that died had set aside stays counted: the provider may well have answered and charged.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ml_backend.store.database import Database
from ml_backend.store.schema import Reservation, Spend

NANO = 1_000_000_000
NOTHING_LOADED = {"synchronize_session": False}
"""No row stands in the session's memory that an UPDATE would have to be followed in."""
DEAD_AFTER = timedelta(minutes=20)
"""A job is ended after 15 minutes: a reservation that is older belongs to nobody any more."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a project may cost; None = no such limit. Zero forbids every call."""

    usd: float | None = None
    tokens: int | None = None

    @property
    def nano_usd(self) -> int | None:
        """The money in billionths, rounded down."""
        return None if self.usd is None else math.floor(self.usd * NANO)


@dataclass(frozen=True, slots=True)
class Settled:
    """A call that was answered: the reservation's id and what it really cost."""

    id: str
    nano_usd: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a project has cost so far. `lost_…` is the part of it for calls whose fate is unknown."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0
    reserved_usd: float = 0.0
    reserved_tokens: int = 0
    lost_usd: float = 0.0
    lost_tokens: int = 0
    lost_calls: int = 0


def reserve(
    db: Database,
    project: str,
    nano_usd: int,
    tokens: int,
    budget: Budget,
    *,
    name: str = "",
    held_until: datetime | None = None,
) -> str | None:
    """Id of the reservation; None when the budget has no room for it, and then nothing is set aside.

    Work that outlives its process has written down the `name` before, and says until when it is held.
    """
    if 0 in (budget.tokens, budget.nano_usd):
        return None  # also for a call that is said to cost nothing
    row = {
        "id": name or uuid.uuid4().hex,
        "project": project,
        "nano_usd": nano_usd,
        "tokens": tokens,
        "held_until": held_until,
    }
    if _reserve(db, row, budget):
        return str(row["id"])
    # No room, or no row yet; and another worker's first call may have made that row by now: ask again in any case.
    _ensure(db, project)
    return str(row["id"]) if _reserve(db, row, budget) else None


def settle(session: Session, project: str, calls: Collection[Settled]) -> None:
    """Count what answered calls cost; part of the caller's transaction.

    A reservation that was counted as lost meanwhile stays so: it was counted at its most.
    """
    if not calls:
        return
    taken = _take(session, [call.id for call in calls])
    cost = [call for call in calls if call.id in taken]
    _count(
        session,
        project,
        taken.values(),
        nano_usd=sum(call.nano_usd for call in cost),
        tokens=sum(call.tokens for call in cost),
        calls=len(cost),
    )


def release(db: Database, project: str, name: str) -> None:
    """The call surely cost nothing: its reservation goes."""
    with db.session() as session:
        _count(session, project, _take(session, [name]).values(), nano_usd=0, tokens=0, calls=0)


def lose(db: Database, project: str, name: str) -> None:
    """The call's fate is unknown: its reservation is counted as spent, and as lost."""
    with db.session() as session:
        _lose(session, project, [name])


def lose_abandoned(db: Database, project: str, now: datetime | None = None) -> int:
    """Count the reservations of dead workers as lost; how many there were."""
    now = now or datetime.now(UTC)
    over = or_(
        and_(Reservation.held_until.is_(None), Reservation.made_at < now - DEAD_AFTER),
        Reservation.held_until < now,
    )
    query = select(Reservation.id).where(Reservation.project == project, over)
    with db.session() as session:
        names = session.scalars(query).all()
        return _lose(session, project, names) if names else 0


def spent(db: Database, project: str) -> Spent:
    """What the project has cost so far."""
    with db.session() as session:
        row = session.get(Spend, project)
    if row is None:
        return Spent()
    return Spent(
        usd=row.nano_usd / NANO,
        tokens=row.tokens,
        calls=row.calls,
        reserved_usd=row.reserved_nano_usd / NANO,
        reserved_tokens=row.reserved_tokens,
        lost_usd=row.lost_nano_usd / NANO,
        lost_tokens=row.lost_tokens,
        lost_calls=row.lost_calls,
    )


def _reserve(db: Database, row: dict[str, Any], budget: Budget) -> bool:
    """Whether there was room for it."""
    room = [Spend.project == row["project"]]
    if budget.nano_usd is not None:
        room.append(Spend.nano_usd + Spend.reserved_nano_usd + row["nano_usd"] <= budget.nano_usd)
    if budget.tokens is not None:
        room.append(Spend.tokens + Spend.reserved_tokens + row["tokens"] <= budget.tokens)
    with db.session() as session:
        taken = session.execute(
            update(Spend)
            .where(*room)
            .values(
                reserved_nano_usd=Spend.reserved_nano_usd + row["nano_usd"],
                reserved_tokens=Spend.reserved_tokens + row["tokens"],
            ),
            execution_options=NOTHING_LOADED,
        )
        if taken.rowcount != 1:  # type: ignore[attr-defined]
            return False
        session.execute(insert(Reservation), [row])
        return True


def _ensure(db: Database, project: str) -> None:
    """Give the project its row when it has none."""
    with db.session() as session:
        if session.get(Spend, project) is not None:
            return
    with suppress(IntegrityError), db.session() as session:  # another worker's first call may be faster
        session.add(Spend(project=project))


def _take(session: Session, names: Collection[str]) -> dict[str, tuple[int, int]]:
    """Remove reservations; what each held. Those that somebody else has removed are left out."""
    rows = session.execute(
        delete(Reservation)
        .where(Reservation.id.in_(names))
        .returning(Reservation.id, Reservation.nano_usd, Reservation.tokens),
        execution_options=NOTHING_LOADED,
    )
    return {row.id: (row.nano_usd, row.tokens) for row in rows}


def _lose(session: Session, project: str, names: Collection[str]) -> int:
    taken = _take(session, names)
    nano_usd, tokens = sum(t[0] for t in taken.values()), sum(t[1] for t in taken.values())
    _count(session, project, taken.values(), nano_usd=nano_usd, tokens=tokens, calls=len(taken))
    session.execute(
        update(Spend)
        .where(Spend.project == project)
        .values(
            lost_nano_usd=Spend.lost_nano_usd + nano_usd,
            lost_tokens=Spend.lost_tokens + tokens,
            lost_calls=Spend.lost_calls + len(taken),
        ),
        execution_options=NOTHING_LOADED,
    )
    return len(taken)


def _count(
    session: Session,
    project: str,
    taken: Collection[tuple[int, int]],
    *,
    nano_usd: int,
    tokens: int,
    calls: int,
) -> None:
    session.execute(
        update(Spend)
        .where(Spend.project == project)
        .values(
            nano_usd=Spend.nano_usd + nano_usd,
            tokens=Spend.tokens + tokens,
            calls=Spend.calls + calls,
            reserved_nano_usd=Spend.reserved_nano_usd - sum(held[0] for held in taken),
            reserved_tokens=Spend.reserved_tokens - sum(held[1] for held in taken),
        ),
        execution_options=NOTHING_LOADED,
    )
