"""Databases of earlier and later versions, on SQLite and on Postgres."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ale.errors import ConfigurationError
from ml_backend.store import earlier, upgrade
from ml_backend.store.address import read_address
from ml_backend.store.columns import UtcDateTime
from ml_backend.store.database import Database
from ml_backend.store.migrations.__main__ import draft
from ml_backend.store.schema import Base, Project, Reply, Task
from ml_backend.store.upgrade import HEAD, REVISIONS

NEXT = f"{int(HEAD) + 1:04}"
"""The revision after the last."""

ROWS = (
    "INSERT INTO schema_number VALUES (1, 7)",
    """INSERT INTO projects ("key", server, project_id, created_at, status, title, paid_teacher, label_config,
    instructions, problem, content_hash, fence, synced_until, settled_until, counts_seen, teacher_problem,
    teacher_beaten, previous_sampling, updated_at) VALUES ('k', 'http://ls', 1, 1, 'connected', 'A project', true,
    '', '', '', '', 7, '', '', '', '', '', '', '2026-01-02 03:04:05+00:00')""",
    """INSERT INTO replies (teacher, question, text_hash, probs, answered_at) VALUES
    ('zero', 'q', 'h', '[0.25, 0.75]', '2026-01-02 03:04:05+00:00')""",
    "INSERT INTO tasks (project, task_id, text, is_labeled, updated_at) VALUES ('k', 5, 'a text', false, '')",
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty database, not opened by us yet."""
    found = create_engine(read_address(database_url))
    yield found
    found.dispose()


@pytest.fixture
def old(engine: Engine) -> Engine:
    """A database as the last ALE before the migrations left it: its number, a project, an answer, a task."""
    upgrade.upgrade(engine, to=earlier.REVISION)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        for row in ROWS:
            connection.execute(text(row))
    return engine


def written(engine: Engine) -> dict[str, list[object]]:
    """All that stands in the database, by table."""
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        return {
            name: [tuple(row) for row in connection.execute(select(text("*")).select_from(table(name)))]
            for name in names
        }


def differences(engine: Engine) -> list[object]:
    """Where the tables are not those of the models."""
    with engine.connect() as connection:
        # On SQLite, Alembic takes an empty default for another one.
        options = {"compare_type": True, "compare_server_default": engine.dialect.name != "sqlite"}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Base.metadata))


def refused(engine: Engine, database_url: str, says: str) -> None:
    """Opening it fails with these words, and leaves everything as it was."""
    before = written(engine)
    with pytest.raises(ConfigurationError, match=says):
        Database(database_url)
    assert written(engine) == before


def test_a_new_database_gets_the_tables_of_the_models(engine: Engine, database_url: str) -> None:
    """Nothing that the models have is lacking, and nothing is there that they do not have."""
    Database(database_url).dispose()
    assert differences(engine) == []
    assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_a_database_of_the_last_number_is_taken_over_with_all_rows(old: Engine, database_url: str) -> None:
    """It gets the newest revision, and only the number's table goes."""
    before = written(old)
    db = Database(database_url)
    after = written(old)
    assert after.pop("alembic_version") == [(HEAD,)]
    assert before.pop("schema_number") == [(1, 7)]
    before["projects"] = [(*row, *[None] * 4) for row in before["projects"]]  # type: ignore[misc]
    added = (
        "feedback",
        "finish_looks",
        "past_models",
        "review_decisions",
        "review_projects",
        "review_verdicts",
        "second_opinions",
        "served",
    )
    assert after == before | {name: [] for name in added}
    assert differences(old) == []
    with db.session() as session:
        (reply,) = session.query(Reply).all()
        assert (reply.probs, reply.prompt, reply.confidence) == ([0.25, 0.75], "", "none")
        assert session.scalars(select(Project.title)).all() == ["A project"]
        assert session.scalars(select(Task.text)).all() == ["a text"]
    db.dispose()


def test_a_lower_number_is_refused(old: Engine, database_url: str) -> None:
    """Nothing with such a number was ever released."""
    with old.begin() as connection:
        connection.execute(text("UPDATE schema_number SET number = 6"))
    refused(old, database_url, r"number 6; only number 7.*DATABASE_URL")


def test_tables_without_a_number_are_refused(old: Engine, database_url: str) -> None:
    """Nobody knows what they are; they may even belong to another program."""
    with old.begin() as connection:
        connection.execute(text("DROP TABLE schema_number"))
    refused(old, database_url, r"annotations.*number none.*DATABASE_URL")


def test_a_number_without_its_tables_is_refused(old: Engine, database_url: str) -> None:
    """A half restored backup, for instance."""
    with old.begin() as connection:
        connection.execute(text("DROP TABLE tasks"))
    refused(old, database_url, "lacks tables: tasks; restore it")


def test_tables_of_others_do_not_matter(engine: Engine, database_url: str) -> None:
    """As an extension of Postgres brings them."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE spatial_ref_sys (srid INTEGER)"))
    Database(database_url).dispose()
    assert "projects" in inspect(engine).get_table_names()


@pytest.mark.parametrize("numbered", [True, False], ids=["number", "revision"])
def test_a_database_of_a_newer_version_is_refused(old: Engine, database_url: str, numbered: bool) -> None:
    """Nothing is written into a database whose rules we do not know; the message says what to do."""
    if not numbered:
        Database(database_url).dispose()
    with old.begin() as connection:
        if numbered:
            connection.execute(text("UPDATE schema_number SET number = 99"))
        else:
            connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    refused(old, database_url, r"newer ALE.*99, this one knows.*DATABASE_URL")


def test_each_step_goes_by_itself(engine: Engine) -> None:
    """One after the other, as a database gets them that follows each release; twice changes nothing."""
    for revision in REVISIONS:
        for _ in range(2):
            upgrade.upgrade(engine, to=revision)
            assert written(engine)["alembic_version"] == [(revision,)]
    assert differences(engine) == []


def test_several_threads_at_once_do_no_harm(old: Engine, database_url: str) -> None:
    """Each finds the tables complete."""
    together = threading.Barrier(4)

    def opened(_: int) -> frozenset[str]:
        together.wait()
        db = Database(database_url)
        names = inspect(db.engine).get_table_names()
        db.dispose()
        return frozenset(names)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(opened, range(4))) == {frozenset({*Base.metadata.tables, "alembic_version"})}


OPENS = """
import sys
from ml_backend.store.database import Database
print("ready", flush=True)
sys.stdin.readline()
db = Database(sys.argv[1])
with db.session() as session:
    print(session.connection().exec_driver_sql("SELECT count(*) FROM projects").scalar())
