"""Places in the order, and the rows that say so."""

from __future__ import annotations

import numpy as np
import pytest

from ale.engine import LearnInput, learn
from ale.strategies import STRATEGIES
from ale.students import LinearStudent
from ale.types import LabelSpace
from ml_backend.controls import find_control
from ml_backend.dataset import build_dataset
from ml_backend.placing import Place, head_fingerprint, places, rows_of, suggest, unranked_places
from ml_backend.reserve import Reserve
from ml_backend.settings import load_settings
from ml_backend.store.schema import Project, Task, Version

CONTROL = find_control(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    "</Choices></View>"
)
SPACE = LabelSpace(("A", "B"))
SETTINGS = load_settings()
PROJECT = Project(key="p")


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


def test_audit_tasks_have_a_place_and_no_suggestion() -> None:
    """In the order that was learnt, and among tasks that were imported since: spread, by lot, in their order."""
    tasks = [
        Task(project="p", task_id=i, text_hash=f"{i:032x}", is_labeled=False, placed_in=None)
        for i in range(80)
    ]
    reserve = Reserve("p", None)
    data = build_dataset(tasks, [], SPACE, reserve)
    blind = [tasks[row].task_id for row in data.audit.order]
    assert 10 < len(blind) < 30
    teacher = np.tile(np.array([0.9, 0.1], np.float32), (80, 1))
    teacher[:, 0] = np.linspace(0.5, 1, 80)
    teacher[:, 1] = 1 - teacher[:, 0]
    version = Version(version="ale-1-abcd", labels=["A", "B"], kind="teacher")
    raw = np.zeros((80, 4), np.float32)
    found = unranked_places(SETTINGS, PROJECT, version, tasks, data, raw, teacher, reserve)
    assert sorted(p.task_id for p in found) == list(range(80))
    assert {p.task_id for p in found if p.suggestion is None} == set(blind)
    served = sorted(found, key=lambda p: p.score)
    assert [p.task_id for p in served if p.suggestion is None] == blind
    halves = [sum(p.suggestion is None for p in half) for half in (served[:40], served[40:])]
    assert min(halves) > 4
    assert all(place.score >= 0.05 for place in found)
    rows = rows_of(found, CONTROL, SPACE, "ale-1-abcd")
    assert all((row["result"] == []) == (row["task"] in blind) for row in rows)

    student = [tasks[row].task_id for row in data.candidates]
    learned = learn(
        LearnInput(
            np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32),
            data.labelled,
            data.targets,
            SPACE,
            STRATEGIES["margin"],
            LinearStudent,
            teacher=teacher,
            candidates=np.isin(np.arange(80), data.candidates),
            audit_order=data.audit.order,
            audit_share=0.2,
        )
    )
    ranked = places(data, learned)
    assert [p.task_id for p in ranked if p.suggestion is None] == blind
    assert sorted(p.task_id for p in ranked if p.suggestion is not None) == sorted(student)
