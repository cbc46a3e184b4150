"""A paid teacher in a real Label Studio: connect, a sample, the whole, suggestions, people, trust, examples."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ale.io.chat.probe import QUESTION
from ale.text import text_hash
from ml_backend.connect import connect_project
from ml_backend.shots import LEAST
from ml_backend.standin import SimulatedPolicy, StandIn
from ml_backend.store import projects
from ml_backend.store.schema import FewShots
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import Ale, Json, Loop, NewLoop, config, loops_of, running_ale
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e

POOL = messages(48)
PROBE = text_hash(QUESTION.messages[0].content)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[StandIn]:
    """Not GPT: it knows the truth, and errs in one of ten."""
    gold = {message.text: message.label for message in POOL}
    with StandIn(SimulatedPolicy(gold, error_rate=0.1, seed=3)) as server:
        yield server


@pytest.fixture(scope="module")
def paying(
    label_studio: LabelStudioUnderTest, endpoint: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ale]:
    """An ALE whose teacher costs money."""
    with running_ale(
        label_studio,
        tmp_path_factory.mktemp("paying"),
        ALE_TEACHER="openai:gpt-4.1-mini",
        OPENAI_BASE_URL=endpoint.base_url,
        OPENAI_API_KEY="a-key-for-tests",
        ALE_LLM_RPM=6000,
        ALE_LLM_TPM=10_000_000,
    ) as running:
        yield running


@pytest.fixture
def new_paid_loop(paying: Ale, request: pytest.FixtureRequest) -> Iterator[NewLoop]:
    """Makes projects on that ALE."""
    with loops_of(paying, request.node.name) as new:
        yield new


def ale(loop: Loop, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `ale` as an operator does, in the environment of the processes."""
    line = [sys.executable, "-m", "ml_backend.cli", *command]
    return subprocess.run(line, env=loop.ale.env, capture_output=True, text=True, timeout=180, check=False)


def teaching(loop: Loop) -> Json:
    """What `ale status --json` says about the project's teachers."""
    done = ale(loop, "status", "--json")
    assert done.returncode == 0, done.stderr
    (entry,) = [p for p in json.loads(done.stdout)["projects"] if p["key"] == loop.key]
    found: Json = entry["teaching"]
    return found


def test_a_paid_teacher_from_the_first_sample_to_trust(new_paid_loop: NewLoop, endpoint: StandIn) -> None:
    """Nothing is asked before somebody agrees; then suggestions, and what people say of them, are there."""
    hinted = config().replace(f'value="{LABELS[0]}"', f'value="{LABELS[0]}" hint="parcels and couriers"')
    loop = new_paid_loop(POOL, label_config=hinted)
    connect_project(loop.ale.services, loop.project_id, paid=False)
    loop.settle()
    assert len(endpoint.calls) == 0
    assert "nobody has agreed" in loop.row.teacher_problem
    assert f"ale teach {loop.project_id}" in loop.row.teacher_problem

    tried = ale(loop, "teach", str(loop.project_id), "--sample", "6")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "This is paid" in tried.stdout
    assert "logprobs" in tried.stdout
    assert f"ale teach {loop.project_id} --yes" in tried.stdout
    assert sum(n for text, n in endpoint.calls.paid_by_text().items() if text != PROBE) == 6
    assert not loop.row.paid_teacher

    done = ale(loop, "teach", str(loop.project_id), "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (json.loads(done.stdout)["settled"], json.loads(done.stdout)["left"]) == (48, 0)
    loop.learn()
    assert set(endpoint.calls.paid_by_text().values()) == {1}
    suggested = loop.suggested()
    right = sum(suggested[task_id] == loop.truth[task_id] for task_id in loop.free)
    assert set(suggested.values()) <= set(LABELS), loop._story()
    assert right >= 0.8 * len(loop.free)

    for task_id in loop.order()[: 3 * LEAST]:
        loop.annotate(task_id)
    loop.learn()
    found = teaching(loop)
    (teacher,) = found["teachers"]
    assert teacher["answers"] == 48
    assert teacher["trust"]["agreed"]["of"] == 3 * LEAST
    asked = [task_id for task_id in loop.truth if loop.annotations(task_id)]
    hits = sum(suggested[t] == loop.truth[t] for t in asked if t in loop.free)
    blind = sum(t in loop.reserve for t in asked)
    assert hits <= teacher["trust"]["agreed"]["hits"] <= hits + blind
    assert teacher["trust"]["on"] == {"labels": 3 * LEAST - blind, "audit": blind}
    assert {row["label"] for row in teacher["trust"]["per_label"]} == set(LABELS)
    assert found["spend"]["tokens"] == endpoint.calls.usage().total
    shown = ale(loop, "status").stdout
    assert "against people" in shown
    assert "a-key-for-tests" not in shown + done.stdout

    examples_reach_the_prompt(loop)


def examples_reach_the_prompt(loop: Loop) -> None:
    """Answers from now on name a prompt with examples by people; a text is shown with none of its own."""
    added = loop.add(messages(6))
    loop.mark()
    loop.learn()
    with loop.ale.services.db.session() as session:
        (shots,) = session.query(FewShots).filter(FewShots.project == loop.key)
    assert len(shots.pool) >= LEAST
    prompts = teaching(loop)["teachers"][0]["prompts"]
    assert sorted(prompts.values()) == [6, 48]
    assert added
    assert projects.get(loop.ale.services.db, loop.key).teacher_problem == ""


def test_no_worker_is_needed(
    label_studio: LabelStudioUnderTest, endpoint: StandIn, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The command reads Label Studio, encodes and asks by itself, and reads a hint that was just changed there."""
    settings: Json = {
        "ALE_TEACHER": "openai:gpt-4.1-mini",
        "OPENAI_BASE_URL": endpoint.base_url,
        "ALE_LLM_RPM": 6000,
        "ALE_LLM_TPM": 10_000_000,
    }
    with (
        running_ale(label_studio, tmp_path, worker=False, **settings) as alone,
        loops_of(alone, request.node.name) as new,
    ):
        loop = new(messages(9))
        loop.connect()
        number = str(loop.project_id)
        first = ale(loop, "teach", number)
        assert first.returncode == 0, first.stdout + first.stderr
        assert "The sample cost" in first.stdout
        hinted = config().replace(f'value="{LABELS[0]}"', f'value="{LABELS[0]}" hint="parcels and couriers"')
        loop.ask("PATCH", f"projects/{number}/", json={"label_config": hinted})
        done = ale(loop, "teach", number, "--yes", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["settled"] == 9
        compared = json.loads(ale(loop, "teach", number, "--sample", "9", "--json").stdout)
        (tried,) = compared["samples"]
        assert tried["asked"] == 0
        assert {row["before"]["why_not_now"] for row in tried["rows"]} == {
            "before the labels or instructions changed"
        }
        assert loop.runs == []


def test_the_key_is_in_no_log(paying: Ale) -> None:
    """Nor is a text."""
    logs = "".join(Path(log).read_text(errors="replace") for log in paying.folder.glob("*.log"))
    assert "a-key-for-tests" not in logs
    assert POOL[0].text not in logs
