"""What there is to say about every project, for `/status`, `/metrics` and `ale status`. No texts, no secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from redis import RedisError
from sqlalchemy import ColumnExpressionArgument, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ale.chance import Rate
from ale.errors import ConfigurationError
from ale.io.chat.prices import load_prices
from ml_backend.mirroring import mirror_seen
from ml_backend.rates import rate_row
from ml_backend.settings import Settings
from ml_backend.store.schema import (
    Annotation,
    Project,
    ReviewDecision,
    ReviewFlag,
    Run,
    SecondOpinion,
    Task,
    Version,
)
from ml_backend.store.versions import RUNS_LOOKED_AT
from ml_backend.teacher_status import named_teachers, teachers_seen
from ml_backend.tuning.seen import tuning_seen
from ml_backend.tuning.switch import tunes
from ml_backend.wiring import Services

Json = dict[str, Any]


def overview(services: Services) -> Json:
    """Redis, event counts, and one entry per project; Redis being away is told, not raised."""
    pending: dict[str, float] = {}
    events: dict[str, int] = {}
    reachable = True
    try:
        pending, events = services.marks.pending(), services.marks.counts()
    except RedisError:
        reachable = False
    with services.db.session() as session:
        rows = session.scalars(select(Project).order_by(Project.project_id, Project.created_at)).all()
        entries = [_entry(session, row, pending.get(row.key)) for row in rows]
    for row, entry in zip(rows, entries, strict=True):
        _add_connected(services, row, entry, reachable=reachable)
    return {
        "redis": "ok" if reachable else "unreachable",
        "problem": problem_of(services.settings),
        "mirror": mirror_seen(
            services.settings, services.db, services.marks.connection if reachable else None
        ),
        "projects": entries,
        "events": dict(sorted(events.items())),
    }


def entry_of(services: Services, row: Project) -> Json:
    """The entry of one project alone, and under `redis` whether Redis answers."""
    pending: dict[str, float] = {}
    reachable = True
    try:
        pending = services.marks.pending()
    except RedisError:
        reachable = False
    with services.db.session() as session:
        entry = _entry(session, row, pending.get(row.key))
    _add_connected(services, row, entry, reachable=reachable)
    return entry | {"redis": "ok" if reachable else "unreachable"}


def _add_connected(services: Services, row: Project, entry: Json, *, reachable: bool) -> None:
    """What is known of a project only while it is connected."""
    if row.status != "connected":
        return
    connection = services.marks.connection if reachable else None
    entry["report"] = services.settings.report_address(row.project_id)
    entry["teaching"] = teachers_seen(services.settings, services.db, connection, row)
    if tunes(services.settings):
        entry["tuning"] = tuning_seen(connection, row.key)


def problem_of(settings: Settings) -> str:
    """What is wrong with ALE_TEACHER or ALE_PRICES, naming it; empty when both can be used."""
    try:
        named_teachers(settings)
    except ConfigurationError as error:
        said = str(error)
        return said if "ALE_TEACHER" in said else f"ALE_TEACHER={settings.teacher}: {said}"
    try:
        load_prices(settings.prices)
    except ConfigurationError as error:
        return f"ALE_PRICES: {error}"
    return ""


def _entry(session: Session, row: Project, due_in: float | None) -> Json:
    run = session.scalars(
        select(Run).where(Run.project == row.key).order_by(Run.run_id.desc()).limit(1)
    ).first()
    version = session.get(Version, (row.key, row.version)) if row.version else None
    return {
        "project": row.project_id,
        "key": row.key,
        "title": row.title,
        "status": row.status,
        "problem": row.problem,
        "version": row.version,
        "kind": version.kind if version else "none",
        "metrics": version.metrics if version else {},
        "tasks": _count(session, Task.project == row.key),
        "labeled_tasks": _count(session, Task.project == row.key, Task.is_labeled),
        "annotations": _count(session, Annotation.project == row.key),
        "skipped": _count(session, Annotation.project == row.key, Annotation.was_cancelled),
        "rows_in_force": _rows(session, row.key, "in_force"),
        "rows_superseded": _rows(session, row.key, "superseded"),
        "review": _by(session, ReviewFlag.status, ReviewFlag.project == row.key),
        "payback": _payback(session, row),
        "audit": None if row.audit_since is None else _found(session, row, "audit"),
        "stop": _found(session, row, "stop"),
        "people": _found(session, row, "people"),
        "second_opinions": _by(session, SecondOpinion.status, SecondOpinion.project == row.key),
        "runs": _by(session, Run.outcome, Run.project == row.key),
        "last_run": _run(run),
        "due_in_s": None if due_in is None else round(due_in, 1),
        "student": _found(session, row, "student"),
        "by_label": _found(session, row, "by_label"),
        "tuning": None,
        "teaching": None,
        "report": "",
    }


def _payback(session: Session, row: Project) -> Json | None:
    """What people decided about suspected labels, and what the newest run that learnt says of the rest."""
    mine = ReviewDecision.project == row.key
    reviewed = _count(session, mine)
    fixed = _count(session, mine, ReviewDecision.answer != ReviewDecision.given)
    found = _found(session, row, "payback")
    if not reviewed and found is None:
        return None
    return {
        "reviewed": reviewed,
        "fixed": fixed,
        "precision": rate_row(Rate(fixed, reviewed)) if reviewed else None,
        **(found or {"labels": None, "decisions": 0, "remaining": None, "accuracy": None}),
    }


def _found(session: Session, row: Project, what: str) -> Json | None:
    """What the newest run that learnt has found; None while no run has."""
    query = select(Run.counts).where(Run.project == row.key).order_by(Run.run_id.desc()).limit(RUNS_LOOKED_AT)
    found = (counts.get(what) for counts in session.scalars(query))
    return next((one for one in found if one), None)


def _run(run: Run | None) -> Json | None:
    if run is None:
        return None
    return {
        "outcome": run.outcome,
        "reason": run.reason,
        "version": run.version,
        "labels": run.n_labels,
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "seconds": run.seconds,
        "counts": run.counts,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _count(session: Session, *where: ColumnExpressionArgument[bool]) -> int:
    return int(session.scalar(select(func.count()).where(*where)) or 0)


def _rows(session: Session, project: str, state: str) -> int:
    query = select(func.sum(Version.rows)).where(Version.project == project, Version.state == state)
    return int(session.scalar(query) or 0)


def _by(
    session: Session, column: InstrumentedAttribute[str], where: ColumnExpressionArgument[bool]
) -> dict[str, int]:
    rows = session.execute(select(column, func.count()).where(where).group_by(column))
    return {name: int(n) for name, n in rows.all()}
