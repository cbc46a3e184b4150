"""The only code that writes to the RQ queues. Jobs are named by string, so nothing heavy is imported here.

Job ids hold the project's count of marks: a fixed id would be refused while an older job's result is kept.
Arguments travel as JSON, never as pickle.
"""

from __future__ import annotations

from collections.abc import Sequence

import redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

LEARN, TEACH, CLEAN, MIRROR = "ale-learn", "ale-teach", "ale-clean", "ale-mirror"
TUNE = "ale-tune"
"""Has a process of its own beside each worker: one job takes minutes (`ml_backend.tuning.process`)."""

ALL = (LEARN, TEACH, CLEAN, MIRROR)
"""In the order in which a worker empties them: people wait for learn, nobody waits for clean and mirror."""

STEPS = {
    TEACH: "ml_backend.jobs.teach_project",
    CLEAN: "ml_backend.jobs.clean_project",
    MIRROR: "ml_backend.jobs.mirror_versions",
}
EVERY_PROJECT = "every-project"
"""Stands for a project where one chain serves all of them, so that an MLflow that hangs is met once."""

LEARN_TIMEOUT_S = 3_600
STEP_TIMEOUT_S = 900
CHAIN_TTL_S = 120
RETRY = 2


def queue(name: str, connection: redis.Redis) -> Queue:
    """The queue of that name, with our serializer."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue_learn(connection: redis.Redis, project: str, marks: int, *, force: bool = False) -> bool:
    """One learn run for this count of marks; False when it is queued or running already."""
    return _enqueue(
        connection,
        LEARN,
        "ml_backend.jobs.learn_project",
        [project, force],
        f"learn-{project}-{marks}{'-forced' if force else ''}",
        LEARN_TIMEOUT_S,
    )


def learn_waits(connection: redis.Redis, project: str) -> bool:
    """Whether a learn run of the project stands in the queue, not begun: it will see every change made so far."""
    return any(job_id.startswith(f"learn-{project}-") for job_id in queue(LEARN, connection).job_ids)


def enqueue_tune(connection: redis.Redis, project: str, labels: int, seconds: float) -> bool:
    """A tuning of at most so many seconds; False when one waits already, or the same one runs or was given up."""
    if any(job_id.startswith(f"tune-{project}-") for job_id in queue(TUNE, connection).job_ids):
        return False
    return _enqueue(
        connection,
        TUNE,
        "ml_backend.jobs.tune_project",
        [project],
        f"tune-{project}-{labels}",
        int(2 * seconds) + STEP_TIMEOUT_S,
    )


def enqueue_chain(
    connection: redis.Redis, name: str, project: str, *, next_step: bool = False, args: Sequence[object] = ()
) -> bool:
    """A step of a long piece of background work (TEACH, CLEAN, MIRROR); False when such a chain is alive already.

    Each step queues the next, so that a learn run never waits behind more than one step. The token says that
    the chain is alive; one that was killed loses it after `CHAIN_TTL_S`, and the next learn run starts another.
    """
    if not connection.set(_token(name, project), 1, nx=not next_step, ex=CHAIN_TTL_S):
        return False
    return _enqueue(connection, name, STEPS[name], [project, *args], None, STEP_TIMEOUT_S)


def end_chain(connection: redis.Redis, name: str, project: str) -> None:
    """The work is done: the next chain may start at once."""
    connection.delete(_token(name, project))


def pause_chain(connection: redis.Redis, name: str, project: str, seconds: float) -> None:
    """The work cannot go on: no other chain starts before so many seconds are over."""
    connection.set(_token(name, project), 1, px=max(1, int(seconds * 1000)))


def _token(name: str, project: str) -> str:
    return f"{name}:alive:{project}"


def _enqueue(
    connection: redis.Redis,
    name: str,
    function: str,
    args: list[object],
    job_id: str | None,
    timeout: int,
    failure_ttl: int = 86_400,
) -> bool:
    try:
        queue(name, connection).enqueue_call(
            function,
            args=args,
            job_id=job_id,
            unique=job_id is not None,
            timeout=timeout,
            result_ttl=0,  # a kept result would hold the id
            failure_ttl=failure_ttl,  # by default a failed job holds its id for a year
            retry=Retry(max=RETRY),
        )
    except DuplicateJobError:
        return False
    return True
