"""The process that tunes: an RQ worker of its own beside `ale worker`, for the one queue that takes minutes.

It is as nice as can be, and in the session of the worker that started it: a learn run that wants the processor has
it. Nothing waits for it: told to stop, or left alone by its parent, it drops what it does; a tuning may be repeated.
"""

from __future__ import annotations

import os
from types import FrameType
from typing import Any

from rq import Worker
from rq.serializers import JSONSerializer

from ml_backend.logs import configure_logging
from ml_backend.marks import connect_redis
from ml_backend.queues import TUNE, queue
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings, load_settings

NICEST = 19


class TuningWorker(Worker):
    """Ends at once when it is told to, or when its parent has gone."""

    def __init__(self, settings: Settings, parent: int) -> None:
        connection = connect_redis(resolve_redis_url(settings), timeout_s=60)
        self._parent, self._owner = parent, os.getpid()
        super().__init__(
            [queue(TUNE, connection)],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=30,
            maintenance_interval=5,
            job_monitoring_interval=2,
            log_job_description=False,
        )

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """RQ's answer to SIGTERM is to finish the job: minutes that a restart does not have."""
        self._drop()

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """RQ's sign of life, every few seconds."""
        if os.getpid() == self._owner and os.getppid() != self._parent:
            self._drop()
        super().heartbeat(*args, **kwargs)

    def _drop(self) -> None:
        if self.horse_pid:
            self.kill_horse()
            self.wait_for_horse()
        raise SystemExit(0)


def main() -> None:
    """Run beside a worker: `python -m ml_backend.tuning.process`."""
    parent = os.getppid()
    settings = load_settings()
    configure_logging(settings.log_level)
    os.nice(NICEST)
    TuningWorker(settings, parent).work(logging_level="WARNING")


if __name__ == "__main__":
    main()
