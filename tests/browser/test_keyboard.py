"""Labelling by keyboard, with a suggestion that is ticked already."""

from __future__ import annotations

import pytest

from tests.browser.pages import LabelStudioPages
from tests.e2e.loop import NewLoop, chosen
from tests.e2e.messages import LABELS, messages

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def test_a_suggestion_is_accepted_by_one_stroke_and_corrected_by_two(
    pages: LabelStudioPages, new_loop: NewLoop
) -> None:
    """Ctrl+Enter takes the suggestion as it is; another label's key before it corrects it. Label Studio
    writes down which of the two it was, and we mirror that. The tasks come in our order.
    """
    loop = new_loop(messages(30))
    loop.start()
    loop.pass_audit()
    order, shown = loop.order(), loop.predictions()

    pages.label_all(loop.project_id)
    first = pages.task_id
    suggested = chosen(shown[first]["result"])
    assert suggested is not None
    pages.expect_chosen(suggested)
    pages.submit()
    second = pages.wait_for_next(first)
    assert [first, second] == order[:2]

    other = next(label for label in LABELS if label != chosen(shown[second]["result"]))
    pages.expect_chosen(chosen(shown[second]["result"]) or "")
    pages.press(str(LABELS.index(other) + 1), other)
    pages.expect_chosen(other)
    pages.submit()
    pages.wait_for_next(second)

    (accepted,) = loop.annotations(first)
    (corrected,) = loop.annotations(second)
    assert accepted["result"][0]["origin"] == "prediction"
    assert corrected["result"][0]["origin"] == "prediction-changed"
    assert (chosen(accepted["result"]), chosen(corrected["result"])) == (suggested, other)
    assert accepted["parent_prediction"] == shown[first]["id"]
    assert corrected["parent_prediction"] == shown[second]["id"]

    loop.learn()
    mirrored = {a.task_id: a.origin for a in loop.mirrored if a.task_id not in loop.reserve}
    assert mirrored == {first: "prediction", second: "prediction-changed"}
