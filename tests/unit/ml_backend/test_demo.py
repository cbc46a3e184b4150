"""The demo's pure parts: sample, plan, what the simulated annotator sends, and what the report concludes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ale.errors import ConfigurationError
from ale.text import normalise
from ml_backend.controls import find_control
from ml_backend.demo import sample
from ml_backend.demo.annotator import AutoPlan, Ranking, _mistakes, submission
from ml_backend.demo.findings import Findings, loop_closed, order_changes, seconds_to_force
from ml_backend.demo.plan import (
    DemoPlan,
    Kept,
    demo_environment,
    demo_settings,
    own_home,
    shell_environment,
)
from ml_backend.demo.yardstick import Measured
from ml_backend.ports import free_port
from ml_backend.settings import Settings
from ml_backend.store.schema import Run, Version
from ml_backend.teacher_status import named_teachers
from ml_backend.teachers import price_of

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CONTROL = find_control(sample.label_config())
GOOD = Findings(
    labels=120,
    retrains=5,
    student_accuracy=0.9,
    teacher_accuracy=0.7,
    planted=12,
    flagged=10,
    planted_found=8,
    order_changes=4,
    served_in_order=118,
    served_out_of_order=0,
    median_s=4.0,
    max_s=9.0,
    not_in_force=0,
    curve=[Measured("v1", 120, 0.9)],
)


def at(seconds: float) -> datetime:
    """A moment after T0."""
    return T0 + timedelta(seconds=seconds)


def run(start: float, end: float, outcome: str = "published", version: str | None = None) -> Run:
    """A learn run."""
    return Run(
        project="p", fence=1, started_at=at(start), finished_at=at(end), outcome=outcome, version=version
    )


def ranking(**scores: float) -> Ranking:
    """A published order, `t3=.1` meaning task 3."""
    found = Ranking.__new__(Ranking)
    found.scores = {int(name[1:]): score for name, score in scores.items()}
    return found


def test_the_sample_is_balanced_and_its_labels_are_those_of_the_config() -> None:
    """Eight labels, 84 messages each to label and 21 each held out."""
    labels = set(CONTROL.label_space.labels)
    for messages, each in ((sample.pool(), 84), (sample.held_out(), 21)):
        counts = Counter(message.label for message in messages)
        assert counts == dict.fromkeys(labels, each)


def test_no_held_out_message_is_in_the_pool() -> None:
    """The yardstick is never seen, and no message stands twice in the pool."""
    pool = [normalise(message.text) for message in sample.pool()]
    assert len(set(pool)) == len(pool)
    assert not set(pool) & {normalise(message.text) for message in sample.held_out()}


def test_every_label_has_a_hint_and_a_key() -> None:
    """What annotators and teachers read, and the keys 1 to 8."""
    assert all(CONTROL.label_space.hints)
    assert [f'hotkey="{i}"' in sample.label_config() for i in range(1, 9)] == [True] * 8


@pytest.mark.parametrize(
    ("label", "shown", "origin", "parent"),
    [
        ("Refund", [CONTROL.region("Refund", 0.8)], "prediction", 5),
        ("Billing", [CONTROL.region("Refund", 0.8)], "prediction-changed", 5),
        ("Billing", [], "manual", 5),
        ("Billing", None, "manual", None),
    ],
)
def test_a_submission_is_what_the_editor_would_post(
    label: str, shown: list[dict[str, Any]] | None, origin: str, parent: int | None
) -> None:
    """`origin` and `parent_prediction` follow what was on the page; the suggestion's score is not copied."""
    body = submission(CONTROL, label, None if shown is None else {"id": 5, "result": shown}, 2.0)
    assert CONTROL.read_label(body["result"]) == label
    assert (body["result"][0]["origin"], body["parent_prediction"]) == (origin, parent)
    assert "score" not in body["result"][0]


def test_the_share_of_mistakes_is_exact_and_their_places_follow_the_seed() -> None:
    """One in ten, not about one in ten; the same seed gives the same places."""
    import random

    plan = AutoPlan(labels=40, wrong=0.1)
    first, again = (_mistakes(plan, random.Random(3)) for _ in range(2))
    assert sum(first) == 4
    assert first == again != _mistakes(plan, random.Random(4))


