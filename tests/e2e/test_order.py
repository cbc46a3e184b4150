"""Suggestions and order: what Label Studio shows and serves is what we published, before and after a retrain."""

from __future__ import annotations

import pytest

from tests.e2e.loop import Loop, NewLoop, chosen
from tests.e2e.messages import DELIVERY, LABELS, messages

pytestmark = pytest.mark.e2e


def serve_by_skipping(loop: Loop, how_many: int) -> list[int]:
    """The tasks that Label Studio hands out one after the other; a skip moves on and teaches nothing."""
    served = []
    for _ in range(how_many):
        task = loop.next_task()
        assert task is not None
        served.append(int(task["id"]))
        loop.skip(served[-1])
    return served


def test_every_task_has_one_suggestion_of_the_version_in_force(new_loop: NewLoop) -> None:
    """After connecting, each task carries one prediction of the version that Label Studio, our database and
    /setup name alike; every label is one of the config; the confidence stands on the suggestion. Audit tasks,
    and they alone, are suggested nothing.
    """
    pool = messages(36)
    loop = new_loop(pool)
    loop.start()
    version = loop.version
    theirs = loop.theirs
    assert theirs["model_version"] == version
    assert theirs["sampling"] == "Uncertainty sampling"
    rows = loop.predictions()
    assert rows.keys() == loop.truth.keys()
    assert set(loop.suggested().values()) <= set(LABELS)
    for row in rows.values():
        assert 0 <= row["score"] <= 1
    for task_id in loop.free:
        assert 0 <= rows[task_id]["result"][0]["score"] <= 1
    created = loop.row.created_at
    answer = loop.ale.web(
        "POST",
        "/setup",
        json={"project": f"{loop.project_id}.{created}", "schema": theirs["label_config"]},
    )
    assert answer.json() == {"model_version": version}
    # What a page asks for live is what is stored.
    first = loop.free[0]
    task = {"id": first, "data": {"text": pool[sorted(loop.truth).index(first)].text}}
    body = {
        "tasks": [task],
        "project": f"{loop.project_id}.{created}",
        "label_config": theirs["label_config"],
    }
    slot = loop.ale.web("POST", "/predict", json=body).json()["results"][0]
    stored = rows[first]
    assert (slot["model_version"], chosen(slot["result"])) == (version, chosen(stored["result"]))


def test_served_order_is_our_ranking_before_and_after_a_retrain(new_loop: NewLoop) -> None:
    """Label Studio hands out tasks in the order of our scores; after new labels in the new order."""
    loop = new_loop(messages(40))
    loop.start()
    first, before = loop.version, loop.order()
    assert before[:12] == loop.ranking()[:12]
    assert serve_by_skipping(loop, 5) == before[:5]
    assert loop.learn().outcome in {"unchanged", "filled"}
    assert loop.version == first, "a skip is no reason for a new version"

    for task_id in sorted(loop.truth)[-12:]:
        loop.annotate(task_id)
    run = loop.learn()
    assert loop.version != first
    assert run.n_labels == 12
    assert loop.order()[:12] == loop.ranking()[:12]
    after = [task_id for task_id in loop.order() if task_id not in before[:5]]
    assert after != [task_id for task_id in before[5:] if task_id in after]
    assert serve_by_skipping(loop, 5) == after[:5]


def test_tasks_imported_after_a_publish_are_served_in_rank_without_a_retrain(new_loop: NewLoop) -> None:
    """New tasks get a place in the version in force: same version, each with one row, served by score."""
    loop = new_loop(messages(24))
    loop.start()
    version = loop.version
    published = sum(run.outcome == "published" for run in loop.runs)
    new = loop.add(messages(4))
    loop.learn()
    assert loop.version == version
    assert sum(run.outcome == "published" for run in loop.runs) == published
    assert set(new) <= loop.predictions().keys()
    suggested = loop.suggested()
    assert all(suggested[task_id] in LABELS for task_id in new if task_id in loop.free)
    order = loop.order()
    until_all_new = max(order.index(task_id) for task_id in new) + 1
    assert serve_by_skipping(loop, until_all_new) == order[:until_all_new]


def test_an_annotation_leads_to_a_new_order(new_loop: NewLoop) -> None:
    """Annotate what is served: webhook, retrain, a new version with a new order. The version before stays for
    pages that hold it: they can still submit.
    """
    loop = new_loop(messages(30))
    loop.start()
    first, before = loop.version, loop.order()
    learnt = [task_id for task_id in before if task_id in loop.free]
    for task_id in learnt[-3:]:  # some of each kind, whatever stands at the head
        loop.annotate(task_id)
    kinds = {loop.truth[task_id] for task_id in learnt[-3:]}
    for task_id in [t for t in learnt[:-3] if loop.truth[t] not in kinds][:2]:
        loop.annotate(task_id)
    for _ in range(4):
        task = loop.next_task()
        assert task is not None
        held = task["predictions"]
        loop.annotate(int(task["id"]), parent_prediction=held[0]["id"] if held else None)
    run = loop.learn()
    assert run.n_labels == sum(t.is_labeled for t in loop.tasks) >= 7
    assert loop.version not in {None, first}
    assert loop.theirs["model_version"] == loop.version
    assert loop.order() != [t for t in before if t in set(loop.order())]
    assert loop.predictions(first), "superseded rows stay while a page may hold them"
    student = next(v for v in loop.versions if v.version == loop.version)
    assert student.kind == "student", run.reason
    # A page opened before the retrain still saves its annotation.
    old = next(row for row in loop.predictions(first).values() if row["task"] in loop.order())
    saved = loop.annotate(int(old["task"]), parent_prediction=old["id"])
    loop.learn()
    mine = next(a for a in loop.mirrored if a.annotation_id == saved["id"])
    assert mine.parent_prediction == old["id"]


def test_a_student_that_learnt_is_right(new_loop: NewLoop) -> None:
    """With some labels of each kind, the suggestions for the rest are right."""
    loop = new_loop(messages(45))
    loop.add_labelled(messages(30))
    loop.start()
    suggested = loop.suggested()
    right = sum(suggested[t] == loop.truth[t] for t in suggested)
    assert right / len(suggested) > 0.9
    assert DELIVERY in suggested.values()
