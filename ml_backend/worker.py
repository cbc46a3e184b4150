"""The worker process: an RQ worker that forks a child per job, and beside it the timer, and what tunes."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from typing import Any

from rq import Worker
from rq.serializers import JSONSerializer

from ale.errors import ConfigurationError
from ale.io.encoder import preloads
from ale.io.places import check_place
from ml_backend.learning import build_learning
from ml_backend.logs import configure_logging
from ml_backend.marks import connect_redis
from ml_backend.queues import ALL, queue
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings
from ml_backend.store.database import Database
from ml_backend.tracking.opening import check_installed, prepare
from ml_backend.tuning.switch import check_student, tunes

logger = logging.getLogger(__name__)

# Imported once here, inherited by every job's process: a learn run would else start with seconds of imports.
# Importing starts no threads and computes nothing, so forking stays safe.
PRELOAD = (
    "ml_backend.jobs",
    "cleanlab.filter",
    "cleanlab.rank",
    "sklearn.linear_model",
    "sklearn.cluster",
    "sklearn.model_selection",
)

NICE = 5
"""Training yields to the web process and to Label Studio on the same machine: people wait for those."""


class RqWorker(Worker):
    """Short intervals: a job of a killed worker comes back after RQ's 60 s lease, not after many minutes."""

    def __init__(self, settings: Settings) -> None:
        # No read time-out below RQ's own blocking wait.
        connection = connect_redis(resolve_redis_url(settings), timeout_s=60)
        self._beside = [Beside(name) for name in _beside(settings)]
        self._alive = settings.alive_file
        super().__init__(
            [queue(name, connection) for name in ALL],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=30,
            maintenance_interval=5,
            job_monitoring_interval=2,
            log_job_description=False,
        )

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """RQ's sign of life, every few seconds; ours looks after what runs beside it on the way."""
        for process in self._beside:
            process.keep()
        super().heartbeat(*args, **kwargs)
        if self._alive:  # after Redis took the heartbeat: a worker without Redis is not well
            self._alive.touch()

    def stop_beside(self) -> None:
        """End what runs beside this worker."""
        for process in self._beside:
            process.stop()


def _beside(settings: Settings) -> list[str]:
    """Modules that run beside a worker."""
    return ["ml_backend.timer", *(["ml_backend.tuning.process"] if tunes(settings) else [])]


class Beside:
    """The timer, or what tunes, beside a worker; started again when it died.

    A process of its own, not a thread: RQ forks, and a thread that holds a lock would not come along.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._owner = os.getpid()
        self._process = self._start()

    def keep(self) -> None:
        """Start it again when it died. A job's forked process also comes by here: it is not its child."""
        if os.getpid() == self._owner and self._process.poll() is not None:
            logger.warning("%s ended with %s; starting it again", self._module, self._process.returncode)
            self._process = self._start()

    def stop(self) -> None:
        """End it and wait for its end."""
        self._process.terminate()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", self._module])


def preload(*more: str) -> None:
    """Import what jobs need; what is not installed is named by the job that needs it."""
    for name in (*PRELOAD, *more):
        try:
            importlib.import_module(name)
        except ImportError as error:
            logger.warning("%s is not installed: %s", name, error)


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM: the running job is finished first. Checks all names, and opens the database, before the first job."""
    configure_logging(settings.log_level)
    if not settings.label_studio_api_key.get_secret_value():
        raise ConfigurationError(
            "LABEL_STUDIO_API_KEY is empty: copy an access token from Label Studio > Account & Settings"
        )
    check_installed(settings)
    check_place(settings.checkpoints)
    check_student(settings)
    paid = any(teacher.paid for teacher in build_learning(settings).teachers)
    # Jobs open their own. One that is not there yet stops the start: a worker without it could only fail its jobs.
    Database(settings.database).dispose()
    os.nice(NICE)
    if settings.mlflow_address:
        prepare(settings)
    preload(
        *preloads(settings.encoder),
        *(["openai"] if paid else []),
        *(["mlflow.tracking"] if settings.mlflow_address else []),
    )
    worker = RqWorker(settings)
    try:
        worker.work(logging_level="WARNING")
    finally:
        worker.stop_beside()
