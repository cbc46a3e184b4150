"""What somebody has agreed to pay for is asked, and nothing else: another question or teacher waits for a yes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis
from rich.console import Console

from ale.types import LabelSpace
from ml_backend.settings import Settings
from ml_backend.standin import StandIn
from ml_backend.store import consents, projects
from ml_backend.store.database import Database
from ml_backend.teach import Taught
from ml_backend.teach_command.ready import Ready
from ml_backend.teach_command.sample import take_sample
from ml_backend.teach_command.whole import run_whole
from ml_backend.teacher_screens import teaching_panel
from ml_backend.teacher_status import teachers_seen
from ml_backend.wiring import Services
from tests.integration.teaching import (
    KEY,
    SPACE,
    add_project,
    stand_in,
    stored,
    teaching,
    texts,
    with_teacher,
)

NAMES = texts(12)
MINI = "openai:gpt-4.1-mini"


@dataclass(frozen=True)
class Here:
    """A project that was connected by `ale connect`, and an endpoint."""

    settings: Settings
    services: Services
    endpoint: StandIn

    @property
    def db(self) -> Database:
        """The database of the settings."""
        return self.services.db

    def told(self, instructions: str) -> LabelSpace:
        """Somebody has changed the instructions in Label Studio, and a learn run has read them."""
        projects.change(self.db, KEY, instructions=instructions)
        return replace(SPACE, instructions=instructions)

    def step(self, space: LabelSpace = SPACE, **settings: object) -> Taught:
        """A worker's step."""
        return teaching(self.settings.model_copy(update=settings), self.db, NAMES, space).step()

    def ready(self, space: LabelSpace = SPACE, **settings: object) -> Ready:
        """What `ale teach` works with."""
        paying = self.settings.model_copy(update=settings)
        services = Services(paying, self.db, self.services.marks, self.services.beliefs)
        return Ready(services, teaching(paying, self.db, NAMES, space))

    def status(self, **settings: object) -> str:
        """The part of `ale status` about teachers."""
        paying = self.settings.model_copy(update=settings)
        with redis.Redis.from_url(paying.redis_url) as connection:
            seen = teachers_seen(paying, self.db, connection, projects.get(self.db, KEY))
        console = Console(width=400)
        with console.capture() as shown:
            console.print(teaching_panel(seen))
        return shown.get()


@pytest.fixture
def here(settings: Settings, services: Services) -> Iterator[Here]:
    """Twelve texts."""
    add_project(services.db, NAMES)
    with stand_in(NAMES) as endpoint:
        yield Here(with_teacher(settings, endpoint), services, endpoint)


@pytest.mark.parametrize("instructions", [SPACE.instructions + "!", ""])
def test_changed_instructions_are_not_bought_before_somebody_says_yes(here: Here, instructions: str) -> None:
    """One character is enough; the old answers stay, and the old words may come back for nothing."""
    assert here.step().answered == 12
    calls = len(here.endpoint.calls)
    changed = here.told(instructions)
    assert "ale teach 1 --yes" in here.status()  # before any step
    done = here.step(changed)
    assert (done.answered, done.left, len(here.endpoint.calls)) == (0, 0, calls)
    assert "instructions, a hint or an alias have changed" in done.problem
    assert "ale teach 1 --yes" in done.problem
    assert here.status().count("instructions, a hint or an alias have changed") == 1
    assert len(stored(here.db)) == 12
    assert run_whole(here.ready(changed), lambda _: None).progress.settled == 12
    assert len(here.endpoint.calls) == calls + 12
    assert "have changed" not in here.status()
    here.told(SPACE.instructions)
    assert (here.step().problem, len(here.endpoint.calls)) == ("", calls + 12)


def test_other_labels_are_named_as_what_has_changed(here: Here) -> None:
    """So is an alias: the cache knows it, and nobody pays for it unasked."""
    here.step()
    calls = len(here.endpoint.calls)
    assert "the labels have changed" in here.step(LabelSpace(("good", "worse"), SPACE.hints, "")).problem
    assert "an alias" in here.step(replace(SPACE, aliases=((), ("poor",)))).problem
    assert len(here.endpoint.calls) == calls


def test_another_model_is_not_asked_before_somebody_says_yes(here: Here) -> None:
    """ALE_TEACHER names another one: it is told who was agreed to, and who was not."""
    here.step()
    calls = len(here.endpoint.calls)
    other: dict[str, Any] = {"teacher": "openai:gpt-4.1"}
    done = here.step(**other)
    assert (done.answered, len(here.endpoint.calls)) == (0, calls)
    assert "ALE_TEACHER has changed" in done.problem
    assert "gpt-4.1-mini@v1, and not" in done.problem
    assert "ALE_TEACHER has changed" in here.status(**other)
    assert run_whole(here.ready(**other), lambda _: None).progress.settled == 12
    assert here.step(**other).problem == ""


def test_connecting_agrees_to_all_teachers_that_are_named_at_first(here: Here) -> None:
    """The dear one is asked later than the cheap one, where that one is unsure; that is no change."""
    both: dict[str, Any] = {"teacher": f"{MINI},openai:gpt-4.1"}
    here.step(**both)
    names = {row.teacher.rpartition(":")[2] for row in consents.agreed_to(here.db, KEY)}
    assert names == {"gpt-4.1-mini@v1", "gpt-4.1@v1"}
    assert here.step(**both).problem == ""


def test_a_sample_uses_up_no_agreement(here: Here) -> None:
    """Nor does connecting count as the yes with which `ale teach` asks them all."""
    found = here.ready()
    take_sample(found.teaching, found.paid[0], 3, seed=0)
    assert consents.agreed_to(here.db, KEY) == []
    changed = here.told("Think of the shop.")
    assert here.step(changed).answered == 12
    assert not here.ready(changed).agreed()
    assert here.ready(changed).agree().agreed()


def test_nothing_is_agreed_to_while_nothing_can_be_asked(here: Here) -> None:
    """Without a key the words may change until there is one."""
    off: dict[str, Any] = {"openai_api_key": type(here.settings.openai_api_key)(""), "openai_base_url": ""}
    assert "OPENAI_API_KEY" in here.step(**off).problem
    assert consents.agreed_to(here.db, KEY) == []
