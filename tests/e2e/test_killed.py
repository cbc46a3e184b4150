"""kill -9, an emptied Redis, short grace: an ALE of these tests' own, whose worker may die."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ml_backend.processes import worker_command
from ml_backend.publish import NAME
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import (
    PATIENCE_S,
    Ale,
    Loop,
    NewLoop,
    kill_family,
    loops_of,
    running_ale,
    wait_until,
)
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def fragile(label_studio: LabelStudioUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ale]:
    """Reconciles every 2 s, keeps superseded rows for 2 s, adopts nothing, asks no password, has no worker."""
    impatient = {"ALE_RECONCILE_S": 2, "ALE_GRACE_S": 2, "ALE_AUTO_CONNECT": "off"}
    with running_ale(label_studio, tmp_path_factory.mktemp("fragile"), worker=False, **impatient) as running:
        yield running


@pytest.fixture
def new_fragile_loop(fragile: Ale, request: pytest.FixtureRequest) -> Iterator[NewLoop]:
    """Makes projects on that ALE."""
    with loops_of(fragile, request.node.name) as new:
        yield new


@contextmanager
def worker_of(ale: Ale) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that nobody starts again; killed at the end if it still lives."""
    child = ale.worker_child()
    with (ale.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(worker_command(), env=ale.env, stdout=log, stderr=log)
    try:
        wait_until(child.ready, PATIENCE_S, "the worker is up")
        yield process
    finally:
        kill_family(process.pid)
        process.wait()


def has_learnt(loop: Loop, labels: int) -> bool:
    """Whether a version that was learnt from that many labels is in force."""
    versions = {run.version: run.n_labels for run in loop.runs}
    return loop.version is not None and versions.get(loop.version) == labels


def assert_nothing_doubled(loop: Loop) -> None:
    """One row per task and version, one version in force, each version published by one run."""
    for version in loop.ale.client.model_versions(loop.project_id):
        loop.predictions(version)  # fails when a task has two rows
    assert [v.version for v in loop.versions if v.state == "in_force"] == [loop.version]
    published = [run.version for run in loop.runs if run.outcome == "published"]
    assert len(published) == len(set(published))


def assert_serving(loop: Loop, version: str | None) -> None:
    """/setup names this version, Label Studio has it in force and hands out a task with its suggestion."""
    body = {"project": f"{loop.project_id}.{loop.row.created_at}", "schema": loop.row.label_config}
    assert loop.ale.web("POST", "/setup", json=body).json() == {"model_version": version}
    assert loop.theirs["model_version"] == version
    task = loop.next_task()
    assert task is not None
    assert {row["model_version"] for row in task["predictions"]} <= {version}


def test_killed_in_the_middle_of_training(fragile: Ale, new_fragile_loop: NewLoop) -> None:
    """kill -9 of the worker and its job: the old version keeps serving and annotators go on; a new worker
    finishes the training; nothing is doubled, and the dead run is written down as such.
    """
    loop = new_fragile_loop(messages(100))
    loop.add_labelled(messages(60))
    with worker_of(fragile) as worker:
        loop.start()
        before, runs = loop.version, len(loop.runs)
        task_id = loop.order()[0]
        loop.annotate(task_id)
        wait_until(
            lambda: any(r.outcome == "running" and r.n_labels == 0 for r in loop.runs[:-runs]),
            PATIENCE_S,
            "a run is on its way",
        )
        kill_family(worker.pid)
        worker.wait()
    killed = loop.runs[0]
    assert killed.outcome == "running", "the kill came too late"
    assert_serving(loop, before)
    loop.annotate(loop.order()[1])
    with worker_of(fragile):
        wait_until(lambda: has_learnt(loop, 62), PATIENCE_S, "the training is finished")
        assert loop.version != before
        assert_serving(loop, loop.version)
        assert_nothing_doubled(loop)
        dead = next(run for run in loop.runs if run.run_id == killed.run_id)
        assert dead.outcome == "failed"
        assert "ended before" in dead.reason


def test_killed_in_the_middle_of_publishing(fragile: Ale, new_fragile_loop: NewLoop) -> None:
    """A half-published version was never in force: the one before serves on, and its rows are removed."""
    loop = new_fragile_loop(messages(120))
    loop.add_labelled(messages(60))
    with worker_of(fragile) as worker:
        loop.start()
        half = None
        for task_id in loop.order()[:6]:
            before = loop.version
            loop.annotate(task_id)
            number = max(v.number for v in loop.versions)
            wait_until(lambda n=number: loop.versions[0].number > n, PATIENCE_S, "a version is being built")  # type: ignore[misc]
            newest = loop.versions[0]
            wait_until(
                lambda name=newest.version: (  # type: ignore[misc]
                    loop.versions[0].state != "building"
                    or name in fragile.client.model_versions(loop.project_id)
                ),
                PATIENCE_S,
                "its first rows are there",
            )
            if loop.versions[0].state == "building":
                kill_family(worker.pid)
                worker.wait()
                half = next(v for v in loop.versions if v.version == newest.version)
                break
            loop.settle()
    assert half is not None, "never quick enough"
    assert half.state == "building"
    assert_serving(loop, before)
    with worker_of(fragile):
        wait_until(lambda: loop.version not in {before, half.version}, PATIENCE_S, "a new version")
        wait_until(
            lambda: half.version not in fragile.client.model_versions(loop.project_id),
            PATIENCE_S,
            "the half version's rows are removed",
        )
        wait_until(
            lambda: (
                next(v.state for v in loop.versions if v.version == half.version) in {"discarded", "cleaned"}
            ),
            PATIENCE_S,
            "it is written down as never in force",
        )
        assert next(v for v in loop.versions if v.version == half.version).in_force_at is None
        assert_nothing_doubled(loop)


@pytest.fixture(scope="module")
def steady_worker(fragile: Ale) -> Iterator[None]:
    """A worker for the tests that kill nothing."""
    with worker_of(fragile):
        yield


def test_with_a_short_grace_old_rows_go_and_those_in_force_stay(
    fragile: Ale, steady_worker: None, new_fragile_loop: NewLoop
) -> None:
    """Superseded rows are deleted once the grace is over; at no moment is the version in force touched."""
    loop = new_fragile_loop(messages(15))
    loop.add_labelled(messages(9))
    loop.start()
    first = loop.version
    assert first is not None
    todo = loop.order()[:2]
    assert len(todo) == 2
    for task_id in todo:
        loop.annotate(task_id)
        loop.learn()
    last = loop.version
    assert last != first
    rows = loop.predictions(last)
    assert len(rows) >= fragile.settings.batch

    def gone() -> bool:
        theirs = fragile.client.model_versions(loop.project_id)
        assert theirs.get(str(loop.version), 0) >= len(rows)
        return {name for name in theirs if NAME.match(name)} == {str(loop.version)}

    wait_until(gone, PATIENCE_S, "superseded rows are deleted")
    assert loop.theirs["model_version"] == loop.version == last
    assert loop.predictions(last).keys() >= rows.keys()


def test_an_emptied_redis_is_repaired(fragile: Ale, steady_worker: None, new_fragile_loop: NewLoop) -> None:
    """Marks, jobs, locks and the worker's own registration vanish; reconcile finds what was to be done."""
    loop = new_fragile_loop(messages(12))
    loop.add_labelled(messages(9))
    loop.start()
    task_id = loop.order()[0]
    loop.annotate(task_id)
    fragile.redis.flushall()
    wait_until(lambda: has_learnt(loop, 10), PATIENCE_S, "the label is learnt from all the same")
    assert_nothing_doubled(loop)
    assert_serving(loop, loop.version)


def test_auto_connect_off_adopts_nothing(
    fragile: Ale, steady_worker: None, new_fragile_loop: NewLoop
) -> None:
    """Connected by hand, it stays wished, and says which command connects it; that command then does."""
    loop = new_fragile_loop(messages(9))
    body = {"project": loop.project_id, "url": fragile.settings.url, "title": "By hand"}
    if fragile.settings.has_password:
        body |= {
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": fragile.settings.basic_auth_user,
            "basic_auth_pass": fragile.settings.basic_auth_pass.get_secret_value(),
        }
    loop.ask("POST", "ml/", json=body)
    wait_until(lambda: "ALE_AUTO_CONNECT is off" in loop.row.problem, PATIENCE_S, "the reason is said")
    assert f"ale connect {loop.project_id}" in loop.row.problem
    assert loop.row.status == "wished"
    assert loop.theirs["model_version"] == "By hand"
    assert [hook["headers"] for hook in fragile.client.webhooks(loop.project_id)] == [{}]
    loop.start()
    assert loop.theirs["model_version"] == loop.version
    assert len(fragile.client.webhooks(loop.project_id)) == 1
    assert fragile.client.webhooks(loop.project_id)[0]["headers"]
    assert set(loop.suggested().values()) <= set(LABELS)