"""


def test_two_processes_at_once_do_no_harm(old: Engine, database_url: str) -> None:
    """Web process and worker start together."""
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", OPENS, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for start in starts:
        assert start.stdout is not None
        assert start.stdout.readline() == "ready\n"
    for start in starts:
        assert start.stdin is not None
        start.stdin.write("go\n")
        start.stdin.flush()
    assert [start.communicate(timeout=60)[0] for start in starts] == ["1\n", "1\n"]
    assert written(old)["alembic_version"] == [(HEAD,)]


def test_a_start_with_nothing_to_do_writes_nothing_and_needs_no_alembic(tmp_path: Path) -> None:
    """It does not even wait for somebody who writes just then."""
    url = f"sqlite:///{tmp_path / 'ale.db'}"
    writer = Database(url)
    code = (
        "import sys\n"
        "from ml_backend.store.database import Database\n"
        "Database(sys.argv[1]).dispose()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    with writer.engine.begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        subprocess.run([sys.executable, "-c", code, url], check=True)
    writer.dispose()


def test_the_known_revisions_are_the_files() -> None:
    """Whoever adds a step adds its number to REVISIONS."""
    script = ScriptDirectory(str(upgrade.MIGRATIONS))
    assert tuple(reversed([step.revision for step in script.walk_revisions()])) == REVISIONS
    assert script.get_current_head() == HEAD


@pytest.fixture
def next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of migrations, copied, and with a step more that builds the table of projects anew."""
    copied = tmp_path / "migrations"
    shutil.copytree(upgrade.MIGRATIONS, copied)
    monkeypatch.setattr(upgrade, "MIGRATIONS", copied)
    monkeypatch.setattr(upgrade, "REVISIONS", (*REVISIONS, NEXT))
    path = draft("Longer titles")
    step = path.read_text()
    assert path.name == f"{NEXT}_longer_titles.py"
    assert "\n    pass\n" in step, "the models have what the last revision has not"
    change = """
    with op.batch_alter_table("projects") as table:
        table.alter_column("title", type_=sa.String(600), existing_nullable=False)
"""
    path.write_text(step.replace("\n    pass\n", change))
    return path


def test_a_step_that_builds_a_table_anew_keeps_what_refers_to_it(old: Engine, next_step: Path) -> None:
    """SQLite would delete a project's tasks together with the old table of projects."""
    upgrade.upgrade(old, to=NEXT)
    with Session(old) as session:
        assert session.scalars(select(Task.text)).all() == ["a text"]
    (title,) = (column for column in inspect(old).get_columns("projects") if column["name"] == "title")
    assert title["type"].length == 600  # type: ignore[attr-defined]


def test_a_step_that_fails_leaves_the_database_as_it_was(old: Engine, next_step: Path) -> None:
    """All steps are one transaction: a later start does them again, all of them."""
    before = written(old)
    next_step.write_text(next_step.read_text() + '    op.drop_table("no_such_table")\n')
    with pytest.raises(SQLAlchemyError, match="no_such_table"):
        upgrade.upgrade(old, to=NEXT)
    assert written(old) == before


def test_the_models_times_are_drafted_as_plain_columns() -> None:
    """A migration imports nothing of ours: UtcDateTime stands in none."""
    for path in (upgrade.MIGRATIONS / "versions").glob("*.py"):
        assert "ml_backend" not in path.read_text()
        assert UtcDateTime.__name__ not in path.read_text()


def test_decisions_that_flags_still_know_are_taken_over(engine: Engine, database_url: str) -> None:
    """Confirmed, fixed and reported ones; nobody decided about the others."""
    upgrade.upgrade(engine, to="0008")
    flag = (
        "INSERT INTO review_flags (project, task_id, annotation_id, status, shown, given, suggested, score, reason, "
        '"values", annotation_updated_at, text_hash, settled_label, suggestion_shown, flagged_at, decided_at) '
        "VALUES ('k', :task, 1, :status, :no, 'A', 'B', 0.75, '', '{}', '', 'h', :settled, '', "
        "'2026-01-01 00:00:00', :decided)"
    )
    decided = "2026-01-02 00:00:00"
    with engine.begin() as connection:
        connection.execute(text(ROWS[1]))
        for task, status, settled in (
            (1, "confirmed", "A"),
            (2, "fixed", "C"),
            (3, "reported", "A"),
            (4, "suspect", ""),
            (5, "withdrawn", ""),
        ):
            at = None if status == "suspect" else decided
            values = {"task": task, "status": status, "settled": settled, "decided": at, "no": False}
            connection.execute(text(flag), values)
    Database(database_url).dispose()
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT task_id, given, answer, doubt FROM review_decisions ORDER BY task_id")
        )
        assert [tuple(row) for row in rows] == [
            (1, "A", "A", 0.75),
            (2, "A", "C", 0.75),
            (3, "A", "B", 0.75),
        ]
