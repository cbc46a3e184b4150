"""Changes that come while a learn run is busy: one more run sees them all."""

from __future__ import annotations

import redis

from ml_backend.identity import ProjectKey
from ml_backend.queues import LEARN, queue
from ml_backend.settings import Settings
from ml_backend.timer import Timer
from ml_backend.wiring import Services


def test_a_long_run_leaves_one_run_behind_it_not_a_queue(settings: Settings, services: Services) -> None:
    """Labels keep coming while the worker is busy: the timer leaves one waiting job per project, and forgets
    the marks that this job will see. A mark that comes after it began gets the next one.
    """
    connection = redis.Redis.from_url(settings.redis_url)
    timer = Timer(settings, services.db, connection)
    mine, other = (str(ProjectKey("http://label-studio.test:8080", i, 1_700_000_000)) for i in (1, 2))
    learn = queue(LEARN, connection)
    for _ in range(3):
        services.marks.mark(mine, at_once=True)
        timer.tick()
    services.marks.mark(other, at_once=True)
    timer.tick()
    assert services.marks.pending() == {}
    assert [job.args for job in learn.jobs] == [[mine, False], [other, False]]

    learn.pop_job_id()  # a worker takes it
    services.marks.mark(mine, at_once=True)
    assert timer.tick() == 1
    assert [job.args for job in learn.jobs] == [[other, False], [mine, False]]
    connection.close()
