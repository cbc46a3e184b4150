"""The long-running commands, `ale serve` and `ale worker`; without REDIS_URL they bring a Redis of their own."""

from __future__ import annotations

import os
import sys

from ml_backend.redis_server import ensure_redis
from ml_backend.settings import Settings, load_settings
from ml_backend.supervisor import Child, Supervisor

WEB_THREADS = 8


def web_command(settings: Settings) -> list[str]:
    """gunicorn with one process: its threads wait for SQL and Redis, and share one copy of what is published."""
    return [
        *(sys.executable, "-m", "gunicorn", "ml_backend._wsgi:app"),
        *("--bind", f"{settings.bind_host}:{settings.port}", "--workers", "1", "--threads", str(WEB_THREADS)),
        *("--timeout", "60", "--graceful-timeout", "5", "--no-control-socket"),
    ]


def worker_command() -> list[str]:
    """The worker, in the environment it is given."""
    return [sys.executable, "-m", "ml_backend.cli", "worker"]


def serve() -> None:
    """Run the web process until it is told to stop."""
    settings = load_settings()
    if settings.redis_url:
        command = web_command(settings)
        os.execv(command[0], command)  # noqa: S606 - signals then reach gunicorn itself
    _beside_own_redis("web", web_command(settings), settings)


def work() -> None:
    """Run the worker until it is told to stop."""
    settings = load_settings()
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
