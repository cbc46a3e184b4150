"""Asking by files over real HTTP, at both providers: half the price, nothing paid twice, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis
from rich.console import Console

from ale.chat import Capabilities
from ale.errors import BudgetReached, ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat.batches import BatchState, half
from ale.io.chat.prices import load_prices
from ale.text import text_hash
from ale.types import LabelSpace, Usage
from ml_backend.batch_collect import ABANDONED_AFTER, sending
from ml_backend.batching import Batching
from ml_backend.capabilities import remember
from ml_backend.only_one import only_one
from ml_backend.settings import Settings
from ml_backend.standin import PathFaults, SimulatedPolicy, StandIn
from ml_backend.store import batches, consents, projects, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Batch
from ml_backend.teach_command.ready import Ready
from ml_backend.teach_command.whole import run_whole
from ml_backend.teacher_screens import teaching_panel
from ml_backend.teacher_status import teachers_seen
from ml_backend.wiring import Services
from tests.integration.provider_jobs import (
    AT_ONCE,
    PROVIDERS,
    KillingProxy,
    at_provider,
    hashes,
    run_until_done,
)
from tests.integration.teaching import KEY, SPACE, add_project, encoded, step, stored, teaching, texts, truth

NAMES = texts(40)
KEYED = {"authorization": "Bearer any"}
RUN = """
from ale.io.chat.account import Patience
from dataclasses import replace
from ml_backend.batching import Batching
from ml_backend.capabilities import remember
from ml_backend.controls import find_control
from ml_backend.learning import build_learning
from ml_backend.settings import load_settings
from ml_backend.store import projects
from ml_backend.store.database import Database


def main(key):
    settings = load_settings()
    db = Database(settings.database)
    project = projects.get(db, key)
    space = replace(find_control(project.label_config).label_space, instructions=project.instructions)
    patience = Patience(poll_s=0.0, listed_s=0.0)
    done = Batching(settings, db, settings.redis_url, build_learning(settings), project, space, patience).run()
    assert not done.problem, done.problem
