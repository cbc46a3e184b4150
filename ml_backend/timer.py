"""The clock: hands due projects to the learn queue, and looks for what no webhook told.

May run more than once (one per worker): handing over twice gives one job, and marking twice one mark.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import redis
from redis.exceptions import RedisError
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from ale.errors import AleError
from ml_backend.logs import configure_logging
from ml_backend.marks import Marks, connect_redis
from ml_backend.queues import ALL, EVERY_PROJECT, MIRROR, TUNE, enqueue_chain, enqueue_learn, learn_waits
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings, load_settings
from ml_backend.store import projects
from ml_backend.store.database import Database

logger = logging.getLogger(__name__)

TICK_S = 0.1
PAUSE_S = 1.0


class Timer:
    """One tick hands over what is due; now and then one marks every project."""

    def __init__(self, settings: Settings, db: Database, connection: redis.Redis) -> None:
        self._settings, self._db, self._redis = settings, db, connection
        self._marks = Marks(connection, debounce_s=settings.debounce_s, max_wait_s=settings.max_wait_s)
        self._reconciled = float("-inf")

    def tick(self) -> int:
        """How many learn runs were queued. Raises redis.RedisError."""
        if time.monotonic() - self._reconciled >= self._settings.reconcile_s:
            self.reconcile()
        handed = 0
        for due in self._marks.due():
            # The job first: a stop between the two leaves the mark, and the job's id refuses a double.
            # A run that has not begun will see this change too: a long run leaves one behind it, not a queue.
            if not learn_waits(self._redis, due.project):
                handed += enqueue_learn(self._redis, due.project, due.marks)
            self._marks.done(due)
        return handed

    def reconcile(self) -> None:
        """Mark every project as changed, see what MLflow lacks, give jobs of dead workers back to their queues."""
        for row in projects.every(self._db, "connected", "wished", server=self._settings.label_studio_url):
            self._marks.mark(row.key)
        if self._settings.mlflow_address:
            enqueue_chain(self._redis, MIRROR, EVERY_PROJECT)
        for name in (*ALL, TUNE):
            StartedJobRegistry(name, connection=self._redis, serializer=JSONSerializer).cleanup()
        self._reconciled = time.monotonic()

    def run(self, stop: threading.Event, parent: int | None = None) -> None:
        """Tick until `stop` is set or the parent process is gone. A Redis that is away is waited for."""
        while not stop.wait(TICK_S) and (parent is None or os.getppid() == parent):
            try:
                self.tick()
            except (RedisError, SQLAlchemyError) as error:
                logger.warning("no answer from Redis or SQL (%s); trying again", type(error).__name__)
                stop.wait(PAUSE_S)


def main() -> None:
    """Run as a process of its own, beside a worker: `python -m ml_backend.timer`."""
    settings = load_settings()
    configure_logging(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    connection = connect_redis(resolve_redis_url(settings))
    try:
        db = Database(settings.database)
    except AleError as error:  # the worker starts us again
        raise SystemExit(f"ale: {error}") from error
    Timer(settings, db, connection).run(stop, parent=os.getppid())


if __name__ == "__main__":
    main()
