"""From mark to job: bursts, two timers, an emptied Redis, a busy lock, foreign pickles. Real Redis and SQLite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from ml_backend.identity import ProjectKey
from ml_backend.lock import TTL_S, single_flight
from ml_backend.marks import Marks, connect_redis
from ml_backend.queues import ALL, CLEAN, LEARN, TEACH, end_chain, enqueue_chain, enqueue_learn, queue
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.timer import Timer
from ml_backend.wiring import Services
from tests.conftest import wait_until


@dataclass(frozen=True, slots=True)
class Bench:
    """A connected project, and what hands it to the queue."""

    settings: Settings
    services: Services
    redis: redis.Redis
    key: str

    def timer(self, **changes: object) -> Timer:
        """A timer on the same Redis and database."""
        return Timer(self.settings.model_copy(update=changes), self.services.db, self.redis)

    @property
    def jobs(self) -> list[Job]:
        """The learn jobs that wait."""
        return queue(LEARN, self.redis).jobs


@pytest.fixture
def bench(settings: Settings, services: Services, clean_redis: str) -> Iterator[Bench]:
    """One connected project; debounce and maximum wait are short."""
    quick = settings.model_copy(update={"debounce_s": 0.05, "max_wait_s": 0.2, "reconcile_s": 86_400.0})
    connection = connect_redis(clean_redis)
    marks = Marks(connection, debounce_s=quick.debounce_s, max_wait_s=quick.max_wait_s)
    key = ProjectKey.from_uid(quick.label_studio_url, "7.1700000000")
    assert key is not None
    projects.wish(services.db, key)
    projects.change(services.db, key, status="connected")
    yield Bench(quick, Services(quick, services.db, marks, services.beliefs), connection, str(key))
    connection.close()


def tick_until_idle(bench: Bench, timer: Timer) -> int:
    """Tick until nothing is due any more; how many jobs were queued."""
    handed = 0

    def idle() -> bool:
        nonlocal handed
        handed += timer.tick()
        return not bench.services.marks.pending()

    wait_until(idle)
    return handed


def test_fifty_marks_at_once_become_one_job(bench: Bench) -> None:
    """A burst from many threads leads to one learn job, and nothing stays due."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: bench.services.marks.mark(bench.key), range(50)))
    timer = bench.timer()
    timer.reconcile()
    assert tick_until_idle(bench, timer) == 1
    assert [job.args for job in bench.jobs] == [[bench.key, False]]
    assert bench.services.marks.pending() == {}


def test_a_steady_stream_cannot_starve_training(bench: Bench) -> None:
    """Marks that come faster than the debounce still become due after the maximum wait."""
    timer = bench.timer()
    timer.reconcile()
    started = time.monotonic()

    def queued_although_marked() -> bool:
        bench.services.marks.mark(bench.key)
        return timer.tick() > 0

    wait_until(queued_although_marked, within_s=10)
    assert time.monotonic() - started >= bench.settings.debounce_s


def test_two_timers_make_one_job_of_a_mark(bench: Bench) -> None:
    """Each worker has a timer; together they queue a change once."""
    first, second = bench.timer(), bench.timer()
    for timer in (first, second):
        timer.reconcile()
    barrier = threading.Barrier(2)

    def tick(timer: Timer) -> int:
        barrier.wait()
        return timer.tick()

    wait_until(lambda: bool(bench.services.marks.due()))
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(tick, (first, second))) == 1
    assert len(bench.jobs) == 1


def test_a_mark_that_comes_while_another_is_handed_over_stays_due(bench: Bench) -> None:
    """`done` forgets only what the taker saw; the later change gets a job of its own."""
    marks = bench.services.marks
    marks.mark(bench.key, at_once=True)
    (due,) = marks.due()
    marks.mark(bench.key, at_once=True)
    assert enqueue_learn(bench.redis, due.project, due.marks)
    marks.done(due)
    assert bench.key in marks.pending()
    (again,) = marks.due()
    assert enqueue_learn(bench.redis, again.project, again.marks)
    marks.done(again)
    assert marks.pending() == {}
    assert len(bench.jobs) == 2


