"""Fine-tuning over real HTTP, at both providers: one job, one model, whatever happens on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from ale.errors import BudgetReached, ConfigurationError, TeacherRefused
from ale.io.chat.finetune import JobState
from ale.text import text_hash
from ml_backend.finetune import FineTuning
from ml_backend.instructions import space_of
from ml_backend.settings import Settings
from ml_backend.shots import is_gold
from ml_backend.standin import Asked, PathFaults, Reply, SimulatedPolicy, StandIn
from ml_backend.store import mirror, projects, spend, tunings
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import TunedModel
from ml_backend.tuned_teacher import deployment_of
from tests.integration.provider_jobs import (
    AT_ONCE,
    PROVIDERS,
    KillingProxy,
    at_provider,
    label,
    run_until_done,
)
from tests.integration.teaching import (
    CONFIG,
    KEY,
    add_project,
    encoded,
    step,
    stored,
    teaching,
    texts,
    truth,
)

NAMES = texts(60)
NEW = [f"{name} Really." for name in NAMES[:8]]
KEYED = {"authorization": "Bearer any"}
ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
RUN = """
from ale.io.chat.account import Patience
from ml_backend.finetune import FineTuning
from ml_backend.learning import build_learning
from ml_backend.settings import load_settings
from ml_backend.store import projects
from ml_backend.store.database import Database

def main(project):
    settings = load_settings()
    db = Database(settings.database)
    patience = Patience(poll_s=0.0, listed_s=0.0)
    tuned = FineTuning(settings, db, build_learning(settings), projects.get(db, project), patience).run()
    assert tuned.state == "succeeded", tuned.problem
"""


class Listening:
    """A policy that knows the truth, and remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[Asked] = []
        self._policy = SimulatedPolicy(truth([*NAMES, *NEW]), error_rate=0.0)

    def __call__(self, asked: Asked) -> Reply:
        """The true label."""
        self.heard.append(asked)
        return self._policy(asked)


@dataclass(frozen=True)
class Here:
    """A project with labelled texts, and an endpoint."""

    settings: Settings
    db: Database
    standin: StandIn
    policy: Listening

    def tuning(self, names: list[str] = NAMES) -> FineTuning:
        """A run that may be made."""
        return FineTuning(
            self.settings, self.db, encoded(self.settings, names), projects.get(self.db, KEY), AT_ONCE
        )

    def jobs(self) -> list[dict[str, object]]:
        """All jobs that the endpoint has."""
        found = httpx.get(f"{self.standin.base_url}/fine_tuning/jobs", headers=KEYED)
        jobs: list[dict[str, object]] = found.json()["data"]
        return jobs


@pytest.fixture
def here(settings: Settings) -> Iterator[Here]:
    """Sixty labelled texts, and OpenAI."""
    with _project(settings) as found:
        yield found


@pytest.fixture(params=PROVIDERS)
def anywhere(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Here]:
    """The same at each provider."""
    with _project(settings, request.param) as found:
        yield found


@contextmanager
def _project(settings: Settings, provider: str = "openai", **how: Any) -> Iterator[Here]:
    db, policy = Database(settings.database), Listening()
    add_project(db, NAMES)
    label(db, NAMES)
    with StandIn(policy, **how) as standin:
        yield Here(at_provider(settings, provider, standin.azure_endpoint), db, standin, policy)
    db.dispose()


def deploy(here: Here, tuned: TunedModel) -> str:
    """What ALE_TEACHER calls the tuned model, once it is deployed where that is needed."""
    if tuned.provider == "openai":
        return f"openai:{tuned.model}"
    name = deployment_of(tuned, projects.get(here.db, KEY))
    httpx.put(
        f"{here.standin.azure_endpoint}{ACCOUNT}/deployments/{name}?api-version=2024-10-01",
        json={"properties": {"model": {"name": tuned.model}}},
        headers=KEYED,
    ).raise_for_status()
    return f"azure:{name}"