def test_a_task_is_next_when_no_task_that_is_left_has_a_lower_score() -> None:
    """Labelled tasks do not count, equal scores may come in any order, unranked tasks come last."""
    order = ranking(t1=0.1, t2=0.2, t3=0.2, t4=0.9)
    assert order.is_next(1, set())
    assert not order.is_next(2, set())
    assert order.is_next(2, {1})
    assert order.is_next(3, {1})
    assert not order.is_next(7, {1})
    assert order.is_next(7, {1, 2, 3, 4})


def test_only_tasks_of_both_versions_that_are_left_count_as_reordered() -> None:
    """Labelling a task or adding one is no change of order."""
    before = ranking(t1=0.1, t2=0.2, t3=0.3)
    assert order_changes([before, ranking(t2=0.1, t3=0.2, t4=0.0)], {1}) == 0
    assert order_changes([before, ranking(t2=0.2, t3=0.1)], {1}) == 1


def test_an_answer_is_in_force_with_the_first_run_that_started_after_it() -> None:
    """A run that had started before may or may not have seen it, so it does not count."""
    version = Version(project="p", version="v2", number=2, in_force_at=at(14))
    runs = [run(9, 12, version="v1"), run(11, 15, version="v2"), run(20, 21, "unchanged")]
    assert seconds_to_force(at(10), runs, {"v2": version}) == 4.0
    assert seconds_to_force(at(16), runs, {"v2": version}) == 5.0
    assert seconds_to_force(at(22), runs, {"v2": version}) is None


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"retrains": 2}, "at least 3 retrains"),
        ({"student_accuracy": 0.7}, "the student beats the teacher on held-out messages"),
        ({"student_accuracy": None}, "the student beats the teacher on held-out messages"),
        ({"order_changes": 0}, "the order changed after a retrain"),
        ({"served_out_of_order": 1}, "tasks were served as the published ranking says"),
        ({"planted_found": 0}, "a planted error came back in the review tab"),
        ({"not_in_force": 1}, "every answer is in force"),
    ],
)
def test_each_condition_fails_by_name(change: dict[str, Any], name: str) -> None:
    """All hold for a good session; one bad number names one condition."""
    from dataclasses import replace

    assert all(condition.holds for condition in loop_closed(GOOD))
    assert [c.name for c in loop_closed(replace(GOOD, **change)) if not c.holds] == [name]


def test_the_report_is_json_with_recall_and_precision() -> None:
    """What `--json` writes can be read by a script."""
    report = json.loads(json.dumps(GOOD.as_json()))
    assert (report["recall"], report["precision"], report["loop_closed"]) == (8 / 12, 8 / 10, True)


def test_the_environment_gives_the_children_our_settings_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's database, password and model folder stay outside; what shapes the learning comes along."""
    for name, value in {
        "DATABASE_URL": "sqlite:////precious.db",
        "MODEL_DIR": "/precious",
        "BASIC_AUTH_PASS": "theirs",
        "LABEL_STUDIO_URL": "https://production.example",
        "ALE_PORT": "1234",
        "ALE_STRATEGY": "random",
    }.items():
        monkeypatch.setenv(name, value)
    plan = DemoPlan.of(tmp_path, None, port=8080, ale_port=9090)
    settings = demo_settings(plan, Kept(8081, 9091), "token", "redis://127.0.0.1:1/0")
    env = demo_environment(settings)
    assert (settings.label_studio_url, settings.port, settings.strategy) == (
        "http://127.0.0.1:8081",
        9091,
        "random",
    )
    assert settings.database == f"sqlite:///{tmp_path / 'ale' / 'ale.db'}"
    assert not {"DATABASE_URL", "MODEL_DIR", "BASIC_AUTH_PASS"} & set(env)
    assert (env["LABEL_STUDIO_URL"], env["ALE_PORT"], env["ALE_STRATEGY"]) == (
        "http://127.0.0.1:8081",
        "9091",
        "random",
    )


