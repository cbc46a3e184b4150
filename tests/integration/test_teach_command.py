"""`ale teach`: a sample before the whole, and nothing paid twice. Real SQL, Redis, client; the stand-in endpoint."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from ale.text import text_hash
from ale.types import LabelSpace
from ml_backend.settings import Settings
from ml_backend.standin import Script, StandIn, always, on_calls
from ml_backend.store import projects, replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Task
from ml_backend.teach_command import screen
from ml_backend.teach_command.again import ask_again, outdated
from ml_backend.teach_command.ready import Ready
from ml_backend.teach_command.sample import Sample, take_sample
from ml_backend.teach_command.whole import Progress, run_whole
from ml_backend.wiring import Services
from tests.conftest import wait_until
from tests.integration.teaching import (
    KEY,
    LOOP,
    PROBE,
    SPACE,
    add_project,
    encoded,
    environment,
    questions,
    stored,
    teaching,
    texts,
    truth,
    with_teacher,
)


def ready(services: Services, paying: Settings, names: list[str], space: LabelSpace = SPACE) -> Ready:
    """What `ale teach` has once it has read Label Studio."""
    at_hand = teaching(paying, services.db, names, space)
    found = Ready(Services(paying, services.db, services.marks, services.beliefs), at_hand)
    return replace(found, teaching=replace(at_hand, wanted_elsewhere=found.stop.is_set))


def sample(found: Ready, n: int, **how: bool) -> Sample:
    """The first teacher's sample."""
    return take_sample(found.teaching, found.paid[0], n, seed=0, **how)


def shown(found: Ready, one: Sample, width: int = 100) -> str:
    """Its table in a terminal of that width."""
    out = io.StringIO()
    screen.show_sample(Console(file=out, width=width), found, one, again=False)
    return out.getvalue()


def label(db: Database, names: list[str], n: int) -> None:
    """People label the first `n` tasks."""
    with db.session() as session:
        for i in range(n):
            task = session.get(Task, (KEY, i))
            assert task is not None
            task.is_labeled = True
            session.merge(
                Annotation(
                    project=KEY, annotation_id=i, task_id=i, label=truth(names)[names[i]], updated_at="x"
                )
            )


# -- the sample ------------------------------------------------------------------------------------------