def test_a_file_becomes_a_job_becomes_a_teacher(anywhere: Here) -> None:
    """The tuned model is told what it was trained on, to the letter, and without examples; its answers say so."""
    made, tuned = anywhere.tuning().plan(), anywhere.tuning().run()
    assert (tuned.state, tuned.base, len(anywhere.jobs())) == ("succeeded", "gpt-4.1-mini-2025-04-14", 1)
    changes = {"teacher": deploy(anywhere, tuned), "budget_tokens": 10**9}
    settings = anywhere.settings.model_copy(update=changes)
    new = [
        TaskSeen(100 + i, text, text_hash(text), is_labeled=False, updated_at="")
        for i, text in enumerate(NEW)
    ]
    mirror.save_tasks(anywhere.db, KEY, new)
    assert step(settings, anywhere.db, [*NAMES, *NEW]).problem == ""
    answers = stored(anywhere.db)
    assert {text_hash(text) for text in NEW} <= answers.keys()
    assert {(row.teacher, row.prompt) for row in answers.values()} == {(tuned.teacher, made.prompt)}
    system, user, assistant = (m["content"] for m in json.loads(made.train.splitlines()[0])["messages"])
    assert {asked.system for asked in anywhere.policy.heard if asked.items[0].text in NEW} == {system}
    assert json.loads(user).keys() == {"text"}
    assert made.codes[json.loads(assistant)["label"]] == truth(NAMES)[json.loads(user)["text"]]


def test_a_tuned_teacher_is_not_asked_about_other_labels(here: Here) -> None:
    """It knows codes for labels; with one more, all of them might mean something else."""
    tuned = here.tuning().run()
    settings = here.settings.model_copy(update={"teacher": deploy(here, tuned)})
    new = [TaskSeen(100, NEW[0], text_hash(NEW[0]), is_labeled=False, updated_at="")]
    mirror.save_tasks(here.db, KEY, new)
    config = CONFIG.replace("</Choices>", '<Choice value="neither"/></Choices>')
    projects.change(here.db, KEY, label_config=config)
    before = len(here.standin.calls)
    space = space_of(projects.get(here.db, KEY))
    taught = teaching(settings, here.db, [*NAMES, NEW[0]], space).step()
    assert "fine-tuned on the labels good, bad" in taught.problem
    assert len(here.standin.calls) == before


def test_it_is_asked_by_nobody_until_the_settings_say_so(here: Here) -> None:
    """A job that succeeds changes no setting, and no answer carries the new name."""
    tuned = here.tuning().run()
    assert tuned.teacher not in {teacher.name for teacher in encoded(here.settings, NAMES).teachers}
    assert tunings.find_teacher(here.db, tuned.teacher) is not None
    assert tunings.find_teacher(here.db, "openai:gpt-4.1-mini@v1") is None


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "times"), [("openai", ["before", "after"]), ("azure", ["after"])])
def test_killed_at_every_request_it_is_one_job(settings: Settings, provider: str, times: list[str]) -> None:
    """Before it arrives and after it was answered: files are uploaded once, the job is started and paid once."""
    with _project(settings, provider) as here, KillingProxy(here.standin.azure_endpoint, times) as proxy:
        killed = run_until_done(RUN, at_provider(settings, provider, proxy.url), proxy)
        (job,) = here.jobs()
        (tuned,) = tunings.every(here.db, KEY)
        assert tuned.job_id == job["id"]
        assert (tuned.state, tuned.tokens) == ("succeeded", job["trained_tokens"])
        money = spend.spent(here.db, KEY)
        assert (money.calls, money.tokens, money.reserved_usd) == (1, job["trained_tokens"], 0.0)
        files = httpx.get(f"{here.standin.base_url}/files", headers=KEYED, params={"purpose": "fine-tune"})
        assert len(files.json()["data"]) == 2
        assert killed == sum(proxy.kills.values()) >= 6 * len(times)


def test_the_same_files_are_not_trained_on_twice(here: Here) -> None:
    """Another run finds the model; a further label makes another one."""
    first = here.tuning().run()
    assert here.tuning().run().id == first.id
    label(here.db, NAMES[:20], was_cancelled=True)
    second = here.tuning().run()
    assert (second.id != first.id, len(here.jobs())) == (True, 2)


def test_a_start_without_an_answer_is_looked_up(settings: Settings) -> None:
    """The connection breaks after the provider has started the job: it is found, not started again."""
    faults = PathFaults([("POST", "/fine_tuning/jobs", "reset_mid_body", 1)])
    with _project(settings, faults=faults) as here:
        assert here.tuning().run().state == "succeeded"
        assert len(here.jobs()) == 1


