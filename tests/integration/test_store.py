"""The store on SQLite and on Postgres: what both must do alike, and what happens when several write at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

import numpy as np
import pytest

from ale.audit.finish import Look
from ale.errors import Superseded
from ale.text import storable
from ale.types import Answer, LabelSpace, Usage
from ml_backend.store import batches, consents, looks, mirror, projects, replies, tallies, versions
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import Annotation, Batch, Project, Run, Task, Version

KEY = "k"
SPACE = LabelSpace(("a", "b"))
QUESTION = replies.question_of(SPACE)
TOGETHER = 4
T = TypeVar("T")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A database with one connected project."""
    found = Database(database_url)
    with found.session() as session:
        session.add(Project(key=KEY, server="http://ls", project_id=1, created_at=1, status="connected"))
    yield found
    found.dispose()


def at_once(do: Callable[[int], T]) -> list[T]:
    """What several threads got that began together."""
    barrier = threading.Barrier(TOGETHER)

    def begin(number: int) -> T:
        barrier.wait()
        return do(number)

    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(begin, range(TOGETHER)))


def seen(task_id: int, text: str) -> TaskSeen:
    """A task as sync reads it."""
    return TaskSeen(
        task_id, text, f"hash of {text}"[:32], is_labeled=False, updated_at="2026-01-01T00:00:00Z"
    )


def test_the_mirror_keeps_what_it_is_given(db: Database) -> None:
    """Texts of all the world, JSON, order by id; more tasks than one statement takes."""
    text = storable("Zürich 北京 🙂 \x00 'quoted' %s :name \\")
    mirror.save_tasks(db, KEY, [seen(n, text if n == 7 else f"text {n}") for n in range(1200, 0, -1)])
    mirror.place_tasks(db, KEY, list(range(1, 1101)), "ale-1")
    values = {"label": ["北京"], "none": None, "deep": {"n": 1.5}}
    rows = [
        {"annotation_id": n, "task_id": n, "values": values, "updated_at": "u", "lead_time": 1.25}
        for n in (9, 3)
    ]
    mirror.save_annotations(db, KEY, [3, 9], rows)
    assert mirror.counts(db, KEY) == (1200, 2)
    assert [task.task_id for task in mirror.all_tasks(db, KEY)] == list(range(1, 1201))
    assert sum(task.placed_in == "ale-1" for task in mirror.all_tasks(db, KEY)) == 1100
    assert mirror.texts(db, KEY, [f"hash of {text}"[:32]]) == {f"hash of {text}"[:32]: text}
    first, second = mirror.all_annotations(db, KEY)
    assert (first.annotation_id, first.values, second.lead_time) == (3, values, 1.25)
    mirror.forget_tasks(db, KEY, range(1, 1001))
    assert mirror.counts(db, KEY) == (200, 0)


def test_a_projects_rows_go_with_it(db: Database) -> None:
    """The database itself sees to that."""
    mirror.save_tasks(db, KEY, [seen(1, "text")])
    mirror.save_annotations(db, KEY, [1], [{"annotation_id": 1, "task_id": 1, "updated_at": "u"}])
    with db.session() as session:
        session.delete(session.get_one(Project, KEY))
    with db.session() as session:
        assert (session.query(Task).count(), session.query(Annotation).count()) == (0, 0)


def test_times_stay_aware_and_in_utc(db: Database) -> None:
    """Whatever zone they came in and whatever zone the server is in."""
    at = datetime(2026, 3, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5)))
    projects.change(db, KEY, synced_at=at)
    found = projects.get(db, KEY).synced_at
    assert found == at
    assert found is not None
    assert found.tzinfo == UTC


def test_every_learn_run_gets_a_fence_of_its_own(db: Database) -> None:
    """Also those that start together."""
    fences = at_once(lambda _: [projects.next_fence(db, KEY) for _ in range(10)])
    assert sorted(fence for some in fences for fence in some) == list(range(1, 10 * TOGETHER + 1))


def test_only_the_newest_run_puts_its_version_in_force(db: Database) -> None:
    """Of runs that flip together the one with the highest fence wins; one version is in force."""
    for number in range(TOGETHER):
        versions.add(db, Version(project=KEY, version=f"ale-{number}", number=number))
    fences = [projects.next_fence(db, KEY) for _ in range(TOGETHER)]

    def flip(number: int) -> bool:
        try:
            versions.put_in_force(db, KEY, f"ale-{number}", fences[number], "content")
        except Superseded:
            return False
        return True

    assert at_once(flip) == [False] * (TOGETHER - 1) + [True]
    assert projects.get(db, KEY).version == f"ale-{TOGETHER - 1}"
    assert [v.version for v in versions.every(db, KEY) if v.state == "in_force"] == [f"ale-{TOGETHER - 1}"]


