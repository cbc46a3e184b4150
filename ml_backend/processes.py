"""The long-running commands, `ale serve` and `ale worker`; without REDIS_URL they bring a Redis of their own."""

from __future__ import annotations

import os
import sys

from ale.io.places import check_place
from ml_backend.learning import build_learning
from ml_backend.redis_server import ensure_redis
from ml_backend.settings import Settings, load_settings
from ml_backend.supervisor import Child, Supervisor
from ml_backend.tracking.opening import check_installed
from ml_backend.tuning.switch import check_student

WEB_THREADS = 8
MAX_BODY = 64 * 1024 * 1024


def web_command(settings: Settings) -> list[str]:
    """waitress: one process whose threads wait for SQL and Redis, and share one copy of what is published.

    It reads requests in one loop and hands only complete ones to the threads, so that a few callers who
    never finish sending cannot hold them all.
    """
    return [
        *(sys.executable, "-m", "waitress", "--listen", f"{settings.bind_host}:{settings.port}"),
        *("--threads", str(WEB_THREADS), "--channel-timeout", "30", "--connection-limit", "500"),
        *("--max-request-body-size", str(MAX_BODY), "--ident", "", "ml_backend._wsgi:app"),
    ]


def worker_command() -> list[str]:
    """The worker, in the environment it is given."""
    return [sys.executable, "-m", "ml_backend.cli", "worker"]


def serve() -> None:
    """Run the web process until it is told to stop."""
    settings = load_settings()
    check_place(settings.checkpoints)
    build_learning(settings)  # a wrong name stops the start here, not in the first job
    if settings.redis_url:
        command = web_command(settings)
        os.execv(command[0], command)  # noqa: S606 - signals then reach the server itself
    _beside_own_redis("web", web_command(settings), settings)


def work() -> None:
    """Run the worker until it is told to stop."""
    settings = load_settings()
    check_installed(settings)  # a mirror that silently never came would be missed too late
    check_place(settings.checkpoints)
    check_student(settings)
    if settings.redis_url:
        from ml_backend.worker import run_worker

        run_worker(settings)
    else:
        _beside_own_redis("worker", worker_command(), settings)


def _beside_own_redis(name: str, command: list[str], settings: Settings) -> None:
    try:
        with ensure_redis(settings) as url, Supervisor() as supervisor:
            supervisor.start(Child(name, command, env=os.environ | {"REDIS_URL": url}))
            supervisor.wait()
    except KeyboardInterrupt:
        pass
