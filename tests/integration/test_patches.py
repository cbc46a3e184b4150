"""`ale patch`: a better prompt ships, a worse one is rolled back, nothing is paid twice. Real SQL, Redis, client."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import ml_backend
from ale.errors import ConfigurationError
from ale.text import text_hash
from ale.types import LabelSpace
from ml_backend import patches
from ml_backend.patch_cli import run_and_tell, tell_plan
from ml_backend.patch_screen import show_patches, show_plan, show_tried
from ml_backend.patching import LEAST_GOLD, Patching
from ml_backend.screens import show_status
from ml_backend.settings import Settings
from ml_backend.shots import is_gold
from ml_backend.standin import (
    NO_LOGPROBS,
    NO_SCHEMA,
    REASONING,
    Asked,
    KeywordPolicy,
    Profile,
    Reply,
    StandIn,
)
from ml_backend.status import overview
from ml_backend.store import patches as stored_patches
from ml_backend.store import replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, PromptPatch, Task
from ml_backend.teach_command.again import fingerprint_now, outdated
from ml_backend.teach_command.ready import Ready
from ml_backend.wiring import Services
from tests.conftest import wait_until
from tests.integration.teaching import (
    KEY,
    SPACE,
    add_project,
    encoded,
    environment,
    step,
    stored,
    teaching,
    texts,
    truth,
    with_teacher,
)

NAMES = texts(150)
GOLD = [text for text in NAMES if is_gold(KEY, text_hash(text))]
OTHERS = [text for text in NAMES if text not in GOLD]
BETTER, WORSE = "bad=something is broken", "bad=whatever is fine"


Endpoints = Callable[..., StandIn]


class Labeller:
    """Labels by the words of name and hint, so that it gets better when they do; writes `hint` when asked for one."""

    def __init__(self, hint: str = "") -> None:
        self.answered: Counter[tuple[str, str]] = Counter()
        """How often each text was answered to each system message."""
        self.shown: list[str] = []
        """What it was shown when it was asked for a hint."""
        self._hint = hint
        self._labels = KeywordPolicy()

    def __call__(self, asked: Asked) -> Reply:
        """A label, or a hint."""
        if '{"hint": "..."}' in asked.system:
            self.shown += [item.text for item in asked.items]
            return Reply(content=json.dumps({"hint": self._hint}))
        self.answered.update((item.text, asked.system) for item in asked.items)
        return self._labels(asked)


@pytest.fixture
def db(services: Services) -> Database:
    """A project whose texts a teacher calls good, all of them."""
    add_project(services.db, NAMES)
    return services.db


def label(db: Database, names: list[str]) -> None:
    """People give these texts their true label."""
    with db.session() as session:
        for text in names:
            i = NAMES.index(text)
            task = session.get(Task, (KEY, i))
            assert task is not None
            task.is_labeled = True
            row = Annotation(
                project=KEY, annotation_id=i, task_id=i, label=truth(NAMES)[text], updated_at="x"
            )
            session.merge(row)


def taught(services: Services, paying: Settings, named: list[str] = NAMES) -> Ready:
    """A project whose texts the teacher has answered, and people have labelled since."""
    while step(paying, services.db, NAMES).left:
        pass
    label(services.db, named)
    return at_hand(services, paying)


def at_hand(services: Services, paying: Settings, space: LabelSpace = SPACE) -> Ready:
    """What `ale patch` has once it has read Label Studio."""
    found = teaching(paying, services.db, NAMES, space)
    return Ready(Services(paying, services.db, services.marks, services.beliefs), found)


def patching(ready: Ready, *hints: str, pairs: int = 2) -> Patching:
    """The first teacher's."""
    return Patching(ready.teaching, ready.paid[0], hints, pairs)


def screen(show: Callable[[Console], None], width: int = 80) -> str:
    """What a terminal of that width shows."""
    out = io.StringIO()
    show(Console(file=out, width=width))
    assert max(map(len, out.getvalue().splitlines())) <= width
    return out.getvalue()


def spent(services: Services) -> int:
    """Tokens that the project has cost."""
    return spend.spent(services.db, KEY).tokens