"""


@dataclass(frozen=True)
class Here:
    """A project with texts that nobody has labelled, and an endpoint."""

    settings: Settings
    db: Database
    standin: StandIn

    def batching(self, **how: Any) -> Batching:
        """A run that may be made."""
        learning, project = encoded(self.settings, NAMES), projects.get(self.db, KEY)
        return Batching(
            self.settings, self.db, self.settings.redis_url, learning, project, SPACE, AT_ONCE, **how
        )

    def rows(self) -> list[Batch]:
        """All batches that were written down."""
        with self.db.session() as session:
            return list(session.query(Batch).order_by(Batch.made_at))


@pytest.fixture
def here(settings: Settings) -> Iterator[Here]:
    """Forty texts, and OpenAI."""
    with _project(settings) as found:
        yield found


@pytest.fixture(params=PROVIDERS)
def anywhere(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Here]:
    """The same at each provider."""
    with _project(settings, request.param) as found:
        yield found


@contextmanager
def _project(
    settings: Settings, provider: str = "openai", names: list[str] = NAMES, **how: Any
) -> Iterator[Here]:
    db = Database(settings.database)
    add_project(db, names)
    with StandIn(SimulatedPolicy(truth(names), error_rate=0.0), **how) as standin:
        yield Here(at_provider(settings, provider, standin.azure_endpoint), db, standin)
    db.dispose()


def known(here: Here, can: Capabilities | None = None) -> None:
    """What the endpoint can do is known: no text is asked singly to find out."""
    (teacher,) = encoded(here.settings, []).teachers
    with redis.Redis.from_url(here.settings.redis_url) as connection:
        remember(connection, teacher.endpoint, can or Capabilities())


def in_batches(standin: StandIn) -> Usage:
    """Tokens of the calls that came in files."""
    return sum((call.usage for call in standin.calls.paid() if call.batch), Usage())


def test_a_pool_is_answered_by_one_file_at_half_the_price(anywhere: Here) -> None:
    """All but the text that was asked to get to know the endpoint; answers as good as any, each paid once."""
    done = anywhere.batching().run()
    assert (done.sent, done.answered, done.left, done.problem) == (39, 39, {}, "")
    answers = stored(anywhere.db)
    assert answers.keys() == hashes(NAMES)
    right = truth(NAMES)
    for name in NAMES:
        probs = answers[text_hash(name)].probs
        assert probs is not None
        assert SPACE.labels[probs.index(max(probs))] == right[name]
    assert set(anywhere.standin.calls.paid_by_text().values()) == {1}
    price = load_prices().of("gpt-4.1-mini")
    assert price is not None
    single = [call.usage for call in anywhere.standin.calls.paid() if not call.batch]
    paid = half(price).usd(in_batches(anywhere.standin)) + price.usd(sum(single, Usage()))
    money = spend.spent(anywhere.db, KEY)
    assert money.usd == pytest.approx(paid, abs=1e-8)
    assert (money.reserved_usd, money.lost_calls) == (0.0, 0)
    assert money.tokens == anywhere.standin.calls.usage().total
    cheap = [row.usd for name, row in answers.items() if row.usd is not None and row.usd > 0]
    assert sum(cheap) == pytest.approx(done.usd or 0.0, abs=1e-3)
    assert step(anywhere.settings, anywhere.db, NAMES).left == 0
    assert len(anywhere.standin.calls.paid()) == len(single) + 39


def test_a_worker_collects_what_nobody_waits_for(here: Here) -> None:
    """Somebody sends a batch and leaves; the worker's steps keep its answers, and the project hears of it."""

    def leave(_: Batch, state: BatchState | None) -> None:
        if state is not None:
            raise KeyboardInterrupt

    known(here)
    with pytest.raises(KeyboardInterrupt):
        here.batching(tell=leave).run()
    assert batches.are_open(here.db, KEY)
    connection = redis.Redis.from_url(here.settings.redis_url)
    (shown,) = teachers_seen(here.settings, here.db, connection, projects.get(here.db, KEY))["teachers"]
    connection.close()
    assert shown["in_files"] == 40
    done = [step(here.settings, here.db, NAMES) for _ in range(3)]
    assert [taught.answered for taught in done] == [0, 0, 40]
    assert done[-1].news
    assert not batches.are_open(here.db, KEY)
    assert set(here.standin.calls.paid_by_text().values()) == {1}
    assert here.batching().run().sent == 0


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "times"), [("openai", ["before", "after"]), ("azure", ["after"])])
def test_killed_at_every_request_nothing_is_paid_twice(
    settings: Settings, provider: str, times: list[str]
) -> None:
    """Before it arrives and after it was answered: one batch, each text paid once, each answer kept."""
    with _project(settings, provider) as here, KillingProxy(here.standin.azure_endpoint, times) as proxy:
        there = at_provider(settings, provider, proxy.url)
        encoded(there, NAMES)
        killed = run_until_done(RUN, there, proxy)
        assert killed == sum(proxy.kills.values()) >= 5 * len(times)
        assert stored(here.db).keys() == hashes(NAMES)
        assert set(here.standin.calls.paid_by_text().values()) == {1}
        (row,) = here.rows()
        assert (row.state, len(row.texts)) == ("done", 39)
        listed = httpx.get(f"{here.standin.base_url}/batches", headers=KEYED).json()["data"]
        assert [batch["id"] for batch in listed] == [row.batch_id]
        money = spend.spent(here.db, KEY)
        assert (money.reserved_tokens, money.lost_calls) == (0, 0)
        assert money.tokens == here.standin.calls.usage().total


def left_unsent(here: Here, state: str, *, minutes: float) -> Batch:
    """The batch of a run that ended before it knew that anything was started, so many minutes ago."""

    def leave(batch: Batch, seen: BatchState | None) -> None:
        if state == "preparing" or seen is not None:
            raise KeyboardInterrupt

    known(here)
    with pytest.raises(KeyboardInterrupt):
        here.batching(tell=leave).run()
    (row,) = here.rows()
    then = datetime.now(UTC) - timedelta(minutes=minutes)
    started = then if state == "starting" else None
    batches.change(here.db, row, state=state, batch_id="", made_at=then, started_at=started)
    return row


