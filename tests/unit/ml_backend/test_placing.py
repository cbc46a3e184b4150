"""Places in the order, and the rows that say so."""

from __future__ import annotations

import numpy as np
import pytest

from ale.types import LabelSpace
from ml_backend.controls import find_control
from ml_backend.placing import Place, head_fingerprint, rows_of, suggest

CONTROL = find_control(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    "</Choices></View>"
)
SPACE = LabelSpace(("A", "B"))


@pytest.mark.parametrize(
    ("probs", "expected"),
    [([0.2, 0.8], (1, 0.8)), ([0.5, 0.5], (0, 0.5)), ([np.nan, np.nan], (None, None)), ([], (None, None))],
)
def test_the_likeliest_label_is_suggested(
    probs: list[float], expected: tuple[int | None, float | None]
) -> None:
    """Nothing where nobody has an opinion."""
    label, confidence = suggest(np.array(probs, np.float32))
    assert label == expected[0]
    assert confidence == pytest.approx(expected[1]) if expected[1] is not None else confidence is None


def test_rows_carry_place_suggestion_and_version() -> None:
    """The score is the place; the confidence stands on the suggestion; no suggestion is an empty result."""
    first, second = rows_of(
        [Place(7, 1, 0.9, 0.01), Place(8, None, None, 1.0, new=True)], CONTROL, SPACE, "ale-3-abcd"
    )
    assert first["task"] == 7
    assert (first["score"], first["model_version"]) == (0.01, "ale-3-abcd")
    assert first["result"][0]["value"] == {"choices": ["B"]}
    assert first["result"][0]["score"] == pytest.approx(0.9)
    assert second == {"task": 8, "result": [], "score": 1.0, "model_version": "ale-3-abcd"}


def test_the_heads_fingerprint_sees_order_and_suggestions_only() -> None:
    """Scores may move a little without a new version."""
    head = [Place(1, 0, 0.6, 0.0), Place(2, 1, 0.7, 0.01)]
    same = head_fingerprint([Place(1, 0, 0.61, 0.001), Place(2, 1, 0.72, 0.02, new=True)])
    assert head_fingerprint(head) == same
    assert head_fingerprint(head[::-1]) != same
    assert head_fingerprint([head[0], Place(2, 0, 0.7, 0.01)]) != same
    assert head_fingerprint(head[:1]) != same
