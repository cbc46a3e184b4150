"""Review as a project of its own: planted errors become tasks there, and what a reviewer says comes back."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.controls import Control, find_control
from ml_backend.dataset import build_dataset
from ml_backend.review_flags import CURRENT, flags
from ml_backend.review_project.layout import CURRENT as PAGE_CURRENT
from ml_backend.review_project.layout import SUGGESTED, TEXT, WHY
from ml_backend.review_project.run import Report, review_as_project
from ml_backend.review_project.tasks import ABOUT, VERSION
from ml_backend.store import review_project as stored
from ml_backend.store.schema import ReviewFlag, ReviewVerdict
from ml_backend.tabs import REVIEW_TITLE
from tests.e2e.annotators import Annotator, another_annotator
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import Json, Loop, NewLoop, chosen
from tests.e2e.messages import LABELS, Message, messages

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def reviewer(label_studio: LabelStudioUnderTest) -> Iterator[Annotator]:
    """Somebody else than the annotator."""
    with another_annotator(label_studio) as person:
        yield person


def other_than(label: str) -> str:
    """A wrong label."""
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


def with_errors(new_loop: NewLoop, how_many: int) -> tuple[Loop, dict[int, str], dict[int, str]]:
    """A connected project with planted errors, all of them flagged; right and given label of each."""
    meant = messages(160)
    at = [3 + 25 * i for i in range(how_many)]
    given = [Message(m.text, other_than(m.label)) if i in at else m for i, m in enumerate(meant)]
    loop = new_loop(messages(6))
    ids = loop.add_labelled(given)
    loop.start()
    right = {ids[i]: meant[i].label for i in at}
    assert set(right) <= {row["id"] for row in loop.tab(REVIEW_TITLE)}
    return loop, right, {ids[i]: given[i].label for i in at}


def run(loop: Loop, *, write_back: bool = False) -> Report:
    """`ale review PROJECT --as-project`."""
    return review_as_project(loop.ale.services, loop.project_id, write_back=write_back)


def review_id(loop: Loop) -> int:
    """The review project's number."""
    row = stored.find(loop.ale.services.db, loop.key)
    assert row is not None
    return row.review_project_id


def asked(loop: Loop) -> dict[int, Json]:
    """The review tasks by the task that they ask about; fails when a task is asked about twice."""
    tasks = list(loop.ale.client.tasks(review_id(loop), full_annotations=True))
    found = {int(task["data"][ABOUT]["task"]): task for task in tasks}
    assert len(found) == len(tasks)
    return found


def asks(loop: Loop) -> Control:
    """The question of the review project."""
    return find_control(loop.ale.client.project(review_id(loop))["label_config"])


def answer(loop: Loop, reviewer: Annotator, review_task: int, label: str) -> None:
    """Submit a label in the review project."""
    reviewer._submit(review_task, {"result": [asks(loop).region(label)], "lead_time": 3.0})


def status(loop: Loop) -> dict[int, str]:
    """What became of the flags, by task."""
    return {flag.task_id: flag.status for flag in flags(loop.ale.services.db, loop.key)}


def in_tab(loop: Loop) -> set[int]:
    """The tasks in the review tab."""
    return {int(task["id"]) for task in loop.tab(REVIEW_TITLE)}


def served(loop: Loop, reviewer: Annotator, right: dict[int, str], given: dict[int, str]) -> dict[int, Json]:
    """The review tasks, after a look at them: each suspect once, the worst first, with all that is to be said."""
    report = run(loop)
    assert report.created
    tasks = asked(loop)
    doubted = sorted(
        (f for f in flags(loop.ale.services.db, loop.key) if f.status == "suspect"), key=lambda f: -f.score
    )
    assert set(tasks) == {flag.task_id for flag in doubted} >= set(right)
    assert report.served.made == report.to_review == len(tasks)
    worst = reviewer.next_task(review_id(loop))
    assert worst is not None
    assert worst["data"][ABOUT]["task"] in {f.task_id for f in doubted if f.score == doubted[0].score}
    assert [p["model_version"] for p in worst["predictions"]] == [VERSION]
    for task_id, label in right.items():
        data = tasks[task_id]["data"]
        assert (data[PAGE_CURRENT], data[SUGGESTED]) == (given[task_id], label)
        assert data[TEXT] == loop.ask("GET", f"tasks/{task_id}/")["data"]["text"]
        assert label in data[WHY]
        assert "Similar, labelled" in data[WHY]
        (prediction,) = tasks[task_id]["predictions"]
        assert chosen(prediction["result"]) == label
    assert run(loop).served.made == 0
    assert asked(loop).keys() == tasks.keys()
    return tasks