def test_a_batch_that_was_never_sent_is_forgotten_after_a_while(here: Here) -> None:
    """Its money is free again, and the same step asks its texts; before that, nobody does."""
    row = left_unsent(here, "preparing", minutes=9)
    assert step(here.settings, here.db, NAMES).answered == 0
    assert spend.spent(here.db, KEY).reserved_tokens > 0
    batches.change(here.db, row, made_at=datetime.now(UTC) - ABANDONED_AFTER)
    with only_one(here.settings.home, sending(KEY, row.teacher)):  # a slow upload
        assert step(here.settings, here.db, NAMES).answered == 0
    assert step(here.settings, here.db, NAMES).answered == 40
    assert here.rows() == []
    money = spend.spent(here.db, KEY)
    assert (money.reserved_tokens, money.tokens) == (0, here.standin.calls.usage().total)


def test_a_batch_that_may_have_been_sent_is_looked_up(here: Here) -> None:
    """It was: its answers are collected, and no text is paid twice."""
    left_unsent(here, "starting", minutes=11)
    answered = sum(step(here.settings, here.db, NAMES).answered for _ in range(3))
    assert (answered, here.rows()[0].state) == (40, "done")
    assert set(here.standin.calls.paid_by_text().values()) == {1}


def test_a_start_that_never_arrived_frees_its_texts(here: Here) -> None:
    """The provider has no batch over the file: the texts are asked as usual."""
    row = left_unsent(here, "preparing", minutes=11)
    batches.change(here.db, row, state="starting", started_at=row.made_at)
    assert step(here.settings, here.db, NAMES).answered == 40
    assert (here.rows(), spend.spent(here.db, KEY).reserved_tokens) == ([], 0)


def test_what_was_forgotten_is_not_sent_after_all(here: Here) -> None:
    """A run that was taken for dead sends nothing that nobody knows of."""
    known(here)

    def forget(batch: Batch, state: BatchState | None) -> None:
        batches.forget(here.db, batch)

    with pytest.raises(TeacherUnavailable, match="run it again"):
        here.batching(tell=forget).run()
    assert httpx.get(f"{here.standin.base_url}/batches", headers=KEYED).json()["data"] == []


@pytest.mark.parametrize(("state", "why"), [("preparing", "was never sent"), ("starting", "may never")])
def test_the_command_says_what_waits_in_an_unsent_batch(
    here: Here, services: Services, state: str, why: str
) -> None:
    """Not that nothing is left; `ale status` says so too, and the line that it names sends it."""
    left_unsent(here, state, minutes=1)
    (teacher,) = encoded(here.settings, NAMES).teachers
    ready = Ready(
        Services(here.settings, here.db, services.marks, services.beliefs),
        teaching(here.settings, here.db, NAMES),
    )
    ended = run_whole(ready, lambda _: None)
    assert ended.problem.startswith("40 texts wait in a batch that " + why)
    assert "`ale teach 1 --batch --yes`" in ended.problem
    seen = teachers_seen(here.settings, here.db, None, projects.get(here.db, KEY))
    assert (seen["teachers"][0]["unsent"], seen["teachers"][0]["in_files"]) == (40, 0)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(teaching_panel(seen))
    assert "`ale teach 1 --batch --yes`" in shown.get()
    with only_one(here.settings.home, sending(KEY, teacher.name)):  # somebody is sending it
        ended = run_whole(ready, lambda _: None)
    assert (ended.problem, ended.in_files) == ("", 40)
    here.batching().run()
    assert run_whole(ready, lambda _: None).in_files == 0
    assert set(here.standin.calls.paid_by_text().values()) == {1}


def test_nobody_else_asks_what_is_in_a_file(here: Here) -> None:
    """A worker's steps while the batch is open ask nothing; both find it ended, and it is counted once."""
    known(here)
    seen: list[tuple[int, int, bool]] = []

    def work(_: Batch, state: BatchState | None) -> None:
        money = spend.spent(here.db, KEY).reserved_usd > 0
        taught = step(here.settings, here.db, NAMES)
        if state is None:
            seen.append((taught.left, len(here.standin.calls), money))

    here.batching(tell=work).run()
    assert seen == [(0, 0, True)]
    assert set(here.standin.calls.paid_by_text().values()) == {1}
    money = spend.spent(here.db, KEY)
    assert (money.calls, money.tokens) == (1, here.standin.calls.usage().total)
    assert batches.in_flight(here.db, here.rows()[0].teacher) == set()


