"""Which prediction rows may be deleted, and which never."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ale.errors import Superseded
from ml_backend.clean import _discard_unfinished, _due_versions, _settled_tasks, clean_step
from ml_backend.identity import ProjectKey
from ml_backend.label_studio import LabelStudioClient
from ml_backend.publish import NAME, check_fence
from ml_backend.settings import Settings
from ml_backend.store import projects, versions
from ml_backend.store.database import Database
from ml_backend.store.schema import ReviewFlag, Run, Version
from tests.conftest import make_settings

KEY = ProjectKey("http://ls.test", 1, 1)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A database with one project."""
    opened = Database(database_url)
    projects.wish(opened, KEY)
    yield opened
    opened.dispose()


@pytest.fixture
def day(tmp_path: Path) -> Settings:
    """Settings with a grace of a day."""
    return make_settings(tmp_path, "redis://127.0.0.1:1/0", grace_s=86_400)


def add(db: Database, name: str, state: str, *, number: int = 1, hours_ago: float = 0) -> None:
    """A version's row."""
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    row = Version(project=str(KEY), version=name, number=number, state=state, created_at=at)
    if state == "superseded":
        row.superseded_at = at
    versions.add(db, row)


def test_only_our_old_versions_are_due(db: Database, day: Settings) -> None:
    """Superseded longer than the grace, or never in force; never the one in force, never a foreign one."""
    add(db, "ale-1-aaaa", "superseded", hours_ago=25)
    add(db, "ale-2-bbbb", "superseded", hours_ago=23)
    add(db, "ale-3-cccc", "discarded")
    add(db, "ale-4-dddd", "in_force", hours_ago=99)
    add(db, "ale-5-eeee", "building")
    add(db, "someone's model", "superseded", hours_ago=99)
    projects.change(db, KEY, version="ale-4-dddd")
    assert _due_versions(db, day, projects.get(db, KEY)) == {"ale-1-aaaa", "ale-3-cccc"}
    projects.change(db, KEY, version="ale-1-aaaa")
    assert "ale-1-aaaa" not in _due_versions(db, day, projects.get(db, KEY)), "whatever its state says"


def test_a_half_built_version_is_discarded_once_its_run_is_dead(db: Database) -> None:
    """While its run may still finish, it is left alone."""
    started = datetime.now(UTC) - timedelta(seconds=5)
    run_id = versions.start_run(db, Run(project=str(KEY), fence=1, started_at=started))
    add(db, "ale-1-aaaa", "building")
    project = projects.get(db, KEY)
    _discard_unfinished(db, project)
    assert versions.every(db, str(KEY))[0].state == "building"
    versions.end_run(db, run_id, outcome="failed", reason="")
    _discard_unfinished(db, project)
    assert versions.every(db, str(KEY))[0].state == "discarded"


def test_a_new_run_shows_that_an_older_one_is_dead(db: Database) -> None:
    """A killed run stays no `running` row for ever: the next run of the project writes down its end."""
    earlier = datetime.now(UTC) - timedelta(minutes=5)
    dead = versions.start_run(db, Run(project=str(KEY), fence=1, started_at=earlier))
    add(db, "ale-1-aaaa", "building")
    versions.start_run(db, Run(project=str(KEY), fence=2, started_at=datetime.now(UTC)))
    newer, older = versions.runs(db, str(KEY))
    assert (older.run_id, older.outcome) == (dead, "failed")
    assert "ended before" in older.reason
    assert older.finished_at is not None
    assert newer.outcome == "running"
    _discard_unfinished(db, projects.get(db, KEY))
    assert versions.every(db, str(KEY))[0].state == "discarded"


def test_a_run_that_was_thought_dead_may_still_say_how_it_ended(db: Database) -> None:
    """Its own words win: it was slow, and superseded."""
    run_id = versions.start_run(db, Run(project=str(KEY), fence=1, started_at=datetime.now(UTC)))
    versions.start_run(db, Run(project=str(KEY), fence=2, started_at=datetime.now(UTC)))
    versions.end_run(db, run_id, outcome="superseded", reason="a newer run")
    assert versions.runs(db, str(KEY))[1].outcome == "superseded"


