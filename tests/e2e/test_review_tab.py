"""A planted label error: it comes up in the review tab, a person decides, and the decision holds."""

from __future__ import annotations

import pytest

from ml_backend.review_flags import (
    CURRENT,
    REASON,
    SCORE,
    STATUS,
    SUGGESTED,
    SUGGESTION_VERSION,
    show_flags,
)
from ml_backend.store.schema import ReviewFlag
from ml_backend.tabs import REVIEW_TITLE
from tests.e2e.loop import Json, Loop, NewLoop, chosen
from tests.e2e.messages import DELIVERY, LOGIN, PRAISE, messages

pytestmark = pytest.mark.e2e


def plant(new_loop: NewLoop) -> tuple[Loop, int, int]:
    """A project with 45 right labels and a wrong one; the wrong one's task and annotation."""
    loop = new_loop(messages(6))
    loop.add_labelled(messages(45))
    loop.start()
    task_id = loop.add_chosen(lambda: messages(1)[0])
    assert loop.truth[task_id] == DELIVERY
    loop.learn()  # the teacher has answered: without its word the doubt would be a small one until the next run
    annotation = loop.annotate(task_id, PRAISE)
    loop.learn()
    return loop, task_id, int(annotation["id"])


def in_tab(loop: Loop) -> dict[int, Json]:
    """The data of the tasks that the review tab shows."""
    return {int(task["id"]): task["data"] for task in loop.tab(REVIEW_TITLE)}


def retrain(loop: Loop) -> None:
    """Three more right labels, and what is learnt from them."""
    before = len([run for run in loop.runs if "learn" in run.seconds])
    loop.add_labelled(messages(3))
    loop.learn()
    assert len([run for run in loop.runs if "learn" in run.seconds]) > before


def test_a_fixed_label_leaves_the_tab_and_stays_away(new_loop: NewLoop) -> None:
    """The error stands in the tab with suggestion, current label, reason and score; after the right label was
    saved it is gone, also after another retrain; no annotation was touched by us.
    """
    loop, task_id, annotation_id = plant(new_loop)
    rows = in_tab(loop)
    assert task_id in rows
    data = rows[task_id]
    assert (data[STATUS], data[SUGGESTED], data[CURRENT]) == ("suspect", DELIVERY, PRAISE)
    assert isinstance(data[SCORE], float)
    assert 0.5 < data[SCORE] <= 1
    assert isinstance(data[REASON], str)
    assert 0 < len(data[REASON]) <= 120
    assert data["text"]
    assert chosen(loop.predictions(SUGGESTION_VERSION)[task_id]["result"]) == DELIVERY
    assert next(iter(rows)) == task_id, "worst first"
    assert [chosen(a["result"]) for a in loop.annotations(task_id)] == [PRAISE], "we changed nothing"

    loop.update(annotation_id, DELIVERY)
    loop.learn()
    assert task_id not in in_tab(loop)
    retrain(loop)
    assert task_id not in in_tab(loop)
    (task,) = loop.ale.client.tasks(loop.project_id, ids=[task_id])
    assert task["data"][STATUS] == "fixed"
    assert isinstance(task["data"][SCORE], int | float), "always a number: others break the tab on Postgres"


def test_a_suggestion_that_changes_its_mind_stays_one(new_loop: NewLoop) -> None:
    """One row on the task, under one id, also when a run was killed before it could remember what it wrote."""
    loop, task_id, _ = plant(new_loop)
    before = loop.predictions(SUGGESTION_VERSION)[task_id]
    services, client = loop.ale.services, loop.ale.client
    for suggested, remembered in ((LOGIN, DELIVERY), (DELIVERY, LOGIN), (LOGIN, "")):
        with services.db.session() as session:
            flag = session.get_one(ReviewFlag, (loop.key, task_id))
            flag.suggested, flag.suggestion_shown, flag.shown = suggested, remembered, False
        show_flags(services.db, client, loop.row, loop.control)
        after = loop.predictions(SUGGESTION_VERSION)[task_id]  # fails when the task has two
        assert (after["id"], chosen(after["result"])) == (before["id"], suggested)
        assert in_tab(loop)[task_id][SUGGESTED] == suggested


def test_a_confirmed_label_is_silent_until_the_text_changes(new_loop: NewLoop) -> None:
    """Saved once more with the same value it is right: silent over retrains. Another text is another question."""
    loop, task_id, annotation_id = plant(new_loop)
    assert task_id in in_tab(loop)
    loop.update(annotation_id, PRAISE)
    loop.learn()
    assert task_id not in in_tab(loop)
    for _ in range(2):
        retrain(loop)
        assert task_id not in in_tab(loop)
    (task,) = loop.ale.client.tasks(loop.project_id, ids=[task_id])
    assert task["data"][STATUS] == "confirmed"

    text = messages(1)[0].text
    loop.ask("PATCH", f"tasks/{task_id}/", json={"data": {**task["data"], "text": text}})
    loop.mark()
    loop.learn()
    assert task_id in in_tab(loop), "still called praise, and now about another parcel"


def test_a_flag_whose_annotation_is_deleted_or_skipped_is_withdrawn(new_loop: NewLoop) -> None:
    """Nothing is left to review."""
    loop, task_id, annotation_id = plant(new_loop)
    assert task_id in in_tab(loop)
    loop.ask("DELETE", f"annotations/{annotation_id}/")
    loop.learn()
    assert task_id not in in_tab(loop)