def test_a_run_that_was_killed_is_closed_by_the_next(db: Database) -> None:
    """Numbers rise, and the newest comes first."""
    killed, lives = (
        versions.start_run(db, Run(project=KEY, fence=n, started_at=datetime.now(UTC))) for n in (1, 2)
    )
    versions.end_run(db, lives, outcome="published", counts={"labels": 3})
    newest, oldest = versions.runs(db, KEY)
    assert (newest.run_id, newest.outcome, newest.counts) == (lives, "published", {"labels": 3})
    assert (oldest.run_id, oldest.outcome, oldest.reason) == (killed, "failed", versions.KILLED)


def test_looks_are_kept_for_each_promise(db: Database) -> None:
    """The same look is one look, also when several processes make it; looks of another promise are others."""
    first, second = Look(100, "model 1"), Look(150, "model 2")
    looks.keep(db, KEY, 0.02, 0.95, second, "ale-2")
    looks.keep(db, KEY, 0.02, 0.95, first, "ale-1")
    looks.keep(db, KEY, 0.02, 0.95, first, "ale-3")
    at_once(lambda _: looks.keep(db, KEY, 0.05, 0.95, first, "ale-1"))
    assert looks.made(db, KEY, 0.02, 0.95) == [first, second]
    assert looks.made(db, KEY, 0.05, 0.95) == [first]
    assert looks.made(db, KEY, 0.02, 0.99) == []
    assert looks.promises(db, KEY) == [(0.02, 0.95, 2), (0.05, 0.95, 1)]


def test_a_question_is_remembered_once(db: Database) -> None:
    """Several workers ask it first; somebody agrees to it meanwhile, and that stays."""
    at_once(lambda n: (consents.agree if n == 0 else consents.remember)(db, KEY, "gpt", SPACE))
    (agreed,) = consents.agreed_to(db, KEY)
    assert (agreed.question, tuple(agreed.labels), agreed.agreed_by) == (QUESTION, ("a", "b"), "teach")
    assert consents.said_yes(db, KEY, "gpt", SPACE)
    assert consents.questions(db, KEY) == {QUESTION: ("a", "b")}


def test_answers_that_several_workers_bring_at_once_are_kept_once(db: Database) -> None:
    """Each brings the same texts in another order: nobody waits for ever, nobody fails, the first answer stays."""
    names = [f"text {n}" for n in range(300)]

    def keep(number: int) -> None:
        mine = names if number % 2 else names[::-1]
        said = Answer(np.array([0.25, 0.75], np.float32), usage=Usage(10, 0, 1))
        replies.keep(db, "gpt", QUESTION, dict.fromkeys(mine, said), usd=lambda _: 0.5)

    at_once(keep)
    assert replies.count(db, "gpt", QUESTION) == (300, 0)
    probs, asked = replies.answers(db, "gpt", QUESTION, names, 2)
    assert asked.all()
    assert probs.tolist() == [[0.25, 0.75]] * 300
    mirror.save_tasks(
        db, KEY, [TaskSeen(n, name, name, is_labeled=False, updated_at="") for n, name in enumerate(names)]
    )
    counted = tallies.tally(db, KEY, "gpt", QUESTION)
    assert (counted.answers, counted.tokens, counted.usd) == (300, 3300, 150.0)


def test_a_batch_is_open_until_it_is_changed(db: Database) -> None:
    """Its texts are in flight so long; of two that forget it, one did."""
    made = Batch(
        id="b",
        project=KEY,
        teacher="gpt",
        question="q",
        prompt="p",
        texts=["h1", "h2"],
        space={},
        can={},
        reservation="r",
    )
    batches.add(db, made)
    assert batches.in_flight(db, "gpt") == {"h1", "h2"}
    assert batches.texts_in(db, KEY, "gpt") == {"preparing": 2}
    assert batches.change(db, made, state="starting", started_at=datetime.now(UTC))
    before = datetime.now(UTC) + timedelta(hours=1)
    assert sorted(at_once(lambda _: batches.forget_abandoned(db, made, before))) == [False] * (
        TOGETHER - 1
    ) + [True]
    assert not batches.change(db, made, state="running")
    assert not batches.are_open(db, KEY)
