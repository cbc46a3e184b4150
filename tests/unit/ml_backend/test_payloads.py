"""Between Label Studio's JSON and our words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ale.errors import LabelSpaceMismatch
from ml_backend.controls import find_control
from ml_backend.payloads import task_text, to_prediction, to_slot

CONTROL = find_control(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    "</Choices></View>"
)


@pytest.mark.parametrize("value", [None, "", " \n\t ", 3, 1.5, True, ["a"], {"a": "b"}])
def test_no_text(value: object) -> None:
    """What is not a readable string is no text."""
    assert task_text({"text": value}, CONTROL) is None
    assert task_text({}, CONTROL) is None
    assert task_text(value, CONTROL) is None


@given(st.text())
def test_any_string_is_survived(value: str) -> None:
    """Control characters, surrogates, emoji: a text or None, and always fit for JSON and UTF-8."""
    text = task_text({"text": value}, CONTROL)
    assert text is None or text == task_text({"text": text}, CONTROL)
    if text is not None:
        assert json.loads(json.dumps(text)) == text
        text.encode()


def test_huge_text_is_cut() -> None:
    """One pasted book is not held in memory."""
    assert len(task_text({"text": "ab " * 1_000_000}, CONTROL) or "") <= 10_000


def test_prediction() -> None:
    """Order score outside, confidence inside."""
    prediction = to_prediction(7, CONTROL, "B", 0.9, 0.01, "ale-3")
    assert prediction["task"] == 7
    assert prediction["score"] == 0.01
    assert prediction["model_version"] == "ale-3"
    assert prediction["result"][0]["value"] == {"choices": ["B"]}
    assert prediction["result"][0]["score"] == 0.9


def test_no_label_keeps_the_place_in_the_order() -> None:
    """An empty result: ranked, without a suggestion. In /predict the abstention is an empty slot."""
    assert to_prediction(7, CONTROL, None, None, 0.5, "ale-3")["result"] == []
    assert to_slot(CONTROL, None, None, 0.5, "ale-3") == []
    assert "task" not in to_slot(CONTROL, "A", 0.6, 0.5, "ale-3")


@pytest.mark.parametrize("score", [float("nan"), -0.001, 1.001])
def test_wrong_scores_do_not_leave(score: float) -> None:
    """Label Studio would drop them in silence."""
    with pytest.raises(ValueError, match="score"):
        to_prediction(7, CONTROL, "A", 0.5, score, "ale-3")


def test_foreign_labels_do_not_leave() -> None:
    """Label Studio would store them."""
    with pytest.raises(LabelSpaceMismatch):
        to_slot(CONTROL, "C", 0.5, 0.5, "ale-3")