def test_suggestions_of_settled_flags_go_after_the_grace(db: Database, day: Settings) -> None:
    """A suspect's suggestion stays; one decided a moment ago stays too, a page may show it."""
    now = datetime.now(UTC)
    cases = {
        1: ("suspect", None),
        2: ("fixed", now - timedelta(hours=25)),
        3: ("confirmed", now - timedelta(hours=1)),
        4: ("withdrawn", now - timedelta(hours=30)),
    }
    with db.session() as session:
        for task_id, (status, decided) in cases.items():
            session.add(
                ReviewFlag(
                    project=str(KEY),
                    task_id=task_id,
                    annotation_id=task_id,
                    status=status,
                    given="A",
                    suggested="B",
                    score=0.9,
                    reason="",
                    annotation_updated_at="",
                    text_hash="",
                    decided_at=decided,
                )
            )
    assert _settled_tasks(db, day, projects.get(db, KEY)) == {2, 4}


def test_put_in_force_obeys_the_fence(db: Database) -> None:
    """The older run changes nothing; the newer one flips version and states together."""
    projects.change(db, KEY, status="connected")
    older, newer = projects.next_fence(db, KEY), projects.next_fence(db, KEY)
    assert newer > older
    add(db, "ale-1-aaaa", "building")
    add(db, "ale-2-bbbb", "building", number=2)
    with pytest.raises(Superseded):
        check_fence(db, str(KEY), older)
    check_fence(db, str(KEY), newer)
    with pytest.raises(Superseded):
        versions.put_in_force(db, str(KEY), "ale-1-aaaa", older, "h")
    assert projects.get(db, KEY).version is None
    assert {v.state for v in versions.every(db, str(KEY))} == {"building"}
    versions.put_in_force(db, str(KEY), "ale-1-aaaa", newer, "h")
    versions.put_in_force(db, str(KEY), "ale-2-bbbb", newer, "i")
    row = projects.get(db, KEY)
    assert (row.version, row.content_hash) == ("ale-2-bbbb", "i")
    assert [v.state for v in versions.every(db, str(KEY))] == ["in_force", "superseded"]


def test_names_of_versions() -> None:
    """Ours can be told from everything that a user may call a model."""
    assert NAME.match("ale-12-3f9c")
    for foreign in ("ale", "ale-12", "ale-12-3f9c-x", "ALE-12-3f9c", "review", "xale-1-aaaa", "ale-1-zzzz"):
        assert not NAME.match(foreign)


class Rows:
    """The part of Label Studio that a clean-up speaks to; `listings` counts how often all rows were listed."""

    def __init__(self, versions_by_row: dict[int, str]) -> None:
        self.stored = dict(versions_by_row)
        self.listings = 0

    def model_versions(self, project_id: int) -> dict[str, int]:
        """Rows by version."""
        return Counter(self.stored.values())

    def project(self, project_id: int) -> dict[str, Any]:
        """Only what names the version in force."""
        return {"model_version": "ale-2-bbbb"}

    def predictions(self, project_id: int) -> Iterator[dict[str, Any]]:
        """All rows."""
        self.listings += 1
        return iter([{"id": i, "model_version": name, "task": i} for i, name in self.stored.items()])

    def delete_prediction(self, prediction_id: int) -> None:
        """One row."""
        self.stored.pop(prediction_id, None)


def test_one_listing_serves_many_steps(db: Database, day: Settings) -> None:
    """600 old rows go in steps of 25 after two listings, the rows in force stay."""
    add(db, "ale-1-aaaa", "superseded", hours_ago=25)
    add(db, "ale-2-bbbb", "in_force", hours_ago=25, number=2)
    projects.change(db, KEY, version="ale-2-bbbb")
    rows = Rows({i: "ale-1-aaaa" if i < 600 else "ale-2-bbbb" for i in range(1000)})
    project = projects.get(db, KEY)
    left: list[int] = []
    steps = 0
    while left or not steps:
        left = clean_step(db, cast(LabelStudioClient, rows), day, project, left)
        steps += 1
    assert set(rows.stored.values()) == {"ale-2-bbbb"}
    assert len(rows.stored) == 400
    assert (steps, rows.listings) == (24, 2)
    assert {v.version: v.state for v in versions.every(db, str(KEY))}["ale-1-aaaa"] == "cleaned"
