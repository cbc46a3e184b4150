"""What sync reads of an annotation, and from when on it asks."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.controls import find_control
from ml_backend.store.schema import Project
from ml_backend.sync import _since, annotation_row

CONTROL = find_control(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    '</Choices><TextArea name="note" toName="t"/></View>'
)
RESULT = [
    {"id": "z", "from_name": "note", "to_name": "t", "type": "textarea", "value": {"text": ["hm"]}},
    {
        "id": "x",
        "from_name": "c",
        "to_name": "t",
        "type": "choices",
        "value": {"choices": ["B"]},
        "origin": "prediction-changed",
    },
]


def row(**values: Any) -> dict[str, Any]:
    """The mirror's columns of such an annotation."""
    raw: dict[str, Any] = {
        "id": 5,
        "result": RESULT,
        "was_cancelled": False,
        "ground_truth": False,
        "completed_by": 3,
        "updated_by": {"id": 4, "email": "x@example.com"},
        "created_at": "2026-01-01T00:00:00.000001Z",
        "updated_at": "2026-01-01T00:00:01.000001Z",
        "lead_time": 2.5,
        "parent_prediction": 9,
    }
    return annotation_row(1, {**raw, **values}, CONTROL)


def test_an_annotation_as_the_editor_saves_it() -> None:
    """Label of our control, users as numbers however they are written, origin of our control's item."""
    found = row()
    assert (found["label"], found["annotator"], found["updated_by"]) == ("B", 3, 4)
    assert (found["origin"], found["parent_prediction"], found["lead_time"]) == ("prediction-changed", 9, 2.5)
    assert not found["from_prediction"]
    assert set(found["values"]) == {"c", "note"}


def test_values_do_not_depend_on_ids_order_or_origin() -> None:
    """A save that changes nothing compares equal: that is how a confirmed flag is recognised."""
    again = [{**item, "id": "other", "origin": "manual"} for item in reversed(RESULT)]
    assert row(result=again)["values"] == row()["values"]
    changed = [RESULT[0], {**RESULT[1], "value": {"choices": ["A"]}}]
    assert row(result=changed)["values"] != row()["values"]


def test_a_skip_has_no_label() -> None:
    """Also when the editor sends what had been chosen before."""
    assert row(was_cancelled=True)["label"] is None


@pytest.mark.parametrize("result", [None, [], [RESULT[0]], [{"value": 3}], [{**RESULT[1], "value": None}]])
def test_odd_results_have_no_label(result: Any) -> None:
    """Whatever stands there, reading it raises nothing."""
    assert row(result=result)["label"] is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lead_time": None, "updated_by": None}, True),
        ({"lead_time": None, "updated_by": 3}, False),
        ({"lead_time": 1.0, "updated_by": None}, False),
        ({"lead_time": None, "updated_by": None, "parent_prediction": None}, False),
    ],
)
def test_who_was_made_from_a_prediction(values: dict[str, Any], expected: bool) -> None:
    """Only the bulk action leaves a parent prediction, no seconds, and nobody who saved."""
    assert row(**values)["from_prediction"] is expected


def test_the_watermark_overlaps() -> None:
    """Two seconds back, in the form that Label Studio's filter wants; the first time everything is read."""
    assert _since(Project(synced_until="")) == ""
    assert _since(Project(synced_until="2026-01-01T00:00:01.500000Z")) == "2025-12-31T23:59:59.500000Z"
    assert _since(Project(synced_until="2026-01-01T02:00:01Z")) == "2026-01-01T01:59:59.000000Z"


def test_a_settled_watermark_does_not_overlap() -> None:
    """What was read again long after is not read a third time."""
    at = "2026-01-01T02:00:01.000000Z"
    assert _since(Project(synced_until=at, settled_until=at)) == at
    later = Project(synced_until="2026-01-01T03:00:00.000000Z", settled_until=at)
    assert _since(later) == "2026-01-01T02:59:58.000000Z"