def test_the_better_hint_ships_and_the_worse_is_rolled_back(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """By an exact paired test on gold texts, none of which was ever shown; the verdicts stand in SQL."""
    server = endpoint(Labeller())
    ready = taught(services, with_teacher(settings, server))
    before = fingerprint_now(ready.teaching, ready.paid[0])
    worse = patching(ready, WORSE).run()
    better = patching(ready, BETTER).run()
    (bad,), (good,) = worse.outcomes, better.outcomes
    broken = sum("broken" in text for text in GOLD)
    assert good.judgement is not None
    assert bad.judgement is not None
    assert (good.judgement.fixed, good.judgement.broken, good.judgement.n) == (broken, 0, len(GOLD))
    assert good.judgement.p_value == 0.5**broken
    assert (bad.judgement.fixed, bad.judgement.broken) == (0, len(GOLD) - broken)
    assert [row.state for row in stored_patches.every(db, KEY)] == ["rolled_back", "shipped"]
    row = stored_patches.every(db, KEY)[1]
    assert (row.before, row.after) == (before, fingerprint_now(ready.teaching, ready.paid[0]))
    assert (row.wins, row.losses, row.gold, row.level) == (broken, 0, len(GOLD), 0.025)
    now = ready.teaching.told(ready.paid[0])
    assert now.space.hints == ("praise", "something is broken")
    shown = {shot.text for shot in (*now.shots.standing, *now.shots.pool)}
    assert shown
    assert not shown & set(GOLD)


def test_what_ships_is_told_at_once_and_nothing_is_paid_twice(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """New answers carry the new prompt; the old ones stay; a trial that is repeated, undone or shipped again is free."""
    labeller = Labeller()
    paying = with_teacher(settings, endpoint(labeller))
    label(db, NAMES[:130])
    step(paying.model_copy(update={"budget_tokens": 12_000}), db, NAMES)
    early = set(stored(db))
    assert 0 < len(early) < 50
    ready = at_hand(services, paying)
    first = patching(ready, BETTER).run()
    after = stored_patches.every(db, KEY)[0].after
    assert [one.judgement is not None for one in first.outcomes] == [True]
    cost = spent(services)
    assert [one.reason for one in patching(ready, BETTER).run().outcomes] == [
        "the teacher is told so already"
    ]
    step(paying, db, NAMES)
    new = {name: row for name, row in stored(db).items() if name not in early}
    assert new
    assert {row.prompt for row in new.values()} == {after}
    assert replies.question_of(ready.teaching.space) == replies.question_of(SPACE)
    gold = {text_hash(text) for text in GOLD if text in NAMES[:130]}
    assert {stored(db)[name].prompt for name in gold} == {after}
    assert gold.isdisjoint(outdated(ready.teaching, ready.paid[0]))

    cost = spent(services)
    patches.undo(db, KEY, 1)
    assert ready.teaching.told(ready.paid[0]).space == SPACE
    assert after not in {stored(db)[name].prompt for name in gold}
    again = patching(at_hand(services, paying), BETTER).run()
    assert [one.patch.state for one in again.outcomes] == ["shipped"]
    assert {stored(db)[name].prompt for name in gold} == {after}
    assert (again.outcomes[0].texts, spent(services)) == (0, cost)
    assert set(labeller.answered.values()) == {1}


def test_the_model_writes_a_hint_from_what_is_not_gold(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """The pair that is confused most gets contrast examples and a hint; what loses is not tried again soon."""
    labeller = Labeller("Something is\n broken.")
    ready = taught(services, with_teacher(settings, endpoint(labeller)))
    plan = patching(ready).plan()
    assert [(patch.kind, patch.label, patch.other) for patch in plan.proposals.patches] == [
        ("contrast", "bad", "good")
    ]
    assert plan.proposals.unwritten == [("bad", "good")]
    assert (plan.gold, plan.problem, labeller.shown) == (len(GOLD), "", [])
    table = screen(lambda console: show_plan(console, ready, patching(ready), plan))
    assert f"judged on {len(GOLD)} gold texts" in table
    assert f"{plan.calls:,} calls, about {plan.tokens:,} tokens" in table

    before = spent(services)
    tried = patching(ready).run()
    assert {(one.patch.kind, one.patch.state) for one in tried.outcomes} == {
        ("contrast", "rolled_back"),
        ("hint", "shipped"),
    }
    assert tried.outcomes[1].patch.text == "Something is broken."
    shown = json.loads(labeller.shown[0])
    assert shown["missed"] == {"label": "bad", "hint": "blame"}
    assert shown["texts"]
    assert set(shown["texts"]) <= set(OTHERS)
    assert spent(services) - before == pytest.approx(plan.tokens, rel=0.3)
    shown_table = screen(lambda console: show_tried(console, ready, patching(ready), tried))
    assert "shipped" in shown_table
    assert "rolled back" in shown_table

    end = spent(services)
    assert patching(ready).plan().problem == patching(ready).run().problem != ""
    assert (spent(services), len(labeller.shown)) == (end, 1)


@pytest.mark.parametrize("profile", [NO_LOGPROBS, NO_SCHEMA, REASONING])
def test_a_hint_is_written_whatever_the_endpoint_can_do(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints, profile: Profile
) -> None:
    """In words where there are no schemas, with room to think where the model reasons first."""
    labeller = Labeller("Something is broken.")
    ready = taught(services, with_teacher(settings, endpoint(labeller, profile=profile)))
    tried = patching(ready, pairs=1).run()
    assert [(one.patch.text, one.patch.state) for one in tried.outcomes if one.patch.kind == "hint"] == [
        ("Something is broken.", "shipped")
    ]


def test_a_hint_that_cannot_be_read_is_no_hint(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """It costs its call and is counted; nothing is tried with it."""
    ready = taught(services, with_teacher(settings, endpoint(Labeller(""))))
    tried = patching(ready).run()
    assert [one.patch.kind for one in tried.outcomes] == ["contrast"]
    assert (spend.spent(db, KEY).reserved_tokens, tried.problem) == (0, "")


def test_without_budget_nothing_is_asked(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """Neither for a hint nor for a gold text; the reason names the setting."""
    server = endpoint(Labeller("Something is broken."))
    paying = with_teacher(settings, server)
    taught(services, paying)
    server.calls.clear()
    broke = at_hand(services, paying.model_copy(update={"budget_tokens": 0}))
    for hints in ((), (BETTER,)):
        tried = patching(broke, *hints).run()
        assert (tried.outcomes, "ALE_BUDGET_TOKENS" in tried.problem) == ((), True)
    assert len(server.calls) == 0
    assert stored_patches.every(db, KEY) == []


def test_a_budget_that_ends_within_a_trial_decides_nothing(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """With more money it goes on where it stopped."""
    labeller = Labeller()
    paying = with_teacher(settings, endpoint(labeller), llm_concurrency=2)
    label(db, NAMES)
    tight = at_hand(services, paying.model_copy(update={"budget_tokens": 8_000}))
    stopped = patching(tight, BETTER).run()
    assert "ALE_BUDGET_TOKENS" in stopped.problem
    assert (stopped.outcomes, stored_patches.every(db, KEY)) == ((), [])
    mended = patching(at_hand(services, paying), BETTER).run()
    assert [one.patch.state for one in mended.outcomes] == ["shipped"]
    assert set(labeller.answered.values()) == {1}


PATCH = """
from ml_backend.patching import Patching
from ml_backend.settings import load_settings
from ml_backend.store.database import Database
from tests.integration.teaching import teaching, texts
settings = load_settings()
made = teaching(settings, Database(settings.database), texts(150))
Patching(made, made.learning.teachers[0], ["bad=something is broken"]).run()
"""


def test_a_killed_trial_goes_on_without_paying_twice(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """By SIGKILL in its middle: only calls in flight at that moment are asked once more."""
    labeller = Labeller()
    server = endpoint(labeller, latency_s=0.1)
    paying = with_teacher(settings, server, llm_concurrency=2)
    label(db, NAMES)
    encoded(paying, NAMES)
    root = Path(ml_backend.__file__).parents[1]
    run = subprocess.Popen([sys.executable, "-c", PATCH], env=environment(paying), cwd=root)
    wait_until(lambda: len(server.calls) > len(GOLD) // 2, 60)
    run.kill()
    run.wait()
    assert stored_patches.every(db, KEY) == []
    ready = at_hand(services, paying)
    kept = patching(ready, BETTER).plan()
    assert 0 < kept.calls < 2 * len(GOLD)
    tried = patching(ready, BETTER).run()
    assert [one.patch.state for one in tried.outcomes] == ["shipped"]
    assert tried.outcomes[0].texts == kept.calls
    assert sum(labeller.answered.values()) <= len(labeller.answered) + 2


def test_few_gold_labels_judge_nothing(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """The reason says how many there are, how many it takes, and what to do."""
    server = endpoint(Labeller("Something is broken."))
    paying = with_teacher(settings, server)
    ready = taught(services, paying, OTHERS + GOLD[: LEAST_GOLD - 1])
    server.calls.clear()
    plan, tried = patching(ready).plan(), patching(ready).run()
    assert plan.problem == tried.problem
    assert f"{LEAST_GOLD - 1} gold texts are too few" in plan.problem
    assert "label about 5 texts more" in plan.problem
    assert (plan.calls, len(server.calls)) == (0, 0)


def test_a_teacher_that_is_right_already_is_left_alone(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """What can not win is not paid for: only the prompt in force was asked."""
    labeller = Labeller()
    paying = with_teacher(settings, endpoint(labeller))
    ready = taught(services, paying)
    patching(ready, BETTER).run()
    before = spent(services)
    (outcome,) = patching(ready, "good=all is fine").run().outcomes
    assert outcome.judgement is None
    assert f"only 0 of {len(GOLD)} gold texts wrong" in outcome.reason
    assert spent(services) == before


def test_people_have_the_last_word(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints
) -> None:
    """A patch is off, in sight, when its label is gone, its hint edited, or an example labelled otherwise."""
    ready = taught(services, with_teacher(settings, endpoint(Labeller())))
    patching(ready, BETTER).run()
    teacher = ready.paid[0].name
    broken = next(text for text in OTHERS if "broken" in text)
    contrast = PromptPatch(
        project=KEY,
        teacher=teacher,
        kind="contrast",
        label="bad",
        other="good",
        own_hint="blame",
        examples=[[text_hash(broken), "bad", "people chose bad, not good"]],
        state="shipped",
        question="",
    )
    with db.session() as session:
        session.add(contrast)
    label(db, NAMES)
    told = ready.teaching.told(ready.paid[0])
    assert broken in {shot.text for shot in told.shots.standing}
    assert told.space.hints[1] == "something is broken"

    edited = LabelSpace(SPACE.labels, ("praise", "my own words"), SPACE.instructions)
    gone = LabelSpace(("good", "so-so"), ("praise", ""), SPACE.instructions)
    with db.session() as session:
        annotation = session.get(Annotation, (KEY, NAMES.index(broken)))
        assert annotation is not None
        annotation.label = "good"
    for space, why in ((edited, "edited in the config"), (gone, '"bad" is not in the config any more')):
        assert patches.told(db, KEY, teacher, space, told.shots).space == space
        assert why in patches.shipped(db, KEY, space)[0][1]
    (_, on), (_, off) = patches.shipped(db, KEY, SPACE)
    assert (on, "taken back" in off) == ("", True)
    assert broken not in {
        shot.text
        for shot in at_hand(services, ready.teaching.settings).teaching.told(ready.paid[0]).shots.standing
    }
    rows = stored_patches.every(db, KEY)
    table = screen(lambda console: show_patches(console, rows, {2: off}))
    assert "off: people have taken back" in table
    seen = overview(ready.services)
    status = " ".join(screen(lambda console: show_status(console, seen), 200).split())
    assert "prompt patches 2 shipped" in status
    assert f"patch 2 is off: {off}" in status


def test_the_command_tells_a_script_what_it_did(
    services: Services,
    settings: Settings,
    db: Database,
    endpoint: Endpoints,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """JSON alone on standard output: the plan with its costs, the trials, the list, and the way back."""
    server = endpoint(Labeller())
    paying = with_teacher(settings, server)
    label(db, NAMES)
    ready = at_hand(services, paying)
    console = Console(stderr=True)

    def told() -> Any:
        return json.loads(capsys.readouterr().out)

    assert tell_plan(console, ready, patching(ready, BETTER), as_json=True) == 0
    plan = told()
    assert (plan["gold"], plan["calls"], plan["problem"]) == (len(GOLD), 2 * len(GOLD), "")
    assert plan["usd"] > 0
    assert run_and_tell(console, ready, patching(ready, BETTER), as_json=True) == 0
    (tried,) = told()["tried"]
    assert (tried["state"], tried["judged"], tried["cost"]["texts"]) == ("shipped", True, 2 * len(GOLD))
    assert tried["cost"]["usd"] == pytest.approx(plan["usd"], rel=0.5)
    assert run_and_tell(console, ready, patching(ready, BETTER), as_json=True) == 1
    assert "told so already" in told()["tried"][0]["reason"]

    ale = [sys.executable, "-m", "ml_backend.cli", "patch", "1"]
    root = Path(ml_backend.__file__).parents[1]
    for options, state in (([], "shipped"), (["--undo", "1"], "undone")):
        done = subprocess.run(
            [*ale, "--list", "--json", *options],
            env=environment(paying),
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert [row["state"] for row in json.loads(done.stdout)["patches"]] == [state]


def test_only_a_shipped_patch_is_undone(db: Database) -> None:
    """A number that is none, and one that was undone before, say so."""
    with pytest.raises(ConfigurationError, match="patch 7 is not known in this project"):
        patches.undo(db, KEY, 7)


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("terrible=x", 'names no label.*"LABEL=TEXT".*good, bad'),
        ("no equals sign", "names no label"),
        ("bad=", "1 to 300 characters, not 0"),
        ("bad=" + 301 * "x", "1 to 300 characters, not 301"),
    ],
)
def test_a_hint_of_no_label_is_refused(
    services: Services, settings: Settings, db: Database, endpoint: Endpoints, hint: str, said: str
) -> None:
    """Before anything is asked, with what to write instead."""
    server = endpoint(Labeller())
    ready = at_hand(services, with_teacher(settings, server))
    with pytest.raises(ConfigurationError, match=said):
        patching(ready, hint).plan()
    assert len(server.calls) == 0
