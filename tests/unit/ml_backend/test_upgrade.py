"""Databases of earlier and later versions."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from ale.errors import ConfigurationError
from ml_backend.store.database import Database
from ml_backend.store.schema import Base, Project, Reply
from ml_backend.store.upgrade import NUMBER

FIRST = """
CREATE TABLE replies (teacher VARCHAR(128) NOT NULL, question VARCHAR(32) NOT NULL,
    text_hash VARCHAR(32) NOT NULL, probs JSON, abstention VARCHAR(32), answered_at DATETIME NOT NULL,
    PRIMARY KEY (teacher, question, text_hash));
INSERT INTO replies VALUES ('zero', 'q', 'h', '[0.25, 0.75]', NULL, '2026-01-02 03:04:05.000000');
CREATE TABLE projects ("key" VARCHAR(64) NOT NULL, server VARCHAR(512) NOT NULL, project_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL, status VARCHAR(16) NOT NULL, title VARCHAR(512) NOT NULL,
    paid_teacher BOOLEAN NOT NULL, label_config TEXT NOT NULL, instructions TEXT NOT NULL, problem TEXT NOT NULL,
    version VARCHAR(64), content_hash VARCHAR(64) NOT NULL, fence INTEGER NOT NULL,
    synced_until VARCHAR(40) NOT NULL, counts_seen VARCHAR(120) NOT NULL, teacher_problem TEXT NOT NULL,
    full_publish_at DATETIME, webhook_id INTEGER, backend_id INTEGER, review_view_id INTEGER,
    unsure_view_id INTEGER, previous_sampling VARCHAR(64) NOT NULL, updated_at DATETIME NOT NULL,
    PRIMARY KEY ("key"));
INSERT INTO projects VALUES ('k', 'http://ls', 1, 1, 'connected', 'A project', 0, '', '', '', NULL, '', 7, '',
    '', '', NULL, NULL, NULL, NULL, NULL, '', '2026-01-02 03:04:05.000000');
"""


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The address of a database as the first version left it, with one project and one answer in it."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in FIRST.strip().split(";\n"):
            connection.execute(text(statement.removesuffix(";")))
    engine.dispose()
    return url


def test_an_older_database_gets_what_it_lacks_and_keeps_what_it_has(old: str) -> None:
    """The old answer is still there, and can be read with all the columns of today."""
    db = Database(old)
    with db.session() as session:
        (reply,) = session.query(Reply).all()
        assert (reply.probs, reply.prompt, reply.confidence) == ([0.25, 0.75], "", "none")
        assert (reply.prompt_tokens, reply.unseen, reply.usd) == (0, 0.0, None)
        (project,) = session.query(Project).all()
        assert (project.title, project.fence, project.teacher_beaten) == ("A project", 7, "")
    assert set(inspect(db.engine).get_table_names()) == Base.metadata.tables.keys()
    db.dispose()


def test_opening_twice_and_by_several_at_once_does_no_harm(old: str) -> None:
    """Web process and worker start together."""
    together = threading.Barrier(4)

    def opened(_: int) -> set[str]:
        together.wait()
        db = Database(old)
        columns = {column["name"] for column in inspect(db.engine).get_columns("replies")}
        db.dispose()
        return columns

    with ThreadPoolExecutor(4) as pool:
        assert set(map(frozenset, pool.map(opened, range(4)))) == {
            frozenset(column.name for column in Reply.__table__.columns)
        }


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Nothing is written into a database whose rules we do not know; the message says what to do."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    db = Database(url)
    with db.session() as session:
        session.execute(text("UPDATE schema_number SET number = 99"))
    db.dispose()
    with pytest.raises(ConfigurationError, match=r"newer ALE.*99.*DATABASE_URL"):
        Database(url)


def test_a_change_of_tables_needs_a_new_number() -> None:
    """Whoever adds a column raises NUMBER and renews this line; else older databases would not get it."""
    columns = {name: sorted(c.name for c in t.columns) for name, t in Base.metadata.tables.items()}
    digest = hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()[:12]
    assert (NUMBER, digest) == (7, "31ec3385db71")