def test_what_is_set_aside_outlives_the_usual_time(here: Here) -> None:
    """A batch takes up to a day; its reservation is not taken for a dead worker's."""

    def look(_: Batch, state: BatchState | None) -> None:
        assert spend.lose_abandoned(here.db, KEY, datetime.now(UTC) + timedelta(days=1)) == 0

    here.batching(tell=look).run()
    assert spend.spent(here.db, KEY).lost_calls == 0


SETTLED = {
    "content_filter_both": "content_filter",
    "refusal": "refusal",
    "unknown_label": "unknown_label",
    "fence": None,
}
ASKED_AGAIN = {
    "error_500": "server_error",
    "rate_limit": "rate_limited",
    "bad_json": "bad_json",
    "truncated": "truncated",
    "batch_expired": "batch_expired",
}


def test_each_line_is_an_answer_an_abstention_or_asked_singly(settings: Settings) -> None:
    """Where asking once more may help the usual pass does; a refusal for the text's own sake is final."""
    settled = {f"This is fine. [[behaviour:{name}]]": name for name in SETTLED}
    again = {f"This is fine. [[behaviour:{name}:1]]": name for name in ASKED_AGAIN}
    names = [*NAMES[:3], *settled, *again]
    with _project(settings, names=names) as here:
        known(here)
        done = replace(here.batching(), learning=encoded(here.settings, names)).run()
        assert (done.sent, done.answered) == (len(names), 3 + len(SETTLED))
        assert done.left == dict.fromkeys(ASKED_AGAIN.values(), 1)
        assert stored(here.db).keys() == hashes([*NAMES[:3], *settled])
        while step(here.settings, here.db, names).left:
            pass
        answers, asked = stored(here.db), here.standin.calls.asked_by_text()
    assert answers.keys() == hashes(names)
    for text, name in settled.items():
        assert (answers[text_hash(text)].abstention, asked[text_hash(text)]) == (SETTLED[name], 1), name
    for text, name in again.items():
        assert (answers[text_hash(text)].abstention, asked[text_hash(text)]) == (None, 2), name


def test_of_a_batch_that_expired_what_is_there_is_kept(settings: Settings) -> None:
    """And nothing is charged for what is not."""
    names = [*NAMES[:5], *(f"{name} [[behaviour:batch_expired:1]]" for name in NAMES[5:10])]
    with _project(settings, names=names) as here:
        known(here)
        done = replace(here.batching(), learning=encoded(here.settings, names)).run()
        assert (done.answered, done.left, here.rows()[0].counts["status"]) == (
            5,
            {"batch_expired": 5},
            "expired",
        )
        assert stored(here.db).keys() == hashes(names[:5])
        assert spend.spent(here.db, KEY).tokens == sum(
            call.usage.total for call in here.standin.calls.paid() if call.texts[0] not in hashes(names[5:])
        )


def test_a_batch_that_is_cancelled_elsewhere_is_over(here: Here) -> None:
    """Its texts are free for the usual pass, its money for other calls."""
    known(here)

    def cancel(_: Batch, state: BatchState | None) -> None:
        if state is not None and state.status == "in_progress":
            httpx.post(f"{here.standin.base_url}/batches/{state.id}/cancel", headers=KEYED)

    done = here.batching(tell=cancel).run()
    assert (done.answered, done.left) == (0, {"no_reply": 40})
    assert spend.spent(here.db, KEY) == spend.Spent()
    assert step(here.settings, here.db, NAMES).answered == 40


def test_a_start_without_an_answer_is_looked_up(settings: Settings) -> None:
    """The connection breaks after the provider has started the batch: it is found, not started again."""
    faults = PathFaults([("POST", "/batches", "reset_mid_body", 1)])
    with _project(settings, faults=faults) as here:
        assert here.batching().run().answered == 39
        listed = httpx.get(f"{here.standin.base_url}/batches", headers=KEYED).json()["data"]
        assert len(listed) == 1
        assert listed[0]["metadata"]["project"] == KEY


def test_a_file_that_is_refused_leaves_nothing_behind(settings: Settings) -> None:
    """The refusal is told; no money stays set aside, and no text is kept from the usual pass."""
    faults = PathFaults([("POST", "/batches", "bad_request", 1)])
    with _project(settings, faults=faults) as here:
        known(here)
        with pytest.raises(TeacherRefused, match="HTTP 400"):
            here.batching().run()
        assert (here.rows(), spend.spent(here.db, KEY)) == ([], spend.Spent())
        assert step(here.settings, here.db, NAMES).answered == 40


