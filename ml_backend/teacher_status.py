"""What there is to say about a project's teachers: who, at what cost, how far to be trusted, and why not.

Read from SQL and Redis; nobody is asked. The web process shows it too: neither torch, scipy nor `openai` here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import redis
from sqlalchemy import select

from ale.errors import AleError, ConfigurationError
from ale.io.encoder import resolve_encoder
from ml_backend.agreement import not_agreed
from ml_backend.capabilities import recall
from ml_backend.instructions import space_of
from ml_backend.limiter import breaker
from ml_backend.patches import shipped
from ml_backend.settings import Settings
from ml_backend.store import batches, patches, replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Run
from ml_backend.store.tallies import tally
from ml_backend.store.versions import RUNS_LOOKED_AT
from ml_backend.teachers import NamedTeacher, budget_of, resolve_teachers

Json = dict[str, Any]


def named_teachers(settings: Settings) -> tuple[NamedTeacher, ...]:
    """The teachers of the settings, without anything heavy. Raises ConfigurationError."""
    return resolve_teachers(settings, resolve_encoder(settings.encoder))


def teachers_seen(settings: Settings, db: Database, connection: redis.Redis | None, row: Project) -> Json:
    """One project's teachers; `connection` is None while Redis is away."""
    try:
        teachers, problem = named_teachers(settings), row.teacher_problem
    except ConfigurationError as error:
        teachers, problem = (), str(error)
    trust = _trust(db, row.key)
    return {
        "project_id": row.project_id,
        "agreed_to_pay": row.paid_teacher,
        "problem": problem,
        "beaten": row.teacher_beaten,
        "stopped": bool(row.teacher_beaten) and settings.stop_paying,
        "teachers": [_teacher(db, connection, row, one) | {"trust": trust.get(one.name)} for one in teachers],
        "spend": _spend(settings, db, row) if any(one.paid for one in teachers) else None,
        "patches": _patches(db, row),
    }


def _teacher(db: Database, connection: redis.Redis | None, row: Project, one: NamedTeacher) -> Json:
    endpoint = _endpoint(connection, one) if connection is not None and one.paid else None
    in_files = batches.texts_in(db, row.key, one.name) if one.paid else {}
    not_agreed_now = ""
    try:
        space = space_of(row)
        found = tally(db, row.key, one.name, replies.question_of(space))
        if one.paid:
            not_agreed_now = not_agreed(db, row, one.name, space)
    except AleError:  # the config has no question (any more): then there is no answer to it either
        found = tally(db, row.key, one.name, "")
    return {
        "name": one.name,
        "paid": one.paid,
        "prompt": one.prompt,
        "problem": one.problem,
        "not_agreed": not_agreed_now,
        "in_files": in_files.get("running", 0),
        "unsent": sum(in_files.get(state, 0) for state in batches.UNSENT),
        "endpoint_known": endpoint is not None,
        "capabilities": (endpoint or {}).get("capabilities"),
        "breaker": (endpoint or {}).get("breaker"),
        **asdict(found),
    }


def _endpoint(connection: redis.Redis, one: NamedTeacher) -> Json | None:
    """What the workers have found out about the endpoint; None when Redis goes away meanwhile."""
    try:
        known, open_breaker = recall(connection, one.endpoint), breaker(connection, one.endpoint)
    except redis.RedisError:
        return None
    return {
        "capabilities": asdict(known) if known else None,
        "breaker": asdict(open_breaker) if open_breaker else None,
    }


def _spend(settings: Settings, db: Database, row: Project) -> Json:
    budget = budget_of(settings)
    return asdict(spend.spent(db, row.key)) | {"budget_usd": budget.usd, "budget_tokens": budget.tokens}


def _patches(db: Database, row: Project) -> Json:
    """Numbers of prompt patches by state, and why some of the shipped ones are off."""
    every = patches.every(db, row.key)
    states = Counter(patch.state for patch in every)
    try:
        off = {patch.id: why for patch, why in shipped(db, row.key, space_of(row)) if why}
    except AleError as error:  # the config has no question (any more)
        off = {patch.id: str(error) for patch in every if patch.state == "shipped"}
    return {"states": dict(states), "off": off}


def _trust(db: Database, project: str) -> Json:
    """What the newest run that measured it has written down, by teacher."""
    query = select(Run.counts).where(Run.project == project).order_by(Run.run_id.desc()).limit(RUNS_LOOKED_AT)
    with db.session() as session:
        return next((counts["trust"] for counts in session.scalars(query) if counts.get("trust")), {})