def test_a_sample_asks_so_many_texts_once_and_agrees_to_nothing(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """A second look is free; a larger sample pays only what is new; the rest is estimated from it."""
    names = texts(60)
    server = endpoint(names)
    add_project(db, names, paid_teacher=False)
    found = ready(services, with_teacher(settings, server), names)
    first = sample(found, 12)
    assert (first.asked, len(first.rows), first.problem) == (12, 12, "")
    assert {(row.text, row.answer) for row in first.rows} <= set(truth(names).items())
    assert (
        first.tokens == sum(row.tokens for row in first.rows) == spend.spent(db, KEY).tokens - probe(server)
    )
    assert (first.whole.texts, first.whole.at_most) == (48, False)
    assert first.whole.tokens == round(48 * first.tokens / 12)
    assert first.whole.usd == pytest.approx(48 * (first.usd or 0) / 12)
    again = sample(found, 12)
    assert (again.asked, again.tokens, again.whole) == (0, 0, first.whole)
    assert again.rows == first.rows
    assert sample(found, 20).asked == 8
    assert sum(questions(server).values()) == 20
    assert not projects.get(db, KEY).paid_teacher
    assert not found.now().agreed()


def probe(server: StandIn) -> int:
    """Tokens of the first question, which belongs to no text."""
    return sum(call.usage.total for call in server.calls.all() if call.texts == (PROBE,))


def test_changed_instructions_are_compared_with_the_answers_before(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Also when a label was renamed: older answers are read by the labels that they meant."""
    names = texts(30)
    server = endpoint(names)
    paying = with_teacher(settings, server)
    add_project(db, names)
    sample(ready(services, paying, names), 10)
    renamed = LabelSpace(("fine", "bad"), ("praise", "blame"), "Think of the shop.")
    found = ready(services, paying, names, renamed)
    second = sample(found, 10)
    old = truth(names)
    assert [row.before.answer if row.before else None for row in second.rows] == [
        old[row.text] for row in second.rows
    ]
    changed = [row for row in second.rows if row.changed]
    assert {row.before.answer for row in changed if row.before} >= {"good"}
    table = shown(found, second, 80)
    assert "≠ good" in table
    assert f"{len(changed)} of 10 answers changed" in table
    assert max(map(len, table.splitlines())) <= 80


def test_what_is_abstained_on_is_shown_with_its_reason(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Reasons are counted under the table, and markup in a text is only text."""
    names = [*texts(3), "[red]No[/] words. [[behaviour:refusal]]", "Odd one. [[behaviour:unknown_label]]"]
    server = endpoint(names)
    add_project(db, names)
    found = ready(services, with_teacher(settings, server), names)
    table = shown(found, sample(found, 20))
    assert "Abstentions: refusal 1, unknown_label 1" in table
    assert "[red]No[/]" in table
    assert "No more texts are worth asking" in table


def test_a_sample_stays_within_the_budget(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Texts that it has no room for are shown as not asked, with the setting to change."""
    names = texts(40)
    server = endpoint(names)
    add_project(db, names)
    found = ready(services, with_teacher(settings, server, budget_tokens=6_000), names)
    one = sample(found, 30)
    assert "ALE_BUDGET_TOKENS" in one.problem
    assert 0 < one.asked < 30
    assert sum(row.answer is not None for row in one.rows) == one.asked
    assert spend.spent(db, KEY).tokens <= 6_000
    table = shown(found, one)
    assert "not asked" in table
    assert "--yes" not in table


# -- the whole -------------------------------------------------------------------------------------------


def test_the_whole_is_asked_once_and_goes_on_without_asking_again(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """With --yes the project may pay; a changed question needs another yes."""
    names = texts(50)
    server = endpoint(names)
    add_project(db, names, paid_teacher=False, teacher_problem="the quota was used up")
    found = ready(services, with_teacher(settings, server), names)
    heard: list[Progress] = []
    sample(found, 10)
    ended = run_whole(found, heard.append)
    assert (ended.progress.settled, ended.progress.left, ended.problem) == (50, 0, "")
    assert heard[-1].total == 50
    assert set(questions(server).values()) == {1}
    row = projects.get(db, KEY)
    assert (row.paid_teacher, row.teacher_problem) == (True, "")
    assert KEY in services.marks.pending()
    assert found.now().agreed()
    other = LabelSpace(SPACE.labels, SPACE.hints, "Other instructions.")
    assert not ready(services, found.teaching.settings, names, other).agreed()


def test_a_stop_keeps_what_was_answered(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Answers in flight are kept; the next run asks the others."""
    names = texts(80)
    server = endpoint(names, latency_s=0.05)
    add_project(db, names)
    paying = with_teacher(settings, server, llm_concurrency=2)
    found = ready(services, paying, names)

    def interrupt(now: Progress) -> None:
        if 5 < now.settled < 80:
            raise KeyboardInterrupt

    # What is told after the end may not interrupt any more.
    ended = run_whole(found, lambda now: None if found.stop.is_set() else interrupt(now))
    assert ended.stopped
    assert 5 < ended.progress.settled < 80
    assert set(stored(db)) == set(questions(server))
    rest = run_whole(ready(services, paying, names), lambda _: None)
    assert rest.progress.settled == 80
    assert set(questions(server).values()) == {1}


def test_beside_a_worker_no_text_is_paid_twice(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """They take turns, and whoever has nothing to do waits for the other."""
    names = texts(120)
    server = endpoint(names, latency_s=0.02)
    paying = with_teacher(settings, server, llm_concurrency=2)
    add_project(db, names)
    encoded(paying, names)
    worker = subprocess.Popen([sys.executable, "-c", LOOP, KEY], env=environment(paying))
    wait_until(lambda: len(server.calls) > 5, 60)
    ended = run_whole(ready(services, paying, names), lambda _: None)
    assert worker.wait(timeout=60) == 0
    assert (ended.progress.settled, ended.progress.left, ended.problem) == (120, 0, "")
    assert set(questions(server).values()) == {1}


def test_a_killed_run_goes_on_without_paying_twice(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """By SIGKILL in the middle: only calls in flight at that moment may be asked once more."""
    names = texts(60)
    server = endpoint(names, latency_s=0.05)
    paying = with_teacher(settings, server, llm_concurrency=2)
    add_project(db, names)
    encoded(paying, names)
    run = subprocess.Popen([sys.executable, "-c", LOOP, KEY], env=environment(paying))
    wait_until(lambda: len(stored(db)) > 10, 60)
    run.kill()
    run.wait()
    ended = run_whole(ready(services, paying, names), lambda _: None)
    assert ended.progress.settled == 60
    twice = [text for text, n in questions(server).items() if n > 1]
    assert len(twice) <= 2


def test_a_refusal_ends_the_run_with_its_reason(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """One call; --yes tries once more, since somebody may have mended it."""
    names = texts(30)
    server = endpoint(names, script=Script(on_calls([1], "quota")))
    add_project(db, names)
    paying = with_teacher(settings, server)
    ended = run_whole(ready(services, paying, names), lambda _: None)
    assert "quota" in ended.problem
    assert (ended.progress.settled, ended.progress.left, len(server.calls)) == (0, 30, 1)
    mended = run_whole(ready(services, paying, names), lambda _: None)
    assert (mended.progress.settled, mended.problem) == (30, "")


# -- again -----------------------------------------------------------------------------------------------


def test_again_asks_what_was_answered_to_other_examples(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Only texts that people may still be shown, or that trust rests on; a second time nothing is left."""
    names = texts(60)
    server = endpoint(names)
    add_project(db, names)
    found = ready(services, with_teacher(settings, server), names)
    run_whole(found, lambda _: None)
    before = {name: reply.prompt for name, reply in stored(db).items()}
    label(db, names, 20)
    old = outdated(found.teaching, found.paid[0])
    assert {text_hash(name) for name in names[20:]} <= set(old)
    tried = sample(found, 5, again=True)
    assert [row.before is not None for row in tried.rows] == [
        text_hash(row.text) in old for row in tried.rows
    ]
    assert tried.asked == sum(row.before is not None for row in tried.rows) > 0
    heard: list[Progress] = []
    ended = run_whole(found, heard.append, again=True)
    assert (ended.problem, ended.progress.settled) == ("", 60)
    assert (heard[0].settled, heard[0].left) == (tried.asked, len(old) - tried.asked)
    assert outdated(found.teaching, found.paid[0]) == []
    assert {name for name, reply in stored(db).items() if reply.prompt != before[name]} == set(old)
    assert set(questions(server).values()) == {1, 2}
    calls = len(server.calls)
    run_whole(found, lambda _: None, again=True)
    assert len(server.calls) == calls


def test_an_old_answer_stays_until_there_is_a_new_one(
    services: Services, settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """When the endpoint refuses on the way, nothing that was paid is lost."""
    names = texts(40)
    server = endpoint(names)
    add_project(db, names)
    paying = with_teacher(settings, server)
    run_whole(ready(services, paying, names), lambda _: None)
    label(db, names, 12)
    refusing = endpoint(names, script=Script(always("quota")))
    found = ready(services, with_teacher(settings, refusing), names)
    teacher = replace(found.paid[0], name=ready(services, paying, names).paid[0].name)
    kept = {name: reply.probs for name, reply in stored(db).items()}
    settled, problem = ask_again(found.teaching, teacher, sorted(kept))
    assert settled == 0
    assert "quota" in problem
    assert {name: reply.probs for name, reply in stored(db).items()} == kept
    assert replies.count(db, teacher.name, replies.question_of(SPACE)) == (40, 0)
