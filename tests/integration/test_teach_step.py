"""The pass of a paid teacher over a project: real Redis, real SQL, the real client, and the stand-in endpoint."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ale.text import text_hash
from ale.types import Confidence
from ml_backend import jobs
from ml_backend.identity import ProjectKey
from ml_backend.limiter import breaker
from ml_backend.lock import single_flight
from ml_backend.marks import connect_redis
from ml_backend.predict import predict
from ml_backend.settings import Settings
from ml_backend.standin import NO_LOGPROBS, Script, StandIn, always, on_calls, rate_limit, share
from ml_backend.store import projects, replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.wiring import Services
from tests.conftest import wait_until
from tests.integration.teaching import (
    CONFIG,
    KEY,
    LOOP,
    SPACE,
    add_project,
    encoded,
    environment,
    questions,
    step,
    stored,
    teaching,
    texts,
    truth,
    with_teacher,
)


def test_every_text_is_asked_once_and_its_answer_says_where_it_comes_from(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Label, confidence, prompt, tokens and money of each answer are kept; the budget's account agrees."""
    names = texts(40)
    server = endpoint(names)
    paying = with_teacher(settings, server)
    add_project(db, names)
    done = step(paying, db, names)
    assert (done.answered, done.left, done.problem, done.news) == (40, 0, "", True)
    kept = stored(db)
    assert {h: SPACE.labels[int(np.argmax(r.probs))] for h, r in kept.items() if r.probs} == {
        text_hash(text): label for text, label in truth(names).items()
    }
    assert {reply.confidence for reply in kept.values()} == {Confidence.LOGPROBS.value}
    assert len({reply.prompt for reply in kept.values()}) == 1
    assert all(r.prompt and r.prompt_tokens and r.completion_tokens and r.usd for r in kept.values())
    account = spend.spent(db, KEY)
    assert (account.calls, account.tokens) == (len(server.calls), server.calls.usage().total)
    assert (account.reserved_tokens, account.reserved_usd, account.lost_calls) == (0, 0.0, 0)
    assert set(questions(server).values()) == {1}


