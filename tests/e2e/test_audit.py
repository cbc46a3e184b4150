"""The audit stream: tasks drawn at random come without a suggestion, at the set rate, and train nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ale.io.snapshots import read_snapshot
from ale.strategies.uncertainty import least_confidence_scores
from ml_backend.learning import build_learning
from ml_backend.review_flags import FIELDS, flags
from ml_backend.status import overview
from tests.conftest import wait_until
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import Ale, Json, Loop, NewLoop, chosen, loops_of, running_ale
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e

SHARE = 0.2


@pytest.fixture(scope="module")
def audited(label_studio: LabelStudioUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ale]:
    """An ALE that audits every fifth task, and asks next what its student is least sure of."""
    folder = tmp_path_factory.mktemp("audited")
    with running_ale(label_studio, folder, ALE_AUDIT_SHARE=SHARE, ALE_STRATEGY="least-confidence") as running:
        yield running


@pytest.fixture
def new_audited(audited: Ale, request: pytest.FixtureRequest) -> Iterator[NewLoop]:
    """Projects on it."""
    with loops_of(audited, request.node.name) as new:
        yield new


def handed_out(loop: Loop) -> Json:
    """The next task with its prediction. While a version comes into force, Label Studio may choose by the old one and
    show by the new one, which has nothing there: then the editor would have to be opened again, as here.
    """
    found: list[Json] = []

    def shows_one() -> bool:
        task = loop.next_task()
        assert task is not None
        found.append(task)
        return bool(task["predictions"])

    wait_until(shows_one)
    return found[-1]


def serve(loop: Loop, how_many: int) -> list[tuple[int, bool]]:
    """Label what Label Studio hands out, as the editor does; tasks, and whether each came with a suggestion.

    Audits get a wrong label on purpose: whatever learns from one of them shows it.
    """
    served = []
    reserve = set(loop.reserve)
    for _ in range(how_many):
        task = handed_out(loop)
        task_id, (held,) = int(task["id"]), task["predictions"]
        suggested = chosen(held["result"])
        truth = loop.truth[task_id]
        wrong = next(label for label in LABELS if label != truth)
        loop.annotate(task_id, wrong if task_id in reserve else truth, parent_prediction=held["id"])
        served.append((task_id, suggested is not None))
    return served


def every_prediction(loop: Loop) -> list[Json]:
    """The rows of all versions, superseded ones too."""
    return list(loop.ale.client.predictions(loop.project_id))


def live(loop: Loop, task_ids: list[int]) -> list[Json | list[Json]]:
    """What /predict answers for these tasks."""
    texts = {int(task["id"]): task["data"] for task in loop.ale.client.tasks(loop.project_id)}
    body = {
        "tasks": [{"id": task_id, "data": texts[task_id]} for task_id in task_ids],
        "project": f"{loop.project_id}.{loop.row.created_at}",
        "label_config": loop.theirs["label_config"],
    }
    return list(loop.ale.web("POST", "/predict", json=body).json()["results"])


def test_audits_come_without_a_suggestion_at_the_set_rate_and_train_nothing(new_audited: NewLoop) -> None:
    """Over many retrains: every fifth task is one of the reserve, in its order, blind; all others are suggested
    something. No version, no answer of /predict and no review field ever shows more; wrong audit labels spoil
    nothing that was learnt, and show as errors.
    """
    loop = new_audited(messages(150))
    known = set(loop.add_labelled(messages(15)))
    loop.start()
    assert loop.row.audit_since is not None
    served = []
    for _ in range(
        4
    ):  # never more than stand at the head of one version: those behind it have no suggestion yet
        served += serve(loop, 10)
        loop.learn()
    loop.add(messages(12))
    loop.learn()
    served += serve(loop, 10)
    loop.learn()
    assert len([run for run in loop.runs if run.outcome == "published"]) >= 4

    blind = [task_id for task_id, suggested in served if not suggested]
    reserve = loop.reserve
    assert set(blind) == {task_id for task_id, _ in served} & set(reserve)
    assert abs(len(blind) - SHARE * len(served)) <= 3
    for part in (served[:25], served[25:]):
        assert 2 <= sum(not suggested for _, suggested in part) <= 8

    hidden = set(reserve) - known
    rows = every_prediction(loop)
    assert {row["model_version"] for row in rows} > {loop.version}
    assert all((row["result"] == []) == (row["task"] in hidden) for row in rows)
    assert all(slot == [] for slot in live(loop, reserve))
    assert all(isinstance(slot, dict) and slot["result"] for slot in live(loop, loop.free[:10]))

    services = loop.ale.services
    assert not {flag.task_id for flag in flags(services.db, loop.key)} & hidden
    for task in loop.ale.client.tasks(loop.project_id, ids=blind):
        assert not set(FIELDS) & task["data"].keys()

    newest = loop.versions[0]
    learning = build_learning(loop.ale.settings)
    snapshot = {row.task: row for row in read_snapshot(learning.snapshots / loop.key, newest.snapshot)}
    assert {task for task, row in snapshot.items() if row.provenance == "audit"} == set(blind)
    assert snapshot.keys() == {task_id for task_id, _ in served} | known
    right = [
        chosen(row["result"]) == loop.truth[row["task"]]
        for row in loop.predictions().values()
        if row["result"]
    ]
    assert sum(right) / len(right) > 0.9

    (entry,) = [one for one in overview(services)["projects"] if one["key"] == loop.key]
    audit = entry["audit"]
    assert audit["labels"] + audit["waiting"] == len(blind)
    # What was imported late may stand before what was shown, and takes nothing away: it is not spoken of yet.
    upto = loop.row.audit_upto
    assert upto is not None
    spoken_of = [task_id for task_id in reserve if task_id in hidden and task_id <= upto]
    front = set(itertools.takewhile(set(blind).__contains__, spoken_of))
    assert front == {task_id for task_id in blind if task_id <= upto}
    assert audit["labels"] == len(front)
    assert audit["student"]["hits"] == 0
    assert audit["reserve"] == len(spoken_of)


def test_the_order_follows_the_strategy_between_the_audits(new_audited: NewLoop) -> None:
    """What is no audit is served least confident first, by what the version in force believes; audits stand
    where their own order has them.
    """
    loop = new_audited(messages(60))
    loop.start()
    for task_id in [task_id for task_id in sorted(loop.truth) if task_id not in loop.reserve][-9:]:
        loop.annotate(task_id)
    loop.learn()
    hidden, order = set(loop.reserve), loop.order()
    beliefs = loop.ale.services.beliefs.read(loop.key, str(loop.version))
    assert beliefs is not None
    by_task = {task.task_id: beliefs.find(task.text_hash or "") for task in loop.tasks}
    unsure = {
        task_id: float(least_confidence_scores(belief.probs[None])[0])
        for task_id, belief in by_task.items()
        if belief is not None
    }
    head = [task_id for task_id in order if task_id not in hidden][:12]
    waiting = [task.task_id for task in loop.tasks if not task.is_labeled and task.task_id not in hidden]
    assert [unsure[i] for i in head] == pytest.approx(sorted((unsure[i] for i in waiting), reverse=True)[:12])
    audits = [task_id for task_id in order if task_id in hidden]
    assert audits == loop.reserve[: len(audits)]
    assert 1 <= sum(task_id in hidden for task_id in order[:15]) <= 4
    assert [task_id for task_id, _ in serve(loop, 3)] == order[:3]


def test_labels_from_before_the_audit_train(new_audited: NewLoop) -> None:
    """Nobody knows what was shown to those who gave them: their tasks leave the reserve."""
    loop = new_audited(messages(30))
    loop.add_labelled(messages(30))
    loop.start()
    before = {task.task_id for task in loop.tasks if task.is_labeled} & set(loop.reserve)
    assert before
    newest = loop.versions[0]
    assert newest.metrics["n_labels"] == 30
    (entry,) = [one for one in overview(loop.ale.services)["projects"] if one["key"] == loop.key]
    assert entry["audit"]["reserve"] == len(set(loop.reserve) - before)
    first = next(task_id for task_id in loop.reserve if task_id not in before)
    loop.annotate(first)
    loop.learn()
    (entry,) = [one for one in overview(loop.ale.services)["projects"] if one["key"] == loop.key]
    assert (entry["audit"]["labels"], entry["audit"]["waiting"]) == (1, 0)
    assert loop.versions[0].metrics["n_labels"] == 30
