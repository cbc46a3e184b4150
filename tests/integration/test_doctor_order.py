"""`ale doctor` on the order: what is wrong, and what only looks wrong while a version is put in force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ml_backend.connect import SAMPLING
from ml_backend.doctor.order import order
from ml_backend.store import versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Run, Version

KEY = "k"


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A database with a connected project, "ale-1" in force, "ale-2" about to be."""
    found = Database(database_url)
    with found.session() as session:
        session.add(
            Project(
                key=KEY, server="http://ls", project_id=7, created_at=1, status="connected", version="ale-1"
            )
        )
    versions.add(found, Version(project=KEY, version="ale-1", number=1, state="in_force"))
    versions.add(found, Version(project=KEY, version="ale-2", number=2, state="flipping"))
    yield found
    found.dispose()


def verdict(db: Database, row: Project, version: str) -> tuple[bool, str]:
    """Whether the doctor is content with that `model_version`, and what it saw."""
    theirs = {"sampling": SAMPLING, "show_collab_predictions": True, "model_version": version}
    (finding,) = order(db, row, theirs)
    return finding.ok, finding.seen


def project(db: Database) -> Project:
    """As it is read before Label Studio is asked."""
    with db.session() as session:
        return session.get_one(Project, KEY)


def test_a_version_on_its_way_into_force_is_no_fault(db: Database) -> None:
    """Label Studio has it, our database does not yet, and a run is at it."""
    run = versions.start_run(db, Run(project=KEY, fence=1, started_at=datetime.now(UTC)))
    assert verdict(db, project(db), "ale-2") == (True, "ale-2 in force, lowest score first")
    versions.end_run(db, run, outcome="failed")
    ok, seen = verdict(db, project(db), "ale-2")
    assert not ok, "nobody is at it any more: the order is put right by `ale connect`"
    assert "model_version is 'ale-2', not 'ale-1'" in seen


def test_a_version_put_in_force_meanwhile_is_no_fault(db: Database) -> None:
    """Between our look at the database and the one at Label Studio a run may end."""
    before = project(db)
    versions.change(db, KEY, "ale-1", state="superseded")
    versions.change(db, KEY, "ale-2", state="in_force")
    assert verdict(db, before, "ale-2")[0]
    assert not verdict(db, before, "ale-1-of-somebody-else")[0]
    with db.session() as session:
        session.get_one(Project, KEY).version = "ale-2"
    assert not verdict(db, project(db), "ale-1")[0], "an older version serves an older order"
