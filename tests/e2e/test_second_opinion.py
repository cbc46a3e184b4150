"""A doubted answer is shown once to another annotator, blind; never to its author, and never a second time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import select

from ml_backend.store.schema import SecondOpinion
from tests.e2e.annotators import Annotator, another_annotator
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import Ale, Loop, NewLoop, chosen, loops_of, running_ale
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def asking(label_studio: LabelStudioUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ale]:
    """An ALE that may ask for second opinions, and audits nothing."""
    folder = tmp_path_factory.mktemp("asking")
    with running_ale(label_studio, folder, ALE_SECOND_OPINION=0.5, ALE_AUDIT_SHARE=0) as running:
        yield running


@pytest.fixture
def new_asking(asking: Ale, request: pytest.FixtureRequest) -> Iterator[NewLoop]:
    """Projects on it."""
    with loops_of(asking, request.node.name) as new:
        yield new


@pytest.fixture(scope="module")
def other(label_studio: LabelStudioUnderTest) -> Iterator[Annotator]:
    """Somebody else."""
    with another_annotator(label_studio) as person:
        yield person


def opinions(loop: Loop) -> Sequence[SecondOpinion]:
    """What is remembered of the tasks that were asked."""
    with loop.ale.services.db.session() as session:
        return session.scalars(select(SecondOpinion).where(SecondOpinion.project == loop.key)).all()


def waiting(loop: Loop, other: Annotator) -> set[int]:
    """Tasks that the other annotator is asked: the answers there are not his."""
    his = {a.task_id for a in loop.mirrored if a.annotator == other.user}
    return {row.task_id for row in opinions(loop) if row.status == "asked"} - his


def learn(loop: Loop) -> None:
    """Also when the news of the last answer came too late: Label Studio waits a second for us."""
    loop.mark()
    loop.learn()


def with_doubts(new_asking: NewLoop, other: Annotator) -> tuple[Loop, list[int]]:
    """A project whose first annotator gave 45 labels, three of them wrong, and whose second has given eight."""
    loop = new_asking(messages(40))
    ids = loop.add_labelled(messages(42))
    wrong = loop.add(messages(3))
    for task_id in wrong:
        truth = loop.truth[task_id]
        loop.annotate(task_id, next(label for label in LABELS if label != truth))
    loop.start()
    assert not opinions(loop), "there is nobody else to ask"
    fresh = [task.task_id for task in loop.tasks if task.task_id not in {*ids, *wrong}]
    for task_id in fresh[
        :8
    ]:  # by their ids: the stream may ask about a doubted answer after the first of them
        other.annotate(task_id, loop.truth[task_id])
    learn(loop)
    return loop, wrong


def test_another_annotator_is_asked_blind_and_once(new_asking: NewLoop, other: Annotator) -> None:
    """Wrong labels are asked once more. The page of the other shows neither answer nor suggestion; the author
    does not get the task; the first annotation stays; afterwards nobody is asked again, and the report tells who
    was right how often.
    """
    loop, wrong = with_doubts(new_asking, other)
    assert len([row for row in opinions(loop) if row.status == "asked"]) <= 6, "half of the head of twelve"
    asked = waiting(loop, other)
    assert asked & set(wrong)
    rows = loop.predictions()
    for task_id in asked:
        task = loop.ask("GET", f"tasks/{task_id}/")
        assert (task["is_labeled"], task["overlap"]) == (False, 2)
        assert len(loop.annotations(task_id)) == 1
        assert rows[task_id]["result"] == []

    mine = loop.next_task()
    assert mine is not None
    assert int(mine["id"]) not in asked

    served: list[int] = []
    for _ in range(25):
        task = other.next_task(loop.project_id)
        assert task is not None
        task_id = int(task["id"])
        if task_id in asked:
            served.append(task_id)
            assert task["annotations"] == []
            assert [held["result"] for held in task["predictions"]] == [[]]
        other.annotate(task_id, loop.truth[task_id])
        if set(served) == asked:
            break
    assert sorted(served) == sorted(asked)
    learn(loop)
    answered = {row.task_id for row in opinions(loop) if row.status == "answered"}
    assert asked <= answered
    for task_id in asked:
        assert loop.ask("GET", f"tasks/{task_id}/")["is_labeled"]
        labels = [chosen(annotation["result"]) for annotation in loop.annotations(task_id)]
        assert len(labels) == 2
        assert loop.truth[task_id] in labels

    loop.add_labelled(messages(3))
    learn(loop)
    assert not answered & {row.task_id for row in opinions(loop) if row.status == "asked"}

    # Of a run that has learnt since: a second answer that agrees gives nothing to learn.
    people = next(run.counts["people"] for run in loop.runs if "people" in run.counts)
    shared = {name: one["shared"] for name, one in people["annotators"].items()}
    assert people["several"] == shared[str(other.user)] == len(answered)


def test_a_skip_closes_the_question_and_so_does_disconnecting(new_asking: NewLoop, other: Annotator) -> None:
    """Label Studio then holds the tasks finished, with one answer, as they were."""
    loop, _ = with_doubts(new_asking, other)
    asked = waiting(loop, other)
    assert len(asked) > 1
    skipped = min(asked)
    other.skip(skipped)
    learn(loop)
    states = {row.task_id: (row.status, row.open) for row in opinions(loop)}
    assert states[skipped] == ("withdrawn", False)
    assert loop.ask("GET", f"tasks/{skipped}/")["is_labeled"]
    assert "tasks that waited for a second answer set back" in loop.disconnect()
    for task_id in asked:
        task = loop.ask("GET", f"tasks/{task_id}/")
        assert (task["is_labeled"], task["overlap"]) == (True, 1)
        assert [a for a in loop.annotations(task_id) if not a["was_cancelled"]]


def test_an_answer_that_is_deleted_meanwhile_leaves_an_open_task(
    new_asking: NewLoop, other: Annotator
) -> None:
    """A task without any answer is not closed: it is served like any other again."""
    loop, _ = with_doubts(new_asking, other)
    task_id = min(waiting(loop, other))
    for annotation in loop.annotations(task_id):
        loop.ask("DELETE", f"annotations/{annotation['id']}/")
    learn(loop)
    assert not {row.task_id for row in opinions(loop) if row.status == "asked" and row.task_id == task_id}
    task = loop.ask("GET", f"tasks/{task_id}/")
    assert (task["is_labeled"], task["overlap"]) == (False, 1)
