"""Which served texts are chosen, what drift is measured, and how traces of other programs are read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.drift import Day, distance, measure
from ale.io.plots import draw_days
from ale.io.traces import Trace, read_traces
from ale.scanner.texts import BadRow
from ale.types import Embeddings
from ale.usefulness import Why, choose, novelty


def test_objections_come_first_then_unsure_and_new_in_turns() -> None:
    """The worst of each first; a text is chosen once, for its strongest reason; sure and known ones never."""
    said = choose(
        [False, False, True, False, False, True],
        [0.9, 0.2, 0.95, 0.5, 0.99, None],
        np.array([0.995, 0.2, 1.0, 0.3, 0.5, 0.0]),
        below=0.6,
        limit=10,
    )
    assert [(one.place, one.why) for one in said] == [
        (2, Why.OBJECTED),
        (5, Why.OBJECTED),
        (1, Why.UNSURE),
        (0, Why.NEW),
        (3, Why.UNSURE),
    ]
    assert [one.place for one in choose([False] * 3, [0.5, 0.1, 0.3], None, below=0.6, limit=2)] == [1, 2]
    assert choose([], [], None, below=0.6, limit=5) == []


def unit(rows: NDArray[np.float64]) -> Embeddings:
    """Rows of unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_a_text_is_new_when_it_lies_where_the_pool_does_not() -> None:
    """Equal in law to the pool: as novel as its texts are, on average one half; elsewhere: wholly."""
    random = np.random.default_rng(0)
    centre = np.eye(16)[0] * 3
    pool, same = unit(random.normal(size=(400, 16)) + centre), unit(random.normal(size=(200, 16)) + centre)
    assert abs(novelty(same, pool).mean() - 0.5) < 0.1
    assert novelty(unit(random.normal(size=(20, 16)) - centre), pool).min() > 0.99
    assert novelty(pool[:5], pool).tolist() == [0.0] * 5


REFERENCE = {"a": 600, "b": 300, "c": 100}


def test_chance_is_told_from_a_shift() -> None:
    """Of days like the reference hardly one is marked, and their shift is about what chance does."""
    random = np.random.default_rng(1)
    days = [
        measure("d", random.choice(list("abc"), 200, p=[0.6, 0.3, 0.1]).tolist(), [], REFERENCE, None, 0.6)
        for _ in range(300)
    ]
    assert sum(day.shifted for day in days) <= 2
    shifts, expected = [day.shift or 0 for day in days], [day.by_chance or 0 for day in days]
    assert abs(np.mean(shifts) - np.mean(expected)) < 0.005
    moved = measure(
        "d", random.choice(list("abc"), 200, p=[0.4, 0.3, 0.3]).tolist(), [], REFERENCE, None, 0.6
    )
    assert moved.shifted
    assert measure("d", ["new"] * 30, [], REFERENCE, None, 0.6).shift == 1.0


def test_of_few_predictions_nothing_is_said() -> None:
    """But for their number and confidence."""
    day = measure("d", ["c"] * 19, [0.5, 0.7], REFERENCE, np.full((3, 4), 0.5, np.float32), 0.6)
    assert (day.predictions, day.shift, day.shifted, day.distance, day.unsure) == (19, None, False, None, 0.5)
    assert day.confidence == pytest.approx(0.6)


def test_the_distance_does_not_grow_with_fewer_texts() -> None:
    """About 0 for texts like the pool's, of whatever number; about the length of the mean for others."""
    random = np.random.default_rng(2)
    for n in (20, 2_000):
        at_home = [distance(unit(random.normal(size=(n, 64)))) for _ in range(20)]
        assert np.mean(at_home) < 0.1
    moved = unit(random.normal(size=(20_000, 64)) + 0.5)
    assert distance(moved[:500]) == pytest.approx(float(np.linalg.norm(moved.mean(axis=0))), abs=0.03)


def test_drift_as_a_picture(tmp_path: Path) -> None:
    """Days without some of the measures do no harm."""
    pytest.importorskip("matplotlib", reason="pip install 'ale-label-studio[bench]'")
    days = [
        Day("2026-01-01", 50, 0.1, 0.05, shifted=False, confidence=0.9, unsure=0.1, distance=None),
        Day("2026-01-02", 9, None, None, shifted=False, confidence=None, unsure=None, distance=0.2),
        Day("2026-01-03", 50, 0.5, 0.05, shifted=True, confidence=0.7, unsure=0.3, distance=0.2),
    ]
    draw_days(tmp_path / "drift.png", days)
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINES: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    (
        {"input": "where is it?", "output": "delivery", "feedback": "down", "time": "2026-03-01T12:00:00Z"},
        ("where is it?", "delivery", "down", None, None, NOON),
    ),
    (
        {"input": "x", "output": "praise", "feedback": {"label": "login", "comment": "no"}, "time": 1772366400},
        ("x", "praise", "", "login", "no", NOON),
    ),
    (  # TruLens: scores by name
        {"main_input": "q", "main_output": "a", "feedback": {"relevance": 0.9, "groundedness": 0.2}, "ts": NOON.isoformat()},
        ("q", "a", "down", None, None, NOON),
    ),
    (  # OpenTelemetry, OTLP JSON, with an evaluation event
        {
            "startTimeUnixNano": "1772366400000000000",
            "attributes": [
                {"key": "gen_ai.input.messages", "value": {"stringValue": json.dumps([
                    {"role": "system", "parts": [{"type": "text", "content": "be kind"}]},
                    {"role": "user", "parts": [{"type": "text", "content": "my parcel?"}]},
                ])}},
                {"key": "gen_ai.output.messages", "value": {"stringValue": json.dumps([
                    {"role": "assistant", "parts": [{"type": "text", "content": "delivery"}]},
                ])}},
            ],
            "events": [{"name": "gen_ai.evaluation.result", "attributes": {"gen_ai.evaluation.score.label": "fail"}}],
        },
        ("my parcel?", "delivery", "down", None, None, NOON),
    ),
    (  # spans as other exporters flatten them
        {"attributes": {"gen_ai.prompt.0.content": "hi", "gen_ai.completion.0.content": "praise"}, "start_time": NOON.isoformat()},
        ("hi", "praise", "", None, None, NOON),
    ),
    ({"input": {"messages": [{"role": "user", "content": "old"}, {"role": "user", "content": "new"}]}, "feedback": 5},
     ("new", None, "", None, None, None)),
    ({"input": "[not json", "feedback": True}, ("[not json", None, "up", None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), LINES)
def test_a_trace_is_read(tmp_path: Path, line: dict[str, Any], said: tuple[Any, ...]) -> None:
    """Text, answer, thumbs, right label, comment, time, in every form that is known."""
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps(line) + "\n" + json.dumps(line) + "\n")
    first, second = read_traces(str(path))
    assert isinstance(first, Trace)
    assert first == second, "equal lines have equal names"
    assert len(first.name) == 32
    assert (first.text, first.output, first.thumbs, first.label, first.comment, first.time) == said


def test_lines_that_are_no_traces_say_why(tmp_path: Path) -> None:
    """They are counted, and the others are read."""
    path = tmp_path / "traces.jsonl"
    path.write_text('no json\n{"output": "a"}\n{"input": 7}\n[]\n{"input": "a"}\n')
    assert [one if isinstance(one, BadRow) else one.text for one in read_traces(str(path))] == [
        BadRow.NOT_JSON, BadRow.NO_TEXT, BadRow.NO_TEXT, BadRow.NOT_AN_OBJECT, "a",
    ]  # fmt: skip
