"""When the counters disagree, all ids are read: rarely, because that takes long on a large project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

import ml_backend.sync as sync_module
from ml_backend.controls import find_control
from ml_backend.identity import ProjectKey
from ml_backend.label_studio import LabelStudioClient
from ml_backend.store import mirror, projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.sync import sync

Json = dict[str, Any]
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="single">'
    '<Choice value="A"/><Choice value="B"/></Choices></View>'
)
KEY = ProjectKey("http://label-studio.test:8080", 1, 1_700_000_000)


class Shelf:
    """The part of Label Studio that a sync reads; `whole_reads` counts readings of all tasks, `listed` tasks."""

    def __init__(self, size: int) -> None:
        self.stored = {i: self._task(i, 0) for i in range(size)}
        self.whole_reads = 0
        self.listed = 0
        self.clock = 0

    def _task(self, task_id: int, second: int) -> Json:
        at = f"2026-01-01T00:{second:02d}:00.000000Z"
        return {
            "id": task_id,
            "data": {"text": f"text {task_id}"},
            "is_labeled": False,
            "updated_at": at,
            "annotations": [],
        }

    def annotate(self, task_id: int) -> None:
        """One more annotation."""
        self.clock += 1
        theirs = self._task(task_id, self.clock)
        theirs["annotations"] = [
            *self.stored[task_id]["annotations"],
            {"id": self.clock, "updated_at": theirs["updated_at"]},
        ]
        self.stored[task_id] = theirs

    def project(self, project_id: int) -> Json:
        """The description with its counters."""
        annotations = sum(len(task["annotations"]) for task in self.stored.values())
        return {
            "label_config": CONFIG,
            "task_number": len(self.stored),
            "total_annotations_number": annotations,
        }

    def tasks(
        self,
        project_id: int,
        *,
        changed_after: str = "",
        ids: Sequence[int] = (),
        full_annotations: bool = False,
    ) -> Iterator[Json]:
        """All tasks, those that changed, or some whole."""
        self.whole_reads += not changed_after and not ids
        rows = [self.stored[i] for i in ids or self.stored if self.stored[i]["updated_at"] > changed_after]
        self.listed += len(rows)
        return iter(rows)

    def annotations(self, task_id: int) -> list[Json]:
        """Those of one task."""
        return list(self.stored[task_id]["annotations"])


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty database that knows the project."""
    database = Database(database_url)
    projects.wish(database, KEY)
    yield database
    database.dispose()


def synced(db: Database, shelf: Shelf, theirs: Json) -> tuple[int, int]:
    """Tasks and annotations in the mirror after a sync."""
    row: Project = projects.get(db, KEY)
    sync(db, cast(LabelStudioClient, shelf), row, theirs, find_control(CONFIG))
    return mirror.counts(db, str(KEY))


def test_a_label_given_while_we_read_is_no_reason_to_read_everything(db: Database) -> None:
    """The project was described before the label came, its tasks were read after: nothing is amiss."""
    shelf = Shelf(5)
    assert synced(db, shelf, shelf.project(1)) == (5, 0)
    assert shelf.whole_reads == 1
    before = shelf.project(1)
    shelf.annotate(2)
    assert synced(db, shelf, before) == (5, 1)
    assert shelf.whole_reads == 1


def test_a_deleted_task_is_found_although_labels_keep_coming(db: Database) -> None:
    """A deletion leaves no trace in what changed: the counters tell, and all ids are read."""
    shelf = Shelf(5)
    synced(db, shelf, shelf.project(1))
    del shelf.stored[4]
    before = shelf.project(1)
    shelf.annotate(2)
    assert synced(db, shelf, before) == (4, 1)
    assert shelf.whole_reads == 2


def test_an_import_is_not_read_for_ever(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that came at one moment are read with the overlap until that moment has settled, then no more."""
    shelf = Shelf(50)
    read = []
    for _ in range(2):
        synced(db, shelf, shelf.project(1))
        read.append(shelf.listed)
    assert read == [50, 100]  # a transaction may still be open
    monkeypatch.setattr(sync_module, "SETTLED", timedelta())
    for _ in range(2):
        synced(db, shelf, shelf.project(1))
        read.append(shelf.listed)
    assert read[2:] == [150, 150]
    shelf.annotate(3)
    assert synced(db, shelf, shelf.project(1)) == (50, 1)
    assert shelf.listed == 152  # found by its time, then read whole
