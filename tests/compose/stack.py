"""The running compose stack in the words of an operator: commands in containers, and addresses from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx

from ml_backend.label_studio import LabelStudioClient
from ml_backend.settings import load_settings
from tests.e2e.label_studio import LabelStudioUnderTest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0
Json = dict[str, Any]


class NotInTime(AssertionError):
    """What was waited for did not come."""


def wait_until(condition: Callable[[], Any], what: Callable[[], str], timeout: float = PATIENCE_S) -> None:
    """Return as soon as the condition holds; raise NotInTime with `what` when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {timeout:.0f} s: {what()}")
        time.sleep(0.2)


@dataclass(slots=True)
class Stack:
    """The stack that COMPOSE_FILE and COMPOSE_PROJECT_NAME mean; it is up."""

    home: Path
    """A folder of the test's own."""
    _known: dict[str, str] = field(default_factory=dict)

    # -- commands --------------------------------------------------------------------------------------

    def compose(self, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
        """`docker compose …`; what it printed. Raises AssertionError with all output when it fails."""
        done = subprocess.run(
            ["docker", "compose", "--ansi", "never", *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if check else subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, (
            f"docker compose {' '.join(arguments)}:\n{done.stdout[-4000:]}"
        )
        return done.stdout

    def ale(self, *arguments: str) -> str:
        """`ale …` in the backend's container; what it printed."""
        return self.compose("exec", "-T", "backend", "ale", *arguments)

    def doctor(self) -> list[Json]:
        """What the doctor finds, hop by hop."""
        return cast(
            list[Json],
            json.loads(self.compose("exec", "-T", "backend", "ale", "doctor", "--json", check=False)),
        )

    def all_well(self) -> list[Json]:
        """The doctor's findings once there is nothing to mend; raise NotInTime with what it finds."""
        return self.ill(set())

    def ill(self, hops: set[str]) -> list[Json]:
        """The doctor's findings once these hops of the projects fail and no other; else NotInTime with what fails.

        A run that found Label Studio away is one of the doctor's findings, too, until the next run a minute later.
        """
        findings: list[Json] = []

        def failing() -> list[Json]:
            return [finding for finding in findings if not finding["ok"]]

        def so() -> bool:
            nonlocal findings
            findings = self.doctor()
            return {finding["hop"].rpartition(": ")[2] for finding in failing()} == hops

        wait_until(so, lambda: f"the doctor finds {sorted(hops) or 'nothing'}: {failing()}")
        return findings

    def sql(self, query: str, database: str = "ale") -> list[list[str]]:
        """Rows of a query, as text."""
        out = self.compose(
            *(
                "exec",
                "-T",
                "postgres",
                "psql",
                "-U",
                "postgres",
                "-d",
                database,
                "-At",
                "-F",
                "\t",
                "-c",
                query,
            )
        )
        return [line.split("\t") for line in out.splitlines()]

    def kill(self, service: str) -> None:
        """SIGKILL to a service's first process, as the kernel does it: Docker then starts the service again."""
        for container in self.compose("ps", "-q", service).split():
            pid = subprocess.run(
                ["docker", "inspect", "-f", "{{.State.Pid}}", container],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            os.kill(int(pid), signal.SIGKILL)

    def up(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """`docker compose up -d --wait`."""
        self.compose("up", "-d", "--wait", "--wait-timeout", "300", *arguments, env=env)

    # -- from outside ----------------------------------------------------------------------------------

    def secret(self, service: str, name: str) -> str:
        """A secret as the service reads it."""
        if name not in self._known:
            self._known[name] = self.compose("exec", "-T", service, "cat", f"/run/secrets/ale/{name}").strip()
        return self._known[name]

    @property
    def label_studio_url(self) -> str:
        """Label Studio on this machine."""
        return f"http://{self.compose('port', 'label-studio', '8080').strip()}"

    def account(self) -> LabelStudioUnderTest:
        """The first user, for a browser: a page at another address than LABEL_STUDIO_HOST would reload for ever."""
        return LabelStudioUnderTest(
            os.environ.get("LABEL_STUDIO_HOST", "http://localhost:8080"),
            "admin@example.com",
            self.secret("label-studio", "LABEL_STUDIO_PASSWORD"),
            self.secret("label-studio", "LABEL_STUDIO_USER_TOKEN"),
            self.client(),
        )

    def client(self) -> LabelStudioClient:
        """Label Studio's API by the first user."""
        return LabelStudioClient(
            load_settings(
                label_studio_url=self.label_studio_url,
                label_studio_api_key=self.secret("label-studio", "LABEL_STUDIO_USER_TOKEN"),
                home=self.home,
            )
        )

    def tab(self, view_id: int) -> list[Json]:
        """The rows of a Data Manager tab in their order."""
        answer = httpx.get(
            f"{self.label_studio_url}/api/tasks",
            params={"view": view_id, "fields": "all", "page_size": 100},
            headers={"Authorization": f"Token {self.secret('label-studio', 'LABEL_STUDIO_USER_TOKEN')}"},
            timeout=60,
        )
        assert answer.is_success, answer.text[:500]
        return cast(list[Json], answer.json()["tasks"])

    def backend_url(self, index: int = 1) -> str:
        """One of the web processes on this machine."""
        return f"http://{self.compose('port', '--index', str(index), 'backend', '9090').strip()}"

    def status(self, index: int = 1) -> Json:
        """What a web process says of itself and of all projects."""
        auth = ("ale", self.secret("backend", "BASIC_AUTH_PASS"))
        answer = httpx.get(f"{self.backend_url(index)}/status", auth=auth, timeout=30)
        assert answer.is_success, answer.text[:500]
        return cast(Json, answer.json())

    def project(self, project_id: int) -> Json:
        """One project's entry in `status`."""
        return next(p for p in self.status()["projects"] if p["project"] == project_id)

    def learnt(self, project_id: int, labels: int) -> Json:
        """The project's entry once a run has learnt from so many labels, and nothing is due."""
        found: Json = {}

        def done() -> bool:
            nonlocal found
            try:
                found = self.project(project_id)
            except httpx.TransportError:
                return False  # the web process comes back
            run = found["last_run"] or {}
            return bool(run.get("labels") == labels and run["finished_at"] and found["due_in_s"] is None)

        wait_until(
            done, lambda: f"{labels} labels learnt; last seen {found.get('last_run')}, {found.get('problem')}"
        )
        return found
