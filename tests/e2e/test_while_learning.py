"""What happens in the middle of a learn run: other runs, bursts, deletions, another config, foreign jobs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from ale.students import LinearStudent
from ml_backend.auth import WEBHOOK_HEADER
from ml_backend.learn import LearnRun
from ml_backend.learning import build_learning
from ml_backend.lock import single_flight
from ml_backend.queues import LEARN, queue
from ml_backend.runs import recorded
from ml_backend.store import projects
from tests.e2e.loop import PATIENCE_S, Loop, NewLoop, config, wait_until
from tests.e2e.messages import LOGIN, PRAISE, messages

pytestmark = pytest.mark.e2e


class InterruptedStudent(LinearStudent):
    """The real student; something else happens while it is being fitted."""

    meanwhile: ClassVar[Callable[[], object]]

    def fit(self, *given: Any, **named: Any) -> Self:
        """Fit after what happens meanwhile."""
        type(self).meanwhile()
        return super().fit(*given, **named)


def learn_here(loop: Loop, meanwhile: Callable[[], object] | None = None) -> str:
    """A learn run in this process; `meanwhile` happens when it has read Label Studio and is training."""
    ale = loop.ale
    learning = build_learning(ale.settings)
    if meanwhile is not None:
        interrupted = type("Interrupted", (InterruptedStudent,), {"meanwhile": staticmethod(meanwhile)})
        learning = replace(learning, student=interrupted)
    theirs = loop.theirs
    run = LearnRun(
        settings=ale.settings,
        db=ale.services.db,
        client=ale.client,
        learning=learning,
        project=loop.row,
        control=loop.control,
        space=loop.control.label_space,
        fence=projects.next_fence(ale.services.db, loop.key),
    )
    return recorded(run, theirs)


def labelled_loop(new_loop: NewLoop) -> Loop:
    """A project in whose version in force a student speaks."""
    loop = new_loop(messages(12))
    loop.add_labelled(messages(9))
    loop.start()
    return loop


def test_an_older_run_discards_itself(new_loop: NewLoop) -> None:
    """Two runs at once: the one that started first changes nothing any more, though it ends last."""
    loop = labelled_loop(new_loop)
    newer: list[str] = []
    with single_flight(loop.ale.redis, loop.key) as mine:
        assert mine
        loop.annotate(loop.free[0])
        assert learn_here(loop, lambda: newer.append(learn_here(loop))) == "superseded"
        assert newer == ["published"]
        in_force = loop.version
        assert loop.theirs["model_version"] == in_force
        states = {v.version: v.state for v in loop.versions}
        assert states[str(in_force)] == "in_force"
        assert list(states.values()).count("in_force") == 1
    loop.learn()
    assert loop.theirs["model_version"] == loop.version


def test_a_task_deleted_while_training_does_no_harm(new_loop: NewLoop) -> None:
    """The run that meets it may fail with a reason, the version in force stays; the next run is right."""
    loop = labelled_loop(new_loop)
    before = loop.version
    victim, labelled = loop.order()[0], max(loop.truth)
    with single_flight(loop.ale.redis, loop.key) as mine:
        assert mine
        loop.annotate(loop.order()[1])

        def delete() -> None:
            loop.ask("DELETE", f"tasks/{victim}/")
            loop.ask("DELETE", f"tasks/{labelled}/")

        try:
            outcome = learn_here(loop, delete)
        except Exception:  # noqa: BLE001 - whatever it is, it has to be written down
            outcome = loop.last_run.outcome
            assert loop.last_run.reason
        assert outcome in {"published", "failed", "superseded"}
        assert loop.theirs["model_version"] == loop.version
        if outcome != "published":
            assert loop.version == before
    loop.learn()
    assert loop.row.problem == ""
    assert not {victim, labelled} & {task.task_id for task in loop.tasks}
    assert loop.last_run.n_labels == 9
    assert loop.theirs["model_version"] == loop.version
    assert loop.predictions().keys() <= loop.truth.keys() - {victim, labelled}


def test_a_config_changed_while_training_is_not_published_against(new_loop: NewLoop) -> None:
    """Labels that died during the run are not put in force; the next run learns under the new config."""
    loop = labelled_loop(new_loop)
    before = loop.version
    renamed = ["Shipping", LOGIN, PRAISE]
    with single_flight(loop.ale.redis, loop.key) as mine:
        assert mine
        loop.annotate(loop.order()[0])
        body = {"label_config": config(renamed)}
        outcome = learn_here(loop, lambda: loop.ask("PATCH", f"projects/{loop.project_id}/", json=body))
        assert outcome == "superseded"
        assert loop.version == before
        assert loop.theirs["model_version"] == before
    loop.learn()
    assert loop.version != before
    assert set(loop.suggested().values()) <= set(renamed)


def test_a_burst_of_webhooks_becomes_few_runs_and_the_last_label_counts(new_loop: NewLoop) -> None:
    """500 events while a run is on its way: all are taken at once, few runs follow, the last one sees all."""
    loop = labelled_loop(new_loop)
    hook = loop.ale.client.webhooks(loop.project_id)[0]
    runs = len(loop.runs)
    todo = loop.order()
    loop.annotate(todo[0])

    def event(_: int) -> int:
        body = {"action": "ANNOTATION_UPDATED"}
        headers = {WEBHOOK_HEADER: hook["headers"][WEBHOOK_HEADER]}
        return loop.ale.http.post(hook["url"], json=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(event, range(500)))
    loop.annotate(todo[1])
    assert answers == [202] * 500
    run = loop.learn()
    assert run.n_labels == 11
    burst = len(loop.runs) - runs
    seconds = (loop.last_run.started_at - loop.runs[burst - 1].started_at).total_seconds()
    # One run per second at most: that is the maximum wait. And never one per event.
    assert burst <= 3 + seconds / loop.ale.settings.max_wait_s


def test_a_pickle_in_the_queue_is_not_opened(new_loop: NewLoop, tmp_path: Path) -> None:
    """Whoever can write to Redis cannot run code by it: our worker reads JSON only, and goes on working."""
    loop = labelled_loop(new_loop)
    proof = tmp_path / "opened"
    job = Queue(LEARN, connection=loop.ale.redis).enqueue("os.mkdir", str(proof))  # pickled, as RQ does it
    loop.annotate(loop.order()[0])
    run = loop.learn()
    assert run.n_labels == 10
    wait_until(lambda: job.id not in queue(LEARN, loop.ale.redis).job_ids, PATIENCE_S, "the job was taken")
    assert not proof.exists()
    registry = FailedJobRegistry(LEARN, connection=loop.ale.redis, serializer=JSONSerializer)
    assert job.id in registry.get_job_ids() or not loop.ale.redis.exists(f"rq:job:{job.id}")