def test_a_pool_goes_out_in_several_files_each_text_in_one(here: Here) -> None:
    """One after the other, so that no more tokens wait at the provider than the limit that was given."""
    known(here)
    done = here.batching(most=15).run()
    assert ([len(row.texts) for row in here.rows()], done.answered) == ([15, 15, 10], 40)
    assert set(here.standin.calls.paid_by_text().values()) == {1}


def test_equal_texts_are_one_line(settings: Settings) -> None:
    """A thousand identical texts are one question."""
    with _project(settings, names=NAMES[:1] * 1000) as here:
        known(here)
        assert here.batching().run().sent == 1


def test_the_budget_holds_for_the_whole_file(here: Here) -> None:
    """As many texts as the most that they may cost has room for, the others are told; else nothing is sent."""
    known(here)
    small = replace(here, settings=here.settings.model_copy(update={"budget_tokens": 20_000}))
    most: list[int] = []
    done = small.batching(
        tell=lambda batch, _: most.append(spend.spent(here.db, batch.project).reserved_tokens)
    ).run()
    assert 10_000 < max(most) <= 20_000
    assert 0 < done.answered == 40 - done.left["budget_reached"] == len(stored(here.db)) < 40
    smaller = replace(here, settings=here.settings.model_copy(update={"budget_tokens": 1_000}))
    with pytest.raises(BudgetReached, match="ALE_BUDGET_TOKENS"):
        smaller.batching().run()
    files = httpx.get(f"{here.standin.base_url}/files?purpose=batch", headers=KEYED).json()["data"]
    assert len(files) == len(here.rows()) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"budget_usd": 0.0}, BudgetReached, "budget is 0"),
        ({"teacher": "openai:stand-in"}, BudgetReached, "ALE_PRICES"),
        ({"teacher": "none"}, ConfigurationError, "ALE_TEACHER"),
        ({"openai_api_key": "", "openai_base_url": ""}, ConfigurationError, "OPENAI_API_KEY"),
    ],
)
def test_what_can_not_be_asked_is_said_before_anything_is_sent(
    here: Here, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    """No file, no row, no money set aside."""
    if changes.get("openai_api_key") == "":
        changes = {**changes, "openai_api_key": type(here.settings.openai_api_key)("")}
    there = replace(here, settings=here.settings.model_copy(update=changes))
    if "teacher" not in changes or ":" in changes["teacher"]:
        known(there)
    with pytest.raises(error, match=message):
        there.batching().run()
    assert (here.rows(), len(here.standin.calls)) == ([], 0)
    assert spend.spent(here.db, KEY).reserved_tokens == 0


def test_where_nobody_agreed_to_pay_nothing_is_sent(here: Here) -> None:
    """The message says how one agrees."""
    projects.change(here.db, KEY, paid_teacher=False)
    with pytest.raises(ConfigurationError, match="ale teach"):
        here.batching().run()
    assert len(here.standin.calls) == 0


def test_votes_do_not_go_into_files(here: Here) -> None:
    """They are several samples of one question; a batch would take the first for all."""
    voting = replace(here, settings=here.settings.model_copy(update={"llm_votes": 3}))
    known(voting, Capabilities(logprobs=False))
    with pytest.raises(ConfigurationError, match="ALE_LLM_VOTES"):
        voting.batching().run()


def test_answers_belong_to_the_question_that_was_asked(here: Here) -> None:
    """The labels change while the batch is under way: its answers are kept, under the old question only."""
    known(here)

    def stop(_: Batch, state: BatchState | None) -> None:
        if state is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        here.batching(tell=stop).run()
    other = LabelSpace(("bad", "good", "neither"), ("", "", ""), "Something else.")
    consents.agree(here.db, KEY, here.rows()[0].teacher, other)
    replace(here.batching(), space=other).run()
    assert stored(here.db, other).keys() == hashes(NAMES)
    old = stored(here.db)
    assert old.keys() == hashes(NAMES)
    right = truth(NAMES)
    for name in NAMES:
        probs = old[text_hash(name)].probs
        assert probs is not None
        assert SPACE.labels[probs.index(max(probs))] == right[name]
