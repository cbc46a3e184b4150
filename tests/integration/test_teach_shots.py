"""Few-shot examples that come from people, and several teachers, through real steps against the stand-in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ale.io.chat.probe import QUESTION
from ale.teachers.llm import ShotSet
from ale.text import text_hash
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.settings import Settings
from ml_backend.shots import LEAST, current_shots, is_gold
from ml_backend.standin import Asked, ByModel, Reply, SimulatedPolicy, StandIn
from ml_backend.store import mirror, replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, FewShots, ReviewFlag
from ml_backend.wiring import Services
from tests.integration.teaching import (
    KEY,
    SPACE,
    add_project,
    encoded,
    step,
    stored,
    texts,
    truth,
    with_teacher,
)

NAMES = texts(120)
TEACHER = "a-teacher"


@pytest.fixture
def db(services: Services) -> Database:
    """A database with a project of 120 texts."""
    add_project(services.db, NAMES)
    return services.db


def label(db: Database, tasks: list[int], **values: object) -> None:
    """A person gives these tasks their true label."""
    gold = truth(NAMES)
    with db.session() as session:
        for i in tasks:
            row = {"annotation_id": i, "label": gold[NAMES[i]], "annotator": 1, **values}
            session.merge(Annotation(project=KEY, task_id=i, **row))


def shots_of(settings: Settings, db: Database) -> ShotSet:
    """The set in force."""
    return current_shots(db, KEY, TEACHER, SPACE, dataset(db), encoded(settings, NAMES).cache)


def dataset(db: Database) -> Dataset:
    """What people have said."""
    return build_dataset(mirror.all_tasks(db, KEY), mirror.all_annotations(db, KEY), SPACE, None)


def shown(n: int) -> list[int]:
    """The first tasks whose texts may be shown, so many."""
    return [i for i, text in enumerate(NAMES) if not is_gold(KEY, text_hash(text))][:n]


def hidden(n: int) -> list[int]:
    """The first tasks whose texts are gold."""
    return [i for i, text in enumerate(NAMES) if is_gold(KEY, text_hash(text))][:n]


def test_a_set_is_frozen_until_the_labels_have_grown(settings: Settings, db: Database) -> None:
    """Eight labels make the first; seven more change nothing, the eighth makes another."""
    label(db, shown(LEAST - 1))
    assert shots_of(settings, db).fingerprint == ""
    label(db, shown(LEAST))
    first = shots_of(settings, db)
    assert {shot.text for shot in first.pool} == {NAMES[i] for i in shown(LEAST)}
    assert all(SPACE.labels[shot.label] == truth(NAMES)[shot.text] for shot in first.pool)
    label(db, shown(2 * LEAST - 1))
    assert shots_of(settings, db).fingerprint == first.fingerprint
    label(db, shown(2 * LEAST))
    assert shots_of(settings, db).fingerprint != first.fingerprint
    with db.session() as session:
        assert [row.labels for row in session.query(FewShots).order_by(FewShots.number)] == [8, 16]


def test_gold_ground_truth_and_doubted_labels_are_never_shown(settings: Settings, db: Database) -> None:
    """A fifth of the texts measures; what a person set aside, or the review doubts, teaches nobody."""
    label(db, shown(20))
    label(db, hidden(10))
    truths, doubted = shown(20)[0], shown(20)[1]
    label(db, [truths], ground_truth=True)
    with db.session() as session:
        session.add(
            ReviewFlag(
                project=KEY,
                task_id=doubted,
                annotation_id=doubted,
                given="good",
                suggested="bad",
                score=0.9,
                reason="",
                annotation_updated_at="",
                text_hash="",
            )
        )
    assert {shot.text for shot in shots_of(settings, db).pool} == {NAMES[i] for i in shown(20)[2:]}
    share = len(hidden(len(NAMES))) / len(NAMES)
    assert 0.1 < share < 0.3


def test_a_corrected_label_ends_a_set_at_once(settings: Settings, db: Database) -> None:
    """A teacher is never shown what a person has taken back."""
    label(db, shown(20))
    before = shots_of(settings, db)
    text = before.pool[0].text
    wrong = "bad" if truth(NAMES)[text] == "good" else "good"
    label(db, [NAMES.index(text)], label=wrong, updated_at="later")
    after = shots_of(settings, db)
    assert after.fingerprint != before.fingerprint
    assert {shot.text: SPACE.labels[shot.label] for shot in after.pool}[text] == wrong


def test_what_the_teacher_mistook_becomes_a_standing_example(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Its answers to labelled texts are compared with people's; answers made before and after name other prompts."""
    mistaken = {text: "good" if label == "bad" else "bad" for text, label in truth(NAMES).items()}
    server = endpoint(SimulatedPolicy(mistaken, error_rate=0.0))
    paying = with_teacher(settings, server)
    assert step(paying.model_copy(update={"budget_tokens": 15_000, "llm_concurrency": 2}), db, NAMES).answered
    early = {name: reply.prompt for name, reply in stored(db).items()}
    assert 8 <= len(early) < 100
    label(db, [i for i in shown(120) if text_hash(NAMES[i]) in early])
    step(paying, db, NAMES)
    late = {name: reply.prompt for name, reply in stored(db).items()}
    assert len(set(early.values())) == 1
    assert {late[name] for name in early} == set(early.values())  # nothing is asked again
    assert len({prompt for name, prompt in late.items() if name not in early}) == 1
    assert len(set(late.values())) == 2
    with db.session() as session:
        (frozen,) = session.query(FewShots)
    assert any("not" in note for _, _, note in frozen.standing)
    assert all(name in early for name, *_ in frozen.standing)


def test_the_dear_teacher_is_asked_where_the_cheap_ones_disagree(
    settings: Settings, db: Database, endpoint: Callable[..., StandIn]
) -> None:
    """Two cheap models differ on a third of the texts: only those reach the dear one, each once."""
    gold = truth(NAMES)
    other = {"good": "bad", "bad": "good"}
    wrong = {text: other[label] if i % 3 == 0 else label for i, (text, label) in enumerate(gold.items())}
    asked: set[str] = set()

    def dear(question: Asked) -> Reply:
        asked.update(text_hash(item.text) for item in question.items)
        return SimulatedPolicy(gold, error_rate=0.0)(question)

    first, second = (SimulatedPolicy(said, error_rate=0.0) for said in (gold, wrong))
    server = endpoint(
        ByModel({"gpt-4.1-nano": first, "gpt-4.1-mini": second, "gpt-4.1": dear}, first),
        models=["gpt-4.1-nano", "gpt-4.1-mini", "gpt-4.1"],
    )
    paying = with_teacher(settings, server, teacher="openai:gpt-4.1-nano,openai:gpt-4.1-mini,openai:gpt-4.1")
    assert step(paying, db, NAMES).left == 0
    contested = {text_hash(text) for text in NAMES if gold[text] != wrong[text]}
    assert asked - {text_hash(QUESTION.messages[0].content)} == contested
    names = [teacher.name for teacher in encoded(paying, NAMES).teachers]
    question = replies.question_of(SPACE)
    assert [replies.count(db, name, question)[0] for name in names] == [120, 120, 40]
    assert step(paying, db, NAMES).answered == 0
