"""What people do in Label Studio, and what the training set makes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ale.io.snapshots import read_snapshot
from tests.e2e.loop import PATIENCE_S, Loop, NewLoop, choose, chosen, config, wait_until
from tests.e2e.messages import DELIVERY, LABELS, LOGIN, PRAISE, messages

pytestmark = pytest.mark.e2e


def learnt(loop: Loop) -> dict[int, str]:
    """Task and label of every row of the newest snapshot."""
    folder = loop.ale.settings.home / "snapshots" / loop.key
    return {row.task: row.label for row in read_snapshot(folder, loop.versions[0].snapshot)}


def person(name: str) -> dict[str, str]:
    """A new user for Label Studio."""
    return {"username": name, "email": f"{name}@example.com"}


def test_the_training_set_follows_every_change(new_loop: NewLoop) -> None:
    """A changed label, a deleted annotation, a deleted task (also by a Data Manager action), a skip: after each
    one the next run learns from exactly what is there.
    """
    loop = new_loop(messages(24))
    ids = loop.add_labelled(messages(12))
    truth = {task_id: loop.truth[task_id] for task_id in ids}
    loop.start()
    assert learnt(loop) == truth

    changed = loop.annotations(ids[0])[0]
    loop.update(changed["id"], PRAISE)
    loop.learn()
    assert learnt(loop) == truth | {ids[0]: PRAISE}

    loop.ask("DELETE", f"annotations/{loop.annotations(ids[0])[0]['id']}/")
    loop.ask("DELETE", f"tasks/{ids[1]}/")
    loop.learn()
    del truth[ids[0]], truth[ids[1]]
    assert learnt(loop) == truth
    assert ids[1] not in {task.task_id for task in loop.tasks}
    assert ids[0] in loop.order(), "a task that lost its annotation is asked again"

    loop.action("delete_tasks", [ids[2]])
    loop.action("delete_tasks_annotations", [ids[3]])
    run = loop.learn()
    del truth[ids[2]], truth[ids[3]]
    assert learnt(loop) == truth
    assert run.n_labels == 8

    rest = [task_id for task_id in loop.order() if task_id not in ids]
    loop.skip(rest[0])
    run = loop.learn()
    assert run.counts["excluded"] == {"skipped": 1}
    assert learnt(loop) == truth


def test_what_sends_no_webhook_is_found_by_reconcile(new_loop: NewLoop) -> None:
    """All tasks deleted by API, and an annotation whose webhook was lost: a timer that reconciles every second
    finds both.
    """
    loop = new_loop(messages(9))
    loop.add_labelled(messages(6))
    loop.start()
    hook = loop.ale.client.webhooks(loop.project_id)[0]
    loop.ask("DELETE", f"webhooks/{hook['id']}/")
    task_id = min(loop.truth)
    loop.annotate(task_id)
    loop.settle()
    assert loop.last_run.n_labels == 6, "nobody told us"
    timer = [sys.executable, "-m", "ml_backend.timer"]
    with subprocess.Popen(timer, env=loop.ale.env | {"ALE_RECONCILE_S": "1"}) as process:
        try:
            wait_until(lambda: loop.last_run.n_labels == 7, PATIENCE_S, "the annotation is found")
            loop.ask("DELETE", f"projects/{loop.project_id}/tasks/")
            wait_until(lambda: not loop.tasks, PATIENCE_S, "the tasks are gone")
        finally:
            process.terminate()
    loop.settle()


def test_annotations_made_from_predictions_are_not_learnt_from(new_loop: NewLoop) -> None:
    """The bulk action "Create annotations from predictions" asks nobody: no human label, until a person saves."""
    loop = new_loop(messages(9))
    loop.add_labelled(messages(6))
    loop.start()
    bulk = loop.order()[:4]
    assert len(set(bulk) - set(loop.reserve)) > 1
    loop.action("predictions_to_annotations", bulk)
    run = loop.learn()
    assert run.n_labels == 6
    assert run.counts["excluded"] == {"made_from_predictions": 4}
    saved = loop.annotations(next(task_id for task_id in bulk if task_id in loop.free))[0]
    loop.update(saved["id"], chosen(saved["result"]) or "")
    run = loop.learn()
    assert run.n_labels == 7
    assert run.counts["excluded"] == {"made_from_predictions": 3}


def test_the_majority_decides_and_a_tie_is_left_out(new_loop: NewLoop) -> None:
    """Three annotators: two against one wins; one against one is excluded and counted."""
    loop = new_loop(messages(12), maximum_annotations=3)
    others = [
        loop.ask("POST", "users/", json=person(f"{name}-{loop.project_id}"))["id"] for name in ("ada", "bob")
    ]
    majority, tie, alone, second = sorted(loop.truth)[:4]
    loop.annotate(majority, PRAISE)
    loop.annotate(majority, DELIVERY, completed_by=others[0])
    loop.annotate(majority, DELIVERY, completed_by=others[1])
    loop.annotate(tie, PRAISE)
    loop.annotate(tie, DELIVERY, completed_by=others[0])
    loop.annotate(alone, LOGIN)
    loop.annotate(second, PRAISE)
    run = loop.start()
    assert learnt(loop) == {majority: DELIVERY, alone: LOGIN, second: PRAISE}
    assert run.counts["excluded"] == {"tie": 1}
    assert {a.annotator for a in loop.mirrored if a.task_id == majority} >= set(others)

    loop.annotate(tie, DELIVERY, completed_by=others[1])
    loop.learn()
    assert learnt(loop)[tie] == DELIVERY


def test_one_class_only_has_a_reason_and_annotators_keep_working(new_loop: NewLoop) -> None:
    """Labels of a single class train no student; the order goes on, and the second class brings the student."""
    loop = new_loop(messages(18))
    first = [t for t, label in loop.truth.items() if label == LOGIN][:3]
    for task_id in first:
        loop.annotate(task_id)
    run = loop.start()
    assert loop.versions[0].kind == "teacher"
    assert run.reason == "need_two_classes"
    for label in (LOGIN, DELIVERY):
        while True:
            task = loop.next_task()
            assert task is not None
            loop.annotate(int(task["id"]), label)
            loop.learn()
            if int(task["id"]) in loop.free:  # an audit trains nothing
                break
    assert loop.versions[0].kind == "student"


def test_empty_and_foreign_results_are_counted_not_learnt(new_loop: NewLoop) -> None:
    """An empty annotation, two values for one choice, and a label that is not in the config."""
    loop = new_loop(messages(9))
    ids = sorted(loop.truth)
    loop.annotate(ids[0], result=[])
    two = choose(LOGIN)
    two[0]["value"]["choices"].append(PRAISE)
    loop.annotate(ids[1], result=two)
    loop.annotate(ids[2], result=choose("Nobody knows"))
    loop.annotate(ids[3])
    loop.annotate(ids[4])
    run = loop.start()
    assert run.counts["excluded"] == {"empty": 2, "label_not_in_config": 1}
    assert run.n_labels == 2
    assert set(loop.suggested().values()) <= set(LABELS)


def test_a_deleted_project_is_gone_quietly(new_loop: NewLoop) -> None:
    """Deleting a project announces nothing; the next look says so, once, and nothing fails."""
    loop = new_loop(messages(6))
    loop.start()
    runs = len(loop.runs)
    loop.ask("DELETE", f"projects/{loop.project_id}/")
    loop.mark()
    wait_until(lambda: loop.row.status == "gone", PATIENCE_S, "the project is gone")
    loop.settle()
    assert len(loop.runs) == runs
    assert loop.key not in loop.ale.services.marks.pending()
    loop.ale.reconcile()
    loop.settle()
    assert loop.key not in loop.ale.services.marks.pending()


def test_two_projects_at_once_never_mix(new_loop: NewLoop) -> None:
    """The same texts under two configs: each project has its own labels, version, student and suggestions."""
    pool = messages(24)
    upper = tuple(label.upper() for label in LABELS)
    one, two = new_loop(pool), new_loop(pool, config(upper))
    one.connect()
    two.connect()
    # No audits: an audit label at the end of the order makes no new version, and so no snapshot.
    for task_id, other_id in zip(one.free[:5], two.free[:5], strict=True):
        one.annotate(task_id)
        two.annotate(other_id, two.truth[other_id].upper())
    one.annotate(max(one.free))
    one.learn()
    two.learn()
    for loop, labels, n in ((one, set(LABELS), 6), (two, set(upper), 5)):
        rows = loop.predictions()
        assert rows
        assert set(loop.suggested().values()) <= labels
        assert rows.keys() <= loop.truth.keys()
        assert set(learnt(loop).values()) <= labels
        assert len(learnt(loop)) == n
    assert one.key != two.key
