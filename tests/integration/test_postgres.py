"""A Postgres that is away, that goes away and that comes back: web process, worker, timer and jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ml_backend.doctor.own import database
from ml_backend.identity import ProjectKey
from ml_backend.marks import connect_redis
from ml_backend.ports import free_port
from ml_backend.queues import learn_waits
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.store.address import WAITS
from ml_backend.store.database import Database
from ml_backend.timer import Timer
from tests.conftest import make_settings, wait_until
from tests.integration.postgres import Postgres, running_postgres
from tests.integration.teaching import environment
from tests.integration.web import CONFIG, UID, running


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that the tests of this file may kill; each leaves it running."""
    with running_postgres() as found:
        yield found


@pytest.fixture
def stored(server: Postgres, tmp_path: Path, clean_redis: str) -> Settings:
    """Settings with an empty database on it."""
    return make_settings(tmp_path, clean_redis, database_url=server.new_database())


def test_a_request_that_meets_it_dead_fails_and_the_next_one_works(
    stored: Settings, server: Postgres
) -> None:
    """The connections of before are of no use any more, and nobody has to notice. /health asks no database."""
    body = {"project": UID, "label_config": CONFIG, "tasks": [{"data": {"text": "x"}}]}
    with running(stored) as web:
        assert web.setup().status_code == 200
        server.kill()
        for _ in range(2):
            answer = web.post("/predict", body)
            assert (answer.status_code, answer.json()) == (503, {"error": "database_unavailable"})
            assert answer.headers["Retry-After"]
        assert web.get("/health").status_code == 200
        server.start()
        assert web.post("/predict", body).json() == {"results": [[]]}
        server.kill()
        server.start()  # nobody asked in between: the pool still holds what died
        assert web.setup().status_code == 200


JOBS = """
import sys
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from ml_backend.marks import connect_redis
from ml_backend.queues import TEACH, enqueue_chain, queue
from ml_backend.settings import load_settings

connection = connect_redis(load_settings().redis_url)
jobs = queue(TEACH, connection)
worker = SimpleWorker([jobs], connection=connection, serializer=JSONSerializer)
enqueue_chain(connection, TEACH, "k")
for _ in sys.stdin:
    worker.work(burst=True, logging_level="CRITICAL")
    failed = jobs.failed_job_registry
    reasons = [jobs.fetch_job(job_id).latest_result().exc_string for job_id in failed.get_job_ids()]
    print([reason.splitlines()[-1].split(":")[0] for reason in reasons], flush=True)
    for job_id in failed.get_job_ids():
        failed.requeue(job_id)
"""


def test_a_job_that_meets_it_dead_fails_and_the_next_one_works(stored: Settings, server: Postgres) -> None:
    """By a real RQ worker, which goes on."""
    server.kill()
    with subprocess.Popen(
        [sys.executable, "-c", JOBS],
        env=environment(stored),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("now\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "['ale.errors.DatabaseUnreachable']\n"
        server.start()
        assert worker.communicate("again\n", timeout=60)[0] == "[]\n"


def test_the_timer_waits_for_it(stored: Settings, server: Postgres) -> None:
    """And hands over the projects once it is back."""
    db, connection = Database(stored.database), connect_redis(stored.redis_url)
    key = ProjectKey(stored.label_studio_url, 1, 1)
    projects.wish(db, key)
    quick = stored.model_copy(update={"debounce_s": 0.0, "max_wait_s": 0.0})
    stop = threading.Event()
    ticking = threading.Thread(target=Timer(quick, db, connection).run, args=(stop,))
    server.kill()
    ticking.start()
    try:
        server.start()
        wait_until(lambda: learn_waits(connection, str(key)))
    finally:
        stop.set()
        ticking.join()
        db.dispose()
        connection.close()


def ale(command: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", command],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", ["serve", "worker", "status"])
def test_a_start_without_it_says_so_in_one_line(command: str, tmp_path: Path, clean_redis: str) -> None:
    """And ends with a code that is not zero, so that whoever started it does so again. No password is shown."""
    pytest.importorskip("psycopg", exc_type=ImportError)
    env = {
        "ALE_HOME": str(tmp_path),
        "REDIS_URL": clean_redis,
        "ALE_PORT": str(free_port()),
        "DATABASE_URL": f"postgres://ale:hush@127.0.0.1:{free_port()}/ale",
        "LABEL_STUDIO_API_KEY": "a-key-for-tests",
    }
    done = ale(command, env)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("ale: the database postgresql+psycopg://ale:***@127.0.0.1:")
    assert "cannot be reached: connection" in line
    assert "hush" not in done.stdout + done.stderr


def test_no_connection_is_waited_for_without_end(postgres: Postgres) -> None:
    """libpq itself was told our limits."""
    db = Database(postgres.new_database())
    with db.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        assert WAITS.items() <= driver.info.get_parameters().items()
    db.dispose()


def test_the_doctor_says_that_it_is_away(tmp_path: Path, clean_redis: str) -> None:
    """And what to do about it."""
    pytest.importorskip("psycopg", exc_type=ImportError)
    (found,) = database(
        make_settings(tmp_path, clean_redis, database_url=f"postgres://127.0.0.1:{free_port()}/ale")
    )
    assert not found.ok
    assert "cannot be reached" in found.seen
    assert found.fix.startswith("start it")


def test_an_error_quotes_no_values(database_url: str) -> None:
    """Texts of the project stand in none of its words: RQ keeps and logs them."""
    db = Database(database_url)
    with pytest.raises(SQLAlchemyError) as raised, db.session() as session:
        session.execute(text("SELECT * FROM nowhere WHERE text = :text"), {"text": "what a customer wrote"})
    assert "customer" not in str(raised.value)
    db.dispose()
