"""Several simulated annotators on one project, each with an account of their own, who keep a record of every request."""

from __future__ import annotations

import random
import secrets
import threading
import time
from dataclasses import dataclass, field

import httpx

from ml_backend.controls import Control
from ml_backend.demo.annotator import submission
from tests.compose.stack import Json, Stack


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of an annotator: when it began and ended (seconds of the wall clock) and what came of it."""

    who: str
    what: str
    begun: float
    ended: float
    status: int
    """0: no answer at all."""
    said: str = ""

    @property
    def failed(self) -> bool:
        """Whether the annotator saw an error."""
        return self.status == 0 or self.status >= 400


@dataclass(slots=True)
class Person(threading.Thread):
    """Asks for the next task and submits a label, with a pause between, until told to stop; an error is tried again."""

    name_: str
    url: str
    token: str
    project: int
    control: Control
    meant: dict[str, str]
    pause_s: float
    stop: threading.Event
    asked: list[Asked] = field(default_factory=list)
    saved: dict[int, int] = field(default_factory=dict)
    """Task by annotation that Label Studio has accepted."""

    def __post_init__(self) -> None:
        threading.Thread.__init__(self, name=self.name_, daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """The work; ends early when no task is left."""
        rng = random.Random(self.name_)
        headers = {"Authorization": f"Token {self.token}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False) as client:
            while not self.stop.wait(self.pause_s * rng.uniform(0.5, 1.5)):
                task = self._ask(client, "next", "GET", f"/api/projects/{self.project}/next/")
                if task is None:
                    continue
                label = self.meant[task["data"][self.control.field]]
                if rng.random() < 0.1:
                    label = rng.choice(self.control.label_space.labels)
                shown = (task.get("predictions") or [None])[0]
                body = submission(self.control, label, shown, rng.uniform(1.5, 6.0))
                saved = self._ask(client, "submit", "POST", f"/api/tasks/{task['id']}/annotations/", body)
                if saved is not None:
                    self.saved[int(saved["id"])] = int(task["id"])

    def _ask(
        self, client: httpx.Client, what: str, method: str, path: str, body: Json | None = None
    ) -> Json | None:
        begun = time.time()
        status, said, answer = 0, "", None
        try:
            response = client.request(method, path, json=body)
            status = response.status_code
            if response.is_success:
                answer = response.json()
            else:
                said = response.text[:200]
        except httpx.HTTPError as error:
            said = type(error).__name__
        self.asked.append(Asked(self.name_, what, begun, time.time(), status, said))
        return answer


def hire(stack: Stack, n: int) -> dict[str, str]:
    """New users of Label Studio: name and token."""
    admin = httpx.Client(
        base_url=stack.label_studio_url,
        headers={"Authorization": f"Token {stack.secret('label-studio', 'LABEL_STUDIO_USER_TOKEN')}"},
        timeout=30,
    )
    found: dict[str, str] = {}
    with admin:
        for _ in range(n):
            name = f"annotator-{secrets.token_hex(3)}"
            made = admin.post("/api/users/", json={"email": f"{name}@example.com", "username": name})
            assert made.is_success, made.text[:300]
            user = int(made.json()["id"])
            # Label Studio shows a token only to its owner: give each user one of ours.
            token = secrets.token_hex(20)
            stack.sql(
                f"INSERT INTO authtoken_token (key, created, user_id) VALUES ('{token}', now(), {user}) "
                f"ON CONFLICT (user_id) DO UPDATE SET key = excluded.key",
                database="label_studio",
            )
            stack.sql(
                "UPDATE htx_user SET active_organization_id = (SELECT min(id) FROM organization) "
                f"WHERE id = {user}",
                database="label_studio",
            )
            found[name] = token
    return found