def test_the_same_task_twenty_times_is_one_call(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Steps that are repeated find the stored answers; the endpoint is probed once in all of them."""
    names = texts(1)
    server = endpoint(names)
    add_project(db, names)
    for _ in range(20):
        step(with_teacher(settings, server), db, names)
    assert questions(server) == {text_hash(names[0]): 1}
    assert len(server.calls) == 2


def test_a_thousand_identical_texts_are_one_call(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """They are one question."""
    names = ["Is anybody there?"] * 1000
    server = endpoint(names)
    add_project(db, names)
    step(with_teacher(settings, server), db, names)
    assert questions(server) == {text_hash(names[0]): 1}


@pytest.mark.parametrize("budget", [{"budget_usd": 0.0}, {"budget_tokens": 0}])
def test_a_budget_of_zero_is_no_call_at_all(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn], budget: dict[str, object]
) -> None:
    """Not even the probe; the reason names the setting, and a second step waits for nobody."""
    names = texts(30)
    server = endpoint(names)
    add_project(db, names)
    done = step(with_teacher(settings, server, **budget), db, names)
    assert len(server.calls) == 0
    assert (done.answered, done.left) == (0, 0)
    assert "ALE_BUDGET" in done.problem
    assert projects.get(db, KEY).teacher_problem == done.problem


def test_the_budget_ends_the_pass_and_more_of_it_goes_on(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """What is spent never passes the budget; what was answered stays, and is not paid again."""
    names = texts(60)
    server = endpoint(names)
    add_project(db, names)
    little = with_teacher(settings, server, budget_tokens=10_000, llm_concurrency=4)
    while step(little, db, names).left:
        continue
    first = set(stored(db))
    assert 0 < len(first) < 60
    assert server.calls.usage().total <= 10_000
    assert spend.spent(db, KEY).tokens == server.calls.usage().total
    assert "ALE_BUDGET_TOKENS" in projects.get(db, KEY).teacher_problem
    more = with_teacher(settings, server, budget_tokens=10**6)
    assert step(more, db, names).problem == ""
    assert projects.get(db, KEY).teacher_problem == ""
    assert len(stored(db)) == 60
    assert set(questions(server).values()) == {1}


def test_a_small_budget_is_not_held_by_the_probe(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """What the first question has left over is there for the first answers at once."""
    names = texts(12)
    server = endpoint(names)
    add_project(db, names)
    done = step(with_teacher(settings, server, budget_usd=0.002), db, names)
    assert done.answered > 0
    assert done.problem == ""


def test_a_quota_error_is_one_call_then_the_breaker(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Also with sixteen at once, also in the steps after it; with another key it is tried again."""
    names = texts(50)
    server = endpoint(names, script=Script(always("quota")))
    add_project(db, names)
    paying = with_teacher(settings, server)
    for _ in range(3):
        done = step(paying, db, names)
        assert "quota" in done.problem
        assert done.left == 0
    assert len(server.calls) == 1
    with connect_redis(settings.redis_url) as connection:
        (teacher,) = encoded(paying, names).teachers
        found = breaker(connection, teacher.endpoint)
    assert found is not None
    assert (found.reason, found.for_good) == ("insufficient_quota", True)
    other = type(settings.openai_api_key)("another-key")
    step(paying.model_copy(update={"openai_api_key": other}), db, names)
    assert len(server.calls) == 2
    assert spend.spent(db, KEY).usd == 0.0


def test_a_quota_that_ends_on_the_way_costs_no_answer(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """What was answered before is kept; those in flight at that moment are the last calls."""
    names = texts(80)
    server = endpoint(names, script=Script(on_calls(range(31, 10_000), "quota")))
    add_project(db, names)
    done = step(with_teacher(settings, server, llm_concurrency=8), db, names)
    assert "quota" in done.problem
    assert set(stored(db)) == set(questions(server))
    assert len(server.calls) <= 30 + 8


def test_what_cannot_be_answered_is_an_abstention_with_its_reason(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """It is kept, is not asked again, and the others go on."""
    names = [
        *texts(6),
        "An innocent text. [[behaviour:refusal]]",
        "Another one. [[behaviour:unknown_label]]",
    ]
    server = endpoint(names)
    add_project(db, names)
    paying = with_teacher(settings, server)
    assert step(paying, db, names).answered == 8
    calls = len(server.calls)
    assert step(paying, db, names).answered == 0
    assert len(server.calls) == calls
    (teacher,) = encoded(paying, names).teachers
    question = replies.question_of(SPACE)
    assert replies.abstentions(db, teacher.name, question) == {"refusal": 1, "unknown_label": 1}
    assert replies.count(db, teacher.name, question) == (6, 2)


def test_a_teacher_without_a_key_is_off_in_sight(settings: Settings, db: Database) -> None:
    """No step fails, nothing is asked, and the project says which variable to set."""
    names = texts(3)
    add_project(db, names)
    done = step(settings.model_copy(update={"teacher": "openai"}), db, names)
    assert "OPENAI_API_KEY" in done.problem
    assert (done.left, done.news) == (0, True)
    assert step(settings.model_copy(update={"teacher": "openai"}), db, names).news is False


def test_nobody_pays_where_nobody_has_agreed(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """A project that was connected from Label Studio's page asks no paid teacher; the reason says what to run."""
    names = texts(3)
    server = endpoint(names)
    add_project(db, names, paid_teacher=False)
    assert "ale teach 1" in step(with_teacher(settings, server), db, names).problem
    assert len(server.calls) == 0


def test_the_student_that_is_better_ends_the_paying(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Unless the setting says otherwise."""
    names = texts(3)
    server = endpoint(names)
    add_project(db, names, teacher_beaten="of 100 texts …")
    paying = with_teacher(settings, server)
    assert step(paying, db, names).answered == 0
    assert len(server.calls) == 0
    assert step(paying.model_copy(update={"stop_paying": False}), db, names).answered == 3


def test_two_workers_do_not_ask_the_same(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """While one asks, the other waits, or comes back empty-handed; it does not pay for the same texts."""
    names = texts(5)
    server = endpoint(names)
    add_project(db, names)
    paying = with_teacher(settings, server)
    (teacher,) = encoded(paying, names).teachers
    what = f"{teacher.name}:{replies.question_of(SPACE)}"
    with connect_redis(settings.redis_url) as connection, single_flight(connection, what, "teach") as mine:
        assert mine
        made = replace(teaching(paying, db, names), wanted_elsewhere=lambda: True)
        assert made.step().answered == 0
    assert len(server.calls) == 0
    assert step(paying, db, names).answered == 5


def test_a_step_ends_when_a_learn_run_waits(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """People wait for learning, nobody waits for the teacher: what is in flight is saved, the rest is left."""
    names = texts(200)
    server = endpoint(names, latency_s=0.02)
    add_project(db, names)
    asked: list[bool] = []

    def waits() -> bool:
        asked.append(True)
        return len(asked) > 1

    slow = with_teacher(settings, server, llm_concurrency=4)
    done = replace(teaching(slow, db, names), wanted_elsewhere=waits).step()
    assert 0 < done.answered < 200
    assert done.left == 200 - done.answered
    assert done.problem == ""
    assert len(stored(db)) == done.answered == len(questions(server))


@pytest.mark.parametrize("how", [{}, {"profile": NO_LOGPROBS}])
def test_killed_twice_nothing_is_lost_and_nothing_that_was_saved_is_paid_again(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn], how: dict[str, object]
) -> None:
    """SIGKILL in the middle of a step: only the requests in flight are asked again, and their money is counted."""
    names = texts(300)
    storm = Script(share(0.05, rate_limit(ms=20)), share(0.05, rate_limit(), seed=1))
    server = endpoint(names, latency_s=0.05, script=storm, **how)
    add_project(db, names)
    paying = with_teacher(settings, server, llm_concurrency=8)
    encoded(paying, names)
    saved: list[set[str]] = []
    for share_done in (100, 200):
        with subprocess.Popen([sys.executable, "-c", LOOP, KEY], env=environment(paying)) as process:
            try:
                wait_until(lambda least=share_done: len(stored(db)) >= least, within_s=60)  # type: ignore[misc]
            finally:
                process.kill()
        saved.append(set(stored(db)))
    subprocess.run([sys.executable, "-c", LOOP, KEY], env=environment(paying), check=True, timeout=120)
    assert set(stored(db)) == {text_hash(text) for text in names}
    twice = {text for text, n in questions(server).items() if n > 1}
    assert not twice & saved[0]
    assert len(twice) <= 2 * 8
    account = spend.spent(db, KEY)
    # What the killed ones had in flight is not handed back: it is still reserved.
    assert account.tokens + account.reserved_tokens + account.lost_tokens >= server.calls.usage().total


def test_a_job_ends_its_chain_when_the_teacher_cannot_go_on(
    settings: Settings, services: Services, endpoint: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hammering: after a refusal no next step is queued; a learn run is told, so that people go on."""
    names = texts(20)
    server = endpoint(names, script=Script(always("unauthorized")))
    add_project(services.db, names)
    paying = with_teacher(settings, server)
    encoded(paying, names)
    for name, value in environment(paying).items():
        monkeypatch.setenv(name, value)
    assert jobs.teach_project(KEY) == "0 answers, 0 left"
    assert "key" in projects.get(services.db, KEY).teacher_problem
    assert KEY in services.marks.pending()
    services.marks.forget(KEY)
    assert jobs.teach_project(KEY) == "0 answers, 0 left"
    assert KEY not in services.marks.pending()
    assert len(server.calls) == 1


def test_a_project_of_another_label_studio_is_left_alone(
    settings: Settings, services: Services, endpoint: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LABEL_STUDIO_URL names another server than when it was connected: nothing is bought for it."""
    names = texts(3)
    server = endpoint(names)
    add_project(services.db, names)
    paying = with_teacher(settings, server)
    encoded(paying, names)
    for name, value in environment(paying).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://elsewhere.test:8080")
    assert jobs.teach_project(KEY) == "ignored"
    assert len(server.calls) == 0


def test_predict_never_asks_a_paid_teacher(
    settings: Settings, services: Services, endpoint: Callable[..., StandIn]
) -> None:
    """An annotator waits for it: it gives stored answers, and an empty slot for the others."""
    names = texts(4)
    server = endpoint(names)
    key = ProjectKey.from_uid(settings.label_studio_url, "1.1")
    assert key is not None
    paying = with_teacher(settings, server)
    add_project(services.db, names)
    with services.db.session() as session:
        session.merge(
            Project(
                key=str(key),
                server=key.server,
                project_id=1,
                created_at=1,
                status="connected",
                paid_teacher=True,
                label_config=CONFIG,
                instructions=SPACE.instructions,
            )
        )
    (teacher,) = encoded(paying, names).teachers
    said = {text_hash(names[0]): np.array([0.25, 0.75])}
    replies.save(services.db, teacher.name, replies.question_of(SPACE), said)
    tasks = [{"id": i, "data": {"text": text}} for i, text in enumerate(names)]
    slots = predict(replace(services, settings=paying), "1.1", CONFIG, tasks)
    assert [bool(slot) for slot in slots] == [True, False, False, False]
    assert len(server.calls) == 0
