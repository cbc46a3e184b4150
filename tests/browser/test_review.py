"""Reviewing suspected label errors in quick view, with the two gestures that the instructions name."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ml_backend.review_flags import STATUS, flags
from tests.browser.pages import REVIEW_TITLE, LabelStudioPages
from tests.e2e.loop import Loop, NewLoop
from tests.e2e.messages import LABELS, Message, messages

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def other_than(label: str) -> str:
    """A wrong label."""
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


def key_of(label: str) -> str:
    """The key that Label Studio gives to a label."""
    return str(LABELS.index(label) + 1)


def status_of(loop: Loop, task_id: int) -> str | None:
    """What became of the flag on a task."""
    return next((f.status for f in flags(loop.ale.services.db, loop.key) if f.task_id == task_id), None)


def suspects(loop: Loop) -> list[int]:
    """Tasks of the flags that stand in SQL, worst first."""
    return [f.task_id for f in flags(loop.ale.services.db, loop.key) if f.status == "suspect"]


def open_review(pages: LabelStudioPages, loop: Loop) -> None:
    """The review tab, freshly loaded."""
    view = loop.row.review_view_id
    assert view is not None
    pages.open_tab(REVIEW_TITLE, loop.project_id, view)


def test_a_suspected_error_is_fixed_or_confirmed_by_keyboard_and_stays_settled(
    pages: LabelStudioPages, new_loop: NewLoop
) -> None:
    """Right key and Ctrl+Enter: fixed. The label's own key twice and Ctrl+Enter: confirmed. Both rows leave
    the tab, the label of the confirmed one is kept, and three retrains do not bring it back. All the while the tab
    has exactly the flags, worst first.
    """
    meant = messages(36)
    given = [Message(m.text, other_than(m.label)) if n in {1, 15} else m for n, m in enumerate(meant)]
    loop = new_loop(messages(24))
    unlabelled = sorted(loop.truth)
    ids = loop.add_labelled(given)
    loop.start()
    wrong = ids[1], ids[15]
    assert set(suspects(loop)) >= set(wrong)
    assert [task["id"] for task in loop.tab(REVIEW_TITLE)] == suspects(loop)
    texts = {task_id: message.text[:40] for task_id, message in zip(ids, meant, strict=True)}
    right = {task_id: message.label for task_id, message in zip(ids, meant, strict=True)}

    fixed, confirmed = wrong
    open_review(pages, loop)
    expect(pages.rows).to_have_count(len(suspects(loop)))
    pages.open_labelled(pages.row(texts[fixed]))
    assert pages.task_id == fixed
    pages.press(key_of(right[fixed]), right[fixed])
    pages.submit()

    open_review(pages, loop)
    kept = other_than(right[confirmed])
    pages.open_labelled(pages.row(texts[confirmed]))
    assert pages.task_id == confirmed
    pages.press(key_of(kept), kept, ticked=False)
    pages.press(key_of(kept), kept)
    pages.submit()

    loop.learn()
    assert (status_of(loop, fixed), status_of(loop, confirmed)) == ("fixed", "confirmed")
    for start in (0, 6, 12):
        before = loop.version
        for task_id in unlabelled[start : start + 6]:
            loop.annotate(task_id)
        loop.learn()
        assert loop.version != before
        assert (status_of(loop, fixed), status_of(loop, confirmed)) == ("fixed", "confirmed")
        assert [task["id"] for task in loop.tab(REVIEW_TITLE)] == suspects(loop)

    open_review(pages, loop)
    for task_id in wrong:
        expect(pages.row(texts[task_id])).to_have_count(0)
    expect(pages.rows).to_have_count(len(suspects(loop)))
    data = {
        task.task_id: loop.ask("GET", f"tasks/{task.task_id}/")["data"]
        for task in loop.tasks
        if task.task_id in wrong
    }
    assert [data[task_id][STATUS] for task_id in wrong] == ["fixed", "confirmed"]
    labels = {a.task_id: a.label for a in loop.mirrored}
    assert labels[fixed] == right[fixed]
    assert labels[confirmed] == kept