def test_answers_come_back_as_corrections_and_nothing_doubles(
    new_loop: NewLoop, reviewer: Annotator, tmp_path: Path
) -> None:
    """The stream serves the worst first with the suggestion chosen; the fix becomes a new annotation by the
    reviewer, wins for training and closes the flag; the first annotation stays as it was to the letter; the
    confirmed label is silent; later runs change nothing.
    """
    loop, right, given = with_errors(new_loop, 2)
    before = {task_id: loop.annotations(task_id) for task_id in right}
    tasks = served(loop, reviewer, right, given)

    fixed, confirmed = right
    answer(loop, reviewer, tasks[fixed]["id"], right[fixed])
    answer(loop, reviewer, tasks[confirmed]["id"], given[confirmed])
    csv_file = tmp_path / "verdicts.csv"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ml_backend.cli", "review", str(loop.project_id)),
            *("--as-project", "--write-back", "--out", str(csv_file)),
        ],
        env=loop.ale.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 confirmed, 1 fixed on the original task" in done.stdout
    rows = {int(row["task"]): row for row in csv.DictReader(csv_file.read_text().splitlines())}
    assert {task_id: row["outcome"] for task_id, row in rows.items()} == {
        fixed: "fixed",
        confirmed: "confirmed",
    }

    first, second = sorted(loop.annotations(fixed), key=lambda a: a["id"])
    assert [first] == before[fixed]
    assert chosen(second["result"]) == right[fixed]
    assert (second["completed_by"], second["parent_annotation"]) == (reviewer.user, first["id"])
    assert loop.annotations(confirmed) == before[confirmed]

    loop.mark()
    loop.learn()
    assert status(loop).items() >= {(fixed, "fixed"), (confirmed, "confirmed")}
    assert not in_tab(loop) & set(right)
    dataset = build_dataset(loop.tasks, loop.mirrored, loop.control.label_space, None)
    learnt = {human.task_id: human.label for human in dataset.humans}
    assert (learnt[fixed], learnt[confirmed]) == (right[fixed], given[confirmed])

    # As after a run that was killed before it could write down what it had done.
    before_again = review_id(loop)
    stored.forget(loop.ale.services.db, loop.key)
    with loop.ale.services.db.session() as session:
        session.query(ReviewVerdict).filter_by(project=loop.key).update({"outcome": "new"})
    loop.add_labelled(messages(3))
    loop.mark()
    loop.learn()
    again = run(loop, write_back=True)
    assert (again.new, again.created, review_id(loop)) == (0, False, before_again)
    assert again.outcomes == {"confirmed": 1, "fixed": 1}
    assert set(asked(loop)) & set(right) == set(right)
    assert len(loop.annotations(fixed)) == 2
    assert status(loop).items() >= {(fixed, "fixed"), (confirmed, "confirmed")}
    assert not in_tab(loop) & set(right)


def test_what_has_changed_meanwhile_is_not_applied_and_a_deleted_project_comes_back(
    new_loop: NewLoop, reviewer: Annotator
) -> None:
    """Other text, other label, no task: the answer is void and counted. A question that nobody asks any more is
    taken back. What was only reported stays settled without the review project, and is written when wanted.
    """
    loop, right, given = with_errors(new_loop, 5)
    run(loop)
    tasks = asked(loop)
    by_hand, reported, text, label, deleted = right
    third = next(name for name in LABELS if name not in {right[by_hand], given[by_hand]})
    with loop.ale.services.db.session() as session:
        session.get_one(ReviewFlag, (loop.key, by_hand)).suggested = third
    loop.ask("DELETE", f"predictions/{tasks[deleted]['predictions'][0]['id']}/")
    assert run(loop).served.changed == 2
    (moved,) = asked(loop)[by_hand]["predictions"]
    assert (asked(loop)[by_hand]["data"][SUGGESTED], chosen(moved["result"])) == (third, third)
    assert moved["id"] == tasks[by_hand]["predictions"][0]["id"], "a page may hold it"
    assert chosen(asked(loop)[deleted]["predictions"][0]["result"]) == right[deleted]
    assert run(loop).served.changed == 0

    loop.update(loop.annotations(by_hand)[0]["id"], right[by_hand])
    loop.mark()
    loop.learn()
    assert status(loop)[by_hand] == "fixed"
    for task_id in (reported, text, label, deleted):
        answer(loop, reviewer, tasks[task_id]["id"], right[task_id])
    data = loop.ask("GET", f"tasks/{text}/")["data"]
    loop.ask("PATCH", f"tasks/{text}/", json={"data": {**data, "text": "Something else was written here."}})
    loop.update(loop.annotations(label)[0]["id"], given[label])
    loop.ask("DELETE", f"tasks/{deleted}/")

    report = run(loop)
    assert report.new == 4
    assert report.outcomes == {"reported": 1, "text_changed": 1, "label_changed": 1, "task_deleted": 1}
    assert report.served.removed >= 1
    assert by_hand not in asked(loop)
    assert status(loop)[reported] == "reported"
    assert [chosen(a["result"]) for a in loop.annotations(reported)] == [given[reported]]
    loop.mark()
    loop.learn()
    assert reported not in in_tab(loop)
    assert loop.ask("GET", f"tasks/{reported}/")["data"][CURRENT] == given[reported]

    before = review_id(loop)
    loop.ask("DELETE", f"projects/{before}/")
    report = run(loop)
    assert report.created
    assert review_id(loop) != before
    assert not set(asked(loop)) & {by_hand, reported, deleted}

    report = run(loop, write_back=True)
    assert report.outcomes["fixed"] == 1
    assert [chosen(a["result"]) for a in loop.annotations(reported)] == [given[reported], right[reported]]
    run(loop, write_back=True)
    assert len(loop.annotations(reported)) == 2
