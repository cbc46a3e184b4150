"""The tuning of a project's encoder: real Redis, real SQL, real files, and a real if tiny encoder."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from numpy.typing import NDArray
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

pytest.importorskip("torch")

from ale.audit.reserve import RESERVE, place
from ale.engine import Learned, learn
from ale.io.checkpoints import list_versions
from ale.students import HybridStudent, TransformerStudent
from ale.text import text_hash
from ml_backend.dataset import Dataset, fingerprint_labels
from ml_backend.doctor.student import project_student
from ml_backend.learn_input import learn_input
from ml_backend.learning import build_learning
from ml_backend.marks import COUNTS, DUE, connect_redis
from ml_backend.queues import TUNE, enqueue_tune, queue
from ml_backend.reviewed import reviewed_in
from ml_backend.settings import Settings
from ml_backend.store import mirror, projects
from ml_backend.store.database import Database
from ml_backend.tuning.counted import student_counts
from ml_backend.tuning.due import Need, need
from ml_backend.tuning.kept import Kept, digests, newest
from ml_backend.tuning.notes import is_tuning, last_failure
from ml_backend.tuning.seen import student_line, tuning_seen
from ml_backend.tuning.step import Tuning
from ml_backend.wiring import Services
from tests.conftest import wait_until
from tests.integration.teaching import KEY, SPACE, add_project, encoded, environment, texts
from tests.unit.ale.tiny_bert import TinyTuner
from tests.unit.ale.tiny_texts import needles

NUMBERED, TRUTH = needles(420)
NAMES = [" ".join(map(str, text)) for text in NUMBERED]
RESERVED = place(KEY, range(len(NAMES))) < RESERVE
FREE = np.flatnonzero(~RESERVED)
LEARNT = FREE[:240].tolist()
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def tuned_settings(settings: Settings) -> Settings:
    """With the transformer student, and no teacher."""
    return settings.model_copy(update={"student": "transformer", "teacher": "none", "tune_s": 60.0})


def say(db: Database, tasks: Sequence[int], truth: NDArray[np.int64] = TRUTH, **more: object) -> None:
    """People label these tasks blindly."""
    rows: list[dict[str, Any]] = [
        {
            "annotation_id": 1 + task,
            "task_id": task,
            "values": {},
            "label": SPACE.labels[truth[task]],
            "annotator": 7,
            "was_cancelled": False,
            "ground_truth": False,
            "from_prediction": False,
            "created_at": "2026-01-02T00:00:00Z",
            "updated_at": "2026-01-02T00:00:00Z",
            "origin": "manual",
            "updated_by": 7,
            **more,
        }
        for task in tasks
    ]
    mirror.save_annotations(db, KEY, tasks, rows)


def tuning(settings: Settings, db: Database) -> Tuning:
    """With the tiny encoder."""
    return Tuning(settings, db, projects.get(db, KEY), SPACE, TinyTuner())


def run(settings: Settings, db: Database) -> Kept | None:
    """One tuning on what is labelled now."""
    made = tuning(settings, db)
    return made.run(made.dataset())


def learned(settings: Settings, db: Database, kept: Kept | None) -> tuple[Dataset, Learned]:
    """What a learn run makes of the same data set, with the tuning or without."""
    learning, project = encoded(settings, NAMES), projects.get(db, KEY)
    dataset = tuning(settings, db).dataset()
    raw, there = learning.cache.lookup(dataset.hashes)
    assert there.all()
    given = learn_input(
        settings, learning, project, SPACE, dataset, raw, None, reviewed_in([], dataset, SPACE)
    )
    if kept is not None:
        given = replace(given, student=partial(TransformerStudent, kept.belief(dataset)))
    return dataset, learn(given)


def right(probs: NDArray[np.float32], rows: Sequence[int] | NDArray[np.int64]) -> float:
    """Accuracy on some tasks."""
    return float(np.mean(probs[rows].argmax(axis=1) == TRUTH[rows]))


def test_a_tuning_is_kept_and_heard_where_it_knows_more(tuned_settings: Settings, db: Database) -> None:
    """A learn run that hears it is right about texts that the hybrid student alone guesses at; labels that
    measure have trained nothing; the same labels are not tuned on twice; the next learn run is due, once.
    """
    add_project(db, NAMES, audit_since=SINCE)
    mirror.place_tasks(db, KEY, range(len(NAMES)), "ale-1")
    audits = np.flatnonzero(RESERVED)
    say(db, [*LEARNT, *audits.tolist()])
    kept = run(tuned_settings, db)
    assert kept is not None
    assert len(kept.learnt) == len(LEARNT)
    assert not set(kept.learnt.tolist()) & set(digests([text_hash(NAMES[i]) for i in audits]).tolist())
    assert run(tuned_settings, db) is None

    found = newest(tuned_settings, KEY, SPACE.labels)
    assert found is not None
    assert found.id == kept.id
    assert np.array_equal(found.logits, kept.logits)
    dataset, with_it = learned(tuned_settings, db, found)
    rest = np.setdiff1d(np.arange(len(NAMES)), LEARNT)
    _, alone = learned(tuned_settings, db, None)
    assert isinstance(with_it.student, TransformerStudent)
    assert with_it.student.share > 0.5
    assert right(with_it.probs, rest) > 0.9
    assert right(alone.probs, rest) < 0.7
    assert with_it.audit.student.hits > 0.9 * with_it.audit.student.of

    recipe = build_learning(tuned_settings).recipe
    before, after = (fingerprint_labels(dataset, SPACE, r) for r in (recipe, recipe | {"tuning": found.id}))
    assert before != after
    line = student_line(student_counts(with_it.student, found), None)
    assert line.startswith(
        f"transformer: hybrid with an encoder tuned on 240 labels at {found.facts['tuned_at']}"
    )


def test_what_comes_after_a_tuning(tuned_settings: Settings, db: Database) -> None:
    """New texts get the hybrid student's word until they are many; then the kept weights read them. A label that was
    taken back is believed what was said without it. Wrong labels of the new texts change no old belief.
    """
    add_project(db, NAMES[:300])
    here = [i for i in LEARNT if i < 300]
    say(db, here)
    first = run(tuned_settings, db)
    assert first is not None
    add_tasks(db, range(300, 310))
    made = tuning(tuned_settings, db)
    dataset = made.dataset()
    belief = first.belief(dataset)
    assert np.isnan(belief.pool[300:]).all()
    assert np.isfinite(belief.pool[:300]).all()
    assert need(dataset, first) is None
    _, found = learned(tuned_settings, db, first)
    assert np.isfinite(found.probs).all()

    add_tasks(db, range(310, 420))
    dataset = made.dataset()
    assert need(dataset, first) == Need("read", len(here))
    second = made.run(dataset)
    assert second is not None
    assert (second.weights, second.facts) == (first.weights, first.facts)
    assert second.id != first.id
    whole = second.belief(dataset)
    assert np.array_equal(whole.pool[:300], belief.pool[:300])
    assert np.mean(whole.pool[300:].argmax(axis=1) == TRUTH[300:]) > 0.9

    say(db, range(300, 305), 1 - TRUTH)
    mirror.save_annotations(db, KEY, here[:2], [])
    dataset = made.dataset()
    later = second.belief(dataset)
    assert second.changed(dataset) == 7
    assert len(later.held_out) == len(here) + 3
    assert np.array_equal(later.held_out[-5:], whole.pool[300:305])
    at = np.flatnonzero(second.learnt == digests([text_hash(NAMES[here[0]])])[0])[0]
    assert np.array_equal(later.pool[here[0]], second.held_out[at])
    assert not np.array_equal(later.pool[here[0]], whole.pool[here[0]])


def test_a_tuning_that_knows_nothing_leaves_the_hybrid_student_alone(
    tuned_settings: Settings, db: Database
) -> None:
    """Labels by lot: number for number what would be learnt without it, and the status says so."""
    add_project(db, NAMES)
    lot = np.random.default_rng(5).integers(0, 2, len(NAMES))
    say(db, LEARNT, lot)
    kept = run(tuned_settings, db)
    assert kept is not None
    _, with_it = learned(tuned_settings, db, kept)
    hybrid = tuned_settings.model_copy(update={"student": "hybrid"})
    _, alone = learned(hybrid, db, None)
    assert isinstance(alone.student, HybridStudent)
    assert np.array_equal(with_it.probs, alone.probs)
    assert np.array_equal(with_it.ranking.order, alone.ranking.order)
    assert with_it.student is not None
    assert "adds nothing" in student_line(student_counts(with_it.student, kept), None)


def test_a_damaged_tuning_is_passed_over_and_made_again(tuned_settings: Settings, db: Database) -> None:
    """One flipped byte in the beliefs, or in the weights that are to read new texts; other labels are no damage."""
    add_project(db, NAMES[:370])
    say(db, [i for i in LEARNT if i < 60])
    first = run(tuned_settings, db)
    assert first is not None
    flip(tuned_settings, "beliefs", first.id)
    assert newest(tuned_settings, KEY, SPACE.labels) is None
    second = run(tuned_settings, db)
    assert second is not None
    assert second.id > first.id
    assert newest(tuned_settings, KEY, ("others", "than", "these")) is None
    flip(tuned_settings, "weights", second.weights)
    add_tasks(db, range(370, 420))
    third = run(tuned_settings, db)
    assert third is not None
    assert third.weights == third.id > second.id
    assert len(third.hashes) == 420


def flip(settings: Settings, what: str, name: str) -> None:
    """Damage one file of a tuning."""
    file = Path(settings.checkpoints) / "tunings" / what / KEY / name / "student.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def add_tasks(db: Database, rows: Sequence[int]) -> None:
    """An import."""
    seen = [mirror.TaskSeen(i, NAMES[i], text_hash(NAMES[i]), is_labeled=False, updated_at="") for i in rows]
    mirror.save_tasks(db, KEY, seen)


# -- the queue -------------------------------------------------------------------------------------------


@pytest.fixture
def connection(clean_redis: str) -> Iterator[redis.Redis]:
    """To the same Redis."""
    opened = connect_redis(clean_redis)
    yield opened
    opened.close()


def test_one_tuning_waits_at_a_time(connection: redis.Redis) -> None:
    """Learn runs come every few seconds; the job that waits will see their labels too."""
    assert enqueue_tune(connection, KEY, 30, 60.0)
    assert not enqueue_tune(connection, KEY, 30, 60.0)
    assert not enqueue_tune(connection, KEY, 33, 60.0)
    assert enqueue_tune(connection, "another", 33, 60.0)
    assert len(queue(TUNE, connection).job_ids) == 2


def work(settings: Settings, connection: redis.Redis, patch: pytest.MonkeyPatch) -> None:
    """Do the waiting jobs as the tuning process does."""
    for name, value in environment(settings).items():
        patch.setenv(name, value)
    worker = SimpleWorker([queue(TUNE, connection)], connection=connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")


def test_too_little_time_is_told_and_not_tried_again(
    tuned_settings: Settings, services: Services, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason stands in status and doctor, nothing is kept; more labels or more time are worth another try."""
    short = tuned_settings.model_copy(update={"tune_s": 0.01})
    add_project(services.db, NAMES)
    say(services.db, LEARNT[:40])
    enqueue_tune(connection, KEY, 40, short.tune_s)
    work(short, connection, monkeypatch)
    failed = last_failure(connection, KEY)
    assert failed is not None
    assert failed.labels == 40
    assert failed.problem.startswith("OutOfTime: reading 420 texts with a tuned encoder would take about")
    assert failed.blocks(Need("tune", 45), 0.01)
    assert not failed.blocks(Need("tune", 50), 0.01)
    assert not failed.blocks(Need("tune", 40), 60.0)
    assert newest(short, KEY, SPACE.labels) is None
    assert connection.hget(COUNTS, "tune:failed:OutOfTime") == b"1"
    assert connection.zscore(DUE, KEY) is None
    assert failed.problem in student_line(None, tuning_seen(connection, KEY))
    (finding,) = project_student(short, projects.get(services.db, KEY))
    assert "OutOfTime" in finding.seen
    assert finding.fix == "raise ALE_TUNE_S, or use a GPU"


