"""Everything that a benchmark runs against: a real Label Studio, Redis, our web process and our worker.

The environment may name a Label Studio that runs already, in the words of the tests: ALE_TEST_LABEL_STUDIO, a
JSON file with its url and the account, and ALE_TEST_ADDRESS, by which it reaches this machine.
"""

from __future__ import annotations

import json
import os
import secrets
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
    label_studio_log: Path | None
    """None: somebody else started Label Studio, and its log is theirs."""

    @property
    def settings(self) -> Settings:
        """The settings that all processes of ours run with."""
        return self.services.settings


@contextmanager
def running_stack(**overrides: object) -> Iterator[Stack]:
    """All processes on free ports, with state in a temporary folder that goes away with the block.

    DATABASE_URL and a Label Studio that the environment names are used as they are, and stay.
    """
    with tempfile.TemporaryDirectory(prefix="ale-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        elsewhere = os.environ.get("ALE_TEST_LABEL_STUDIO")
        port, ale_port = free_port(), free_port()
        if elsewhere:
            url, account = running_elsewhere(Path(elsewhere))
            say(f"Label Studio runs on {url}; starting Redis, the web process and a worker")
        else:
            url, account = f"http://{HOST}:{port}", Account.kept_in(folder / "account.json")
            say("starting Label Studio, Redis, the web process and a worker")
        address = os.environ.get("ALE_TEST_ADDRESS", HOST)
        values: dict[str, object] = {
            "home": folder / "ale",
            "label_studio_url": url,
            "label_studio_api_key": account.token,
            "url": f"http://{address}:{ale_port}",
            "host": address,
            "port": ale_port,
            **overrides,
        }
        if address != HOST:  # such a port is opened with a password only
            values |= {"basic_auth_user": "label-studio", "basic_auth_pass": secrets.token_urlsafe(12)}
        logs = folder / "logs"
        log = None if elsewhere else logs / "ls.log"
        with ensure_redis(load_settings(**values)) as redis_url, Supervisor() as supervisor:
            settings = load_settings(**values, redis_url=redis_url)
            env = environment(settings)
            if log:
                venv = Path(os.environ.get("ALE_LABEL_STUDIO_VENV", CHECKOUT / ".venv-label-studio"))
                program = ensure_label_studio(venv, say)
                supervisor.start(label_studio_child(program, folder / "ls", log, port, account))
            ready = f"{settings.url}/health"
            supervisor.start(
                Child("web", web_command(settings), logs / "web.log", env, lambda: healthy(ready))
            )
            supervisor.start(Child("worker", worker_command(), logs / "worker.log", env))
            services = build_services(settings)
            try:
                yield Stack(account, services, LabelStudioClient(settings), supervisor, logs, log)
            finally:  # a Postgres of somebody's keeps connections that nobody gives back
                services.db.dispose()


def running_elsewhere(file: Path) -> tuple[str, Account]:
    """Address and account of a server that somebody else started: url, email, password and token, as JSON."""
    told = json.loads(file.read_text())
    return told["url"], Account(told["email"], told["password"], told["token"])


def environment(settings: Settings) -> dict[str, str]:
    """The children's environment: ours, with exactly these settings."""
    env = dict(os.environ)
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value is None:  # not set; the word None would be read as a value
            env.pop(str(field.alias), None)
            continue
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
