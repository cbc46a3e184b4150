"""What `ale demo` was asked for, and what its folder remembers from the last time."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from ale.errors import ConfigurationError
from ml_backend import ports
from ml_backend.demo.label_studio_server import HOST
from ml_backend.demo.teacher import SECRETS, TEACHING, DemoTeacher
from ml_backend.ports import free_port, is_free
from ml_backend.settings import Settings, load_settings

# The demo is a world of its own: of the user's settings only those that shape the learning reach it.
_LEARNING = frozenset(
    {
        "ALE_STUDENT",
        "ALE_STRATEGY",
        "ALE_ENCODER",
        "ALE_BATCH",
        "ALE_DEBOUNCE_S",
        "ALE_MAX_WAIT_S",
        "ALE_FULL_PUBLISH_S",
        "ALE_LOG_LEVEL",
    }
)


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Where the demo lives and which ports it would like."""

    home: Path
    venv: Path
    port: int
    ale_port: int
    teacher: DemoTeacher = field(default_factory=DemoTeacher)

    @classmethod
    def of(
        cls,
        home: Path | None,
        venv: Path | None,
        *,
        port: int,
        ale_port: int,
        teacher: str | None = None,
        real: bool = False,
    ) -> Self:
        """Defaults: `ALE_HOME/demo`, Label Studio's environment inside it, and the teacher of ALE_TEACHER."""
        folder = (home or load_settings().home / "demo").absolute()
        program = (venv or folder / "label-studio-venv").absolute()
        return cls(folder, program, port, ale_port, DemoTeacher.of(teacher, real=real))


@dataclass(slots=True)
class Kept:
    """What must be the same at the next start: Label Studio's address is part of a project's identity."""

    port: int
    ale_port: int
    project_id: int | None = None
    standin_port: int = 0
    """The stand-in's, whose address is part of the teacher's name; 0 before it was first needed."""

    @property
    def label_studio_url(self) -> str:
        """Label Studio, for people and for ALE."""
        return f"http://{HOST}:{self.port}"

    @property
    def project_url(self) -> str:
        """The sample project's Data Manager."""
        return f"{self.label_studio_url}/projects/{self.project_id}/data"

    @classmethod
    def load(cls, plan: DemoPlan) -> tuple[Self, list[str]]:
        """What the folder remembers, or new ports; with notes for the user. ConfigurationError when taken."""
        file = _file(plan.home)
        if file.exists():
            kept = cls(**json.loads(file.read_text()))
            for port in (kept.port, kept.ale_port):
                if not is_free(port):
                    raise ConfigurationError(
                        f"port {port}, which the demo in {plan.home} was made for, is taken by another program: "
                        "stop that one, or start over with --reset"
                    )
            return kept, [
                f"this demo keeps {name} at port {got}; port {wished} needs a new one: --reset"
                for name, wished, got, usual in (
                    ("Label Studio", plan.port, kept.port, ports.LABEL_STUDIO),
                    ("ALE", plan.ale_port, kept.ale_port, ports.ALE),
                )
                if wished not in {got, usual}
            ]
        port = free_port(plan.port)
        ale_port = free_port(plan.ale_port if plan.ale_port != port else port + 1)
        notes = [
            f"port {wished} is taken, {name} gets {got}"
            for name, wished, got in (("Label Studio", plan.port, port), ("ALE", plan.ale_port, ale_port))
            if wished != got
        ]
        return cls(port, ale_port), notes

    def need_stand_in(self) -> None:
        """Give the stand-in a port for good, or raise ConfigurationError when another program has it."""
        self.standin_port = self.standin_port or free_port()
        if not is_free(self.standin_port):
            raise ConfigurationError(
                f"port {self.standin_port}, on which the demo's stand-in answers, is taken by another program: "
                "stop that one, or start over with --reset"
            )

    def save(self, plan: DemoPlan) -> None:
        """Remember for the next start."""
        draft = _file(plan.home).with_suffix(".new")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(_file(plan.home))


@contextmanager
def own_home(plan: DemoPlan, *, reset: bool) -> Iterator[None]:
    """Keep a second demo out of the same folder; with `reset`, empty it first (Label Studio stays installed)."""
    plan.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (plan.home / "lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(f"a demo is running in {plan.home} already") from error
        if reset:
            _empty(plan)
        yield


def demo_settings(plan: DemoPlan, kept: Kept, token: str, redis_url: str = "") -> Settings:
    """The settings of the demo's processes; ours are made the same way as those that the children read."""
    return load_settings(
        home=plan.home / "ale",
        label_studio_url=kept.label_studio_url,
        label_studio_api_key=token,
        url=f"http://{HOST}:{kept.ale_port}",
        host=HOST,
        port=kept.ale_port,
        redis_url=redis_url,
        database_url="",
        model_dir="",
        store_url="",
        basic_auth_user="",
        basic_auth_pass="",
        webhook_secret_given="",
        **plan.teacher.overrides(plan.home, kept.standin_port),
    )


def demo_environment(settings: Settings) -> dict[str, str]:
    """The children's environment: the user's, with our settings instead of theirs."""
    ours = {field.alias for field in Settings.model_fields.values() if field.alias} - _LEARNING
    theirs = {name: value for name, value in os.environ.items() if name not in ours}
    return (
        theirs
        | _teaching(settings)
        | {
            "ALE_HOME": str(settings.home),
            "ALE_HOST": settings.host,
            "ALE_PORT": str(settings.port),
            "ALE_URL": settings.url,
            "LABEL_STUDIO_URL": settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": settings.label_studio_api_key.get_secret_value(),
            "REDIS_URL": settings.redis_url,
            "PYTHONUNBUFFERED": "1",
        }
    )


def _teaching(settings: Settings) -> dict[str, str]:
    """Who teaches, and all settings of paid teachers that are not as they come."""
    values = {"ALE_TEACHER": settings.teacher}
    for name, declared in Settings.model_fields.items():
        value = getattr(settings, name)
        if declared.alias in TEACHING and value != declared.default:
            values[declared.alias] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return values


def shell_environment(settings: Settings, *, real: bool = False) -> str:
    """Lines for a shell to source, so that `ale status`, `ale doctor` and the like speak of the demo.

    With a `real` teacher its key is left out: it is in the shell that started the demo, and stays there.
    """
    ours = {field.alias for field in Settings.model_fields.values() if field.alias} - _LEARNING
    ours -= SECRETS if real else frozenset()
    values = demo_environment(settings)
    return "".join(f"export {name}={shlex.quote(values[name])}\n" for name in sorted(ours & set(values)))


def _file(home: Path) -> Path:
    return home / "demo.json"


def _empty(plan: DemoPlan) -> None:
    for name in ("ale", "label-studio", "logs"):
        shutil.rmtree(plan.home / name, ignore_errors=True)
    for name in ("account.json", "demo.json"):
        (plan.home / name).unlink(missing_ok=True)