@contextmanager
def tuning_process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """The real one, as a worker starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_backend.tuning.process"], env=dict(environment(settings))
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_tuning_leaves_nothing_and_is_made_by_the_next(
    tuned_settings: Settings, services: Services, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop in the middle, the process ends without waiting for its job; whoever comes next makes the tuning
    of the real encoder, and marks the project.
    """
    quick, names = tuned_settings.model_copy(update={"tune_s": 120.0}), texts(60)
    add_project(services.db, names)
    say(services.db, range(40), np.arange(60) % 2)
    enqueue_tune(connection, KEY, 40, quick.tune_s)
    with tuning_process(quick) as process:
        wait_until(lambda: is_tuning(connection, KEY), within_s=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    tunings = f"{quick.checkpoints}/tunings"
    assert [list_versions(f"{tunings}/{what}", KEY) for what in ("weights", "beliefs")] == [[], []]
    assert connection.zscore(DUE, KEY) is None

    connection.delete(f"ale:lock:tune:{KEY}")  # it would end by itself after a while
    Job.fetch(f"tune-{KEY}-40", connection=connection, serializer=JSONSerializer).delete()
    assert enqueue_tune(connection, KEY, 40, quick.tune_s)
    work(quick, connection, monkeypatch)
    assert connection.zscore(DUE, KEY) is not None
    kept = newest(quick, KEY, SPACE.labels)
    assert kept is not None
    assert kept.facts["labels"] == 40
    assert kept.logits.shape == (60, 2)
    assert last_failure(connection, KEY) is None


def test_two_processes_do_not_tune_the_same_thing(
    tuned_settings: Settings, services: Services, connection: redis.Redis
) -> None:
    """The one that comes second while the first is at it goes away; afterwards it finds nothing to do."""
    code = "import sys; from ml_backend.jobs import tune_project; print(tune_project(sys.argv[1]))"
    add_project(services.db, NAMES)
    say(services.db, LEARNT[:60])
    assert run(tuned_settings, services.db) is not None
    env = dict(environment(tuned_settings))

    def said() -> str:
        done = subprocess.run([sys.executable, "-c", code, KEY], env=env, capture_output=True, check=True)
        return done.stdout.decode().strip()

    connection.set(f"ale:lock:tune:{KEY}", "somebody else's", ex=60)
    assert said() == "busy"
    connection.delete(f"ale:lock:tune:{KEY}")
    assert said() == "nothing new"