def test_the_next_start_uses_the_same_ports_or_says_why_not(tmp_path: Path) -> None:
    """Label Studio's address is part of a project's identity: the demo never moves silently."""
    import socket

    ours = free_port(9090)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        plan = DemoPlan.of(tmp_path, None, port=busy, ale_port=ours)
        kept, notes = Kept.load(plan)
        assert kept.port != busy
        assert notes[0] == f"port {busy} is taken, Label Studio gets {kept.port}"
        Kept(busy, ours, 3).save(plan)
        with pytest.raises(ConfigurationError, match=rf"port {busy}.*is taken.*--reset"):
            Kept.load(plan)
    assert Kept.load(plan) == (Kept(busy, ours, 3), [])
    elsewhere = replace(plan, port=busy - 1)
    assert Kept.load(elsewhere)[1] == [
        f"this demo keeps Label Studio at port {busy}; port {busy - 1} needs a new one: --reset"
    ]


def test_reset_forgets_the_demo_and_keeps_the_installation(tmp_path: Path) -> None:
    """Only what the demo made goes; a stranger's file in the folder stays."""
    plan = DemoPlan.of(tmp_path, None, port=8080, ale_port=9090)
    for name in ("ale", "label-studio", "logs", "label-studio-venv"):
        (tmp_path / name).mkdir()
    for name in ("demo.json", "account.json", "notes.txt"):
        (tmp_path / name).touch()
    with own_home(plan, reset=True):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"label-studio-venv", "notes.txt", "lock"}


# -- the teacher -----------------------------------------------------------------------------------------


def demo_with(tmp_path: Path, teacher: str | None, *, real: bool = False) -> tuple[DemoPlan, Settings]:
    """The demo's plan and settings with that `--teacher`."""
    plan = DemoPlan.of(tmp_path, None, port=8080, ale_port=9090, teacher=teacher, real=real)
    return plan, demo_settings(plan, Kept(8081, 9091, standin_port=9101), "token", "redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("asked", "played"),
    [
        ("openai", "openai:stand-in"),
        ("openai:gpt-4.1@v1", "openai:stand-in@v1"),
        ("azure:mine", "azure:stand-in"),
        ("zero-shot,openai", "zero-shot,openai:stand-in"),
    ],
)
def test_a_paid_teacher_is_played_by_the_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, played: str
) -> None:
    """Whatever is set in the shell: its key and its address reach neither our settings nor the children."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-precious")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example")
    monkeypatch.setenv("ALE_BUDGET_USD", "77")
    plan, settings = demo_with(tmp_path, asked)
    assert settings.teacher == played
    assert "9101" in settings.openai_base_url
    assert settings.budget_usd == 5.0
    env = demo_environment(settings)
    assert (env["ALE_TEACHER"], env["OPENAI_API_KEY"]) == (played, "stand-in")
    assert "sk-precious" not in "".join(env.values()) + shell_environment(settings)
    assert all("stand-in" in teacher.name for teacher in named_teachers(settings) if teacher.paid)
    assert "not GPT" in plan.teacher.banner(settings)
    assert "OPENAI_API_KEY is set" in plan.teacher.note()
    assert all(price_of(settings, teacher) for teacher in named_teachers(settings) if teacher.paid)


def test_the_real_one_is_asked_only_when_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then key and budget are the user's, and the key is not written into any file."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        demo_with(tmp_path, "openai", real=True)
    with pytest.raises(ConfigurationError, match="zero-shot does not"):
        demo_with(tmp_path, "zero-shot", real=True)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-precious")
    monkeypatch.setenv("ALE_BUDGET_USD", "2")
    plan, settings = demo_with(tmp_path, "openai", real=True)
    assert demo_environment(settings)["OPENAI_API_KEY"] == "sk-precious"
    lines = shell_environment(settings, real=True)
    assert "ALE_BUDGET_USD=2" in lines
    assert "sk-precious" not in lines
    assert "at most $2" in plan.teacher.banner(settings)
    assert plan.teacher.note() == ""


def test_without_a_paid_teacher_nothing_of_them_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the shell is nobody's business then."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-precious")
    plan, settings = demo_with(tmp_path, None)
    assert "OPENAI_API_KEY" not in demo_environment(settings)
    assert (settings.teacher, plan.teacher.banner(settings), plan.teacher.note()) == ("zero-shot", "", "")
