"""A page that stays open while the world behind it moves on."""

from __future__ import annotations

import pytest

from tests.browser.pages import LabelStudioPages
from tests.e2e.loop import NewLoop, chosen
from tests.e2e.messages import messages

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def test_a_page_opened_two_versions_ago_is_saved_with_its_suggestion(
    pages: LabelStudioPages, new_loop: NewLoop
) -> None:
    """A page shows a suggestion; two more versions come into force; Ctrl+Enter is stored all the same, with
    the suggestion that the page showed as its parent.
    """
    loop = new_loop(messages(30))
    loop.start()
    loop.pass_audit()
    opened = loop.version
    shown = loop.predictions(opened)
    pages.label_all(loop.project_id)
    task_id = pages.task_id
    assert task_id == loop.order()[0]
    suggested = chosen(shown[task_id]["result"])
    assert suggested is not None
    pages.expect_chosen(suggested)

    seen = [opened]
    others = [other for other in reversed(loop.free) if other != task_id]
    for start in (0, 6):
        for other in others[start : start + 6]:
            loop.annotate(other)
        loop.learn()
        assert loop.version not in seen
        seen.append(loop.version)

    saved = pages.submit()
    (stored,) = loop.annotations(task_id)
    assert stored["id"] == saved["id"]
    assert stored["parent_prediction"] == shown[task_id]["id"]
    assert chosen(stored["result"]) == suggested
    loop.learn()
    mirrored = next(a for a in loop.mirrored if a.annotation_id == saved["id"])
    assert mirrored.parent_prediction == shown[task_id]["id"]