def test_reconcile_repairs_an_emptied_redis(bench: Bench) -> None:
    """Marks and jobs are lost with Redis; the periodic look marks every project again, wished ones too."""
    bench.services.marks.mark(bench.key)
    tick_until_idle(bench, bench.timer())
    bench.redis.flushall()
    assert bench.jobs == []
    timer = bench.timer(reconcile_s=1.0)
    assert timer.tick() == 0
    assert tick_until_idle(bench, timer) == 1
    assert bench.jobs[0].args == [bench.key, False]


def test_reconcile_leaves_disconnected_projects_alone(bench: Bench) -> None:
    """Nobody wants to hear of them."""
    projects.change(bench.services.db, bench.key, status="disconnected")
    bench.timer().reconcile()
    assert bench.services.marks.pending() == {}


def test_a_job_that_finds_the_project_busy_marks_it_again(bench: Bench) -> None:
    """Single flight: the second run does not wait in the worker and does not forget the change."""
    code = "import sys; from ml_backend.jobs import learn_project; print(learn_project(sys.argv[1]))"
    env = os.environ | {
        "ALE_HOME": str(bench.settings.home),
        "REDIS_URL": bench.settings.redis_url,
        "LABEL_STUDIO_URL": bench.settings.label_studio_url,
    }
    with single_flight(bench.redis, bench.key) as mine:
        assert mine
        outcome = subprocess.run(
            [sys.executable, "-c", code, bench.key], env=env, capture_output=True, text=True, check=True
        )
    assert outcome.stdout.strip() == "busy"
    assert bench.key in bench.services.marks.pending()


def test_one_project_at_a_time_and_others_beside_it(bench: Bench) -> None:
    """The lock is the project's own, is given back, and does not outlive a killed holder for long."""
    with single_flight(bench.redis, bench.key) as mine:
        with single_flight(bench.redis, bench.key) as theirs, single_flight(bench.redis, "other") as other:
            assert (mine, theirs, other) == (True, False, True)
        ttl = bench.redis.pttl(f"ale:lock:learn:{bench.key}")
        assert 0 < int(str(ttl)) <= TTL_S * 1000
    with single_flight(bench.redis, bench.key) as mine:
        assert mine


def test_a_lock_lost_with_redis_does_not_break_its_holder(bench: Bench) -> None:
    """Flushed in between: leaving the block raises nothing, and frees nobody else's lock."""
    with single_flight(bench.redis, bench.key) as mine:
        assert mine
        bench.redis.flushall()
        with single_flight(bench.redis, bench.key) as another:
            assert another
        bench.redis.set(f"ale:lock:learn:{bench.key}", "somebody else's")
    assert bench.redis.get(f"ale:lock:learn:{bench.key}") == b"somebody else's"


def test_a_chain_runs_once_and_can_start_again(bench: Bench) -> None:
    """Background work queues one step; a second start is refused while the first lives."""
    assert enqueue_chain(bench.redis, TEACH, bench.key)
    assert not enqueue_chain(bench.redis, TEACH, bench.key)
    assert enqueue_chain(bench.redis, CLEAN, bench.key)
    assert enqueue_chain(bench.redis, TEACH, bench.key, next_step=True)
    assert len(queue(TEACH, bench.redis).job_ids) == 2
    end_chain(bench.redis, TEACH, bench.key)
    assert enqueue_chain(bench.redis, TEACH, bench.key)


def test_our_queues_hold_json_and_refuse_pickles(bench: Bench) -> None:
    """Arguments are readable JSON; a pickled job is failed by a real RQ worker without being opened."""
    assert enqueue_learn(bench.redis, bench.key, 1)
    (job,) = bench.jobs
    assert json.loads(job.data)[2] == [bench.key, False]
    job.delete()

    proof = bench.settings.home / "opened"
    foreign = Queue(LEARN, connection=bench.redis).enqueue("os.mkdir", str(proof))
    worker = SimpleWorker(
        [queue(name, bench.redis) for name in ALL], connection=bench.redis, serializer=JSONSerializer
    )
    worker.work(burst=True, logging_level="CRITICAL")
    assert not proof.exists()
    assert foreign.id not in queue(LEARN, bench.redis).job_ids