def test_what_training_costs_is_set_aside_and_then_counted(here: Here) -> None:
    """The most it may cost while it runs, what was trained at the end."""
    held: list[spend.Spent] = []
    run = replace(here.tuning(), tell=lambda *_: held.append(spend.spent(here.db, KEY)))
    made, tuned = run.plan(), run.run()
    assert {(s.reserved_tokens, s.calls) for s in held} == {(made.cost.epochs * made.cost.most, 0)}
    money = spend.spent(here.db, KEY)
    assert (money.tokens, money.reserved_tokens, money.lost_tokens) == (tuned.tokens, 0, 0)
    assert money.usd == pytest.approx(tuned.tokens * 5.0 / 1e6)
    assert made.cost.usd == pytest.approx(made.cost.epochs * made.cost.about * 5.0 / 1e6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget_usd": 0.0}, "ALE_BUDGET_USD"),
        ({"budget_tokens": 1000}, "ALE_BUDGET_TOKENS"),
        ({"teacher": "openai:o4-mini"}, 'ALE_PRICES, under "ft:o4-mini"'),
    ],
)
def test_without_room_in_the_budget_nothing_is_sent(
    here: Here, changes: dict[str, Any], message: str
) -> None:
    """Not even a file; and nothing stays behind."""
    there = replace(here, settings=here.settings.model_copy(update=changes))
    with pytest.raises(BudgetReached, match=re.escape(message)):
        there.tuning().run()
    assert (here.jobs(), list(tunings.every(here.db, KEY))) == ([], [])
    assert spend.spent(here.db, KEY).reserved_tokens == 0


def test_a_model_that_can_not_be_tuned_is_said_so(here: Here) -> None:
    """The refusal is readable and ends the job; its money is free again."""
    with pytest.raises(TeacherRefused, match=r"HTTP 400 \(.*model"):
        here.tuning().run("gpt-4.1-2025-04-14")
    (tuned,) = tunings.every(here.db, KEY)
    assert (tuned.state, tuned.usd) == ("failed", 0.0)
    assert "HTTP 400" in tuned.problem
    assert spend.spent(here.db, KEY) == spend.Spent()


def test_a_job_that_is_cancelled_elsewhere_is_over(here: Here) -> None:
    """Nobody knows what it cost: its money counts as lost. The next run starts another one."""

    def cancel(_: TunedModel, state: JobState | None) -> None:
        if state is not None and state.status == "running":
            httpx.post(f"{here.standin.base_url}/fine_tuning/jobs/{state.id}/cancel", headers=KEYED)

    tuned = replace(here.tuning(), tell=cancel).run()
    assert (tuned.state, tuned.teacher) == ("cancelled", "")
    assert "cancelled" in tuned.problem
    assert spend.spent(here.db, KEY).lost_calls == 1
    assert here.tuning().run().state == "succeeded"


def test_too_few_labels_are_told_before_anything_is_sent(here: Here) -> None:
    """Providers refuse fewer than ten examples, after the upload."""
    label(here.db, NAMES, was_cancelled=True)
    label(here.db, NAMES[:9])
    with pytest.raises(ConfigurationError, match="too few"):
        here.tuning().run()
    assert here.jobs() == []


def test_no_text_changes_sides_or_stands_on_both(here: Here) -> None:
    """Gold texts validate and are never trained on; equal texts stand there once, contradictory ones not at all."""
    few = [name for name in NAMES if not name.startswith("Message 5")]
    twin = TaskSeen(100, NAMES[0], text_hash(NAMES[0]), is_labeled=True, updated_at="")
    mirror.save_tasks(here.db, KEY, [twin])
    sides = []
    for names in (few, NAMES):
        label(here.db, NAMES, was_cancelled=True)
        label(here.db, names)
        made = here.tuning().plan()
        train, validation = (
            {json.loads(json.loads(line)["messages"][1]["content"])["text"] for line in side.splitlines()}
            for side in (made.train, made.validation)
        )
        assert len(train) == made.examples
        assert all(is_gold(KEY, text_hash(text)) for text in validation)
        assert not any(is_gold(KEY, text_hash(text)) for text in train)
        sides.append((train, validation))
    (train, validation), (more_train, more_validation) = sides
    assert train < more_train
    assert validation <= more_validation
    assert more_train | more_validation == set(NAMES)
