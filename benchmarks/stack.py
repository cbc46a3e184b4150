"""Everything that a benchmark runs against: a real Label Studio, Redis, our web process and our worker."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from ml_backend.demo.label_studio_server import Account, healthy, label_studio_child
from ml_backend.demo.label_studio_venv import ensure_label_studio
from ml_backend.label_studio import LabelStudioClient
from ml_backend.ports import free_port
from ml_backend.processes import web_command, worker_command
from ml_backend.redis_server import ensure_redis
from ml_backend.settings import Settings, load_settings
from ml_backend.supervisor import Child, Supervisor
from ml_backend.wiring import Services, build_services

CHECKOUT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Stack:
    """The running processes, and what is needed to talk to them."""

    account: Account
    services: Services
    client: LabelStudioClient
    supervisor: Supervisor
    logs: Path

    @property
    def settings(self) -> Settings:
        """The settings that all processes of ours run with."""
        return self.services.settings


@contextmanager
def running_stack(**overrides: object) -> Iterator[Stack]:
    """All processes on free ports, with state in a temporary folder that goes away with the block."""
    with tempfile.TemporaryDirectory(prefix="ale-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        say("starting Label Studio, Redis, the web process and a worker")
        account = Account.kept_in(folder / "account.json")
        port, ale_port = free_port(), free_port()
        values: dict[str, object] = {
            "home": folder / "ale",
            "label_studio_url": f"http://{HOST}:{port}",
            "label_studio_api_key": account.token,
            "url": f"http://{HOST}:{ale_port}",
            "host": HOST,
            "port": ale_port,
            **overrides,
        }
        logs = folder / "logs"
        with ensure_redis(load_settings(**values)) as redis_url, Supervisor() as supervisor:
            settings = load_settings(**values, redis_url=redis_url)
            env = environment(settings)
            venv = Path(os.environ.get("ALE_LABEL_STUDIO_VENV", CHECKOUT / ".venv-label-studio"))
            program = ensure_label_studio(venv, say)
            supervisor.start(label_studio_child(program, folder / "ls", logs / "ls.log", port, account))
            ready = f"{settings.url}/health"
            supervisor.start(
                Child("web", web_command(settings), logs / "web.log", env, lambda: healthy(ready))
            )
            supervisor.start(Child("worker", worker_command(), logs / "worker.log", env))
            services = build_services(settings)
            yield Stack(account, services, LabelStudioClient(settings), supervisor, logs)


def environment(settings: Settings) -> dict[str, str]:
    """The children's environment: ours, with exactly these settings."""
    env = dict(os.environ)
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        env[str(field.alias)] = text
    return env | {"PYTHONUNBUFFERED": "1"}


T = TypeVar("T")


def wait_until(what: str, happened: Callable[[], T], within_s: float = 120.0, every_s: float = 0.05) -> T:
    """The first truthy answer; raises TimeoutError that says what did not happen."""
    deadline = time.monotonic() + within_s
    while not (answer := happened()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        time.sleep(every_s)
    return answer


def say(text: str) -> None:
    """A line for the person who waits."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)
