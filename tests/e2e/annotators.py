"""A second person with an account of their own on the Label Studio of the test run."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import Json, choose


@dataclass(frozen=True, slots=True)
class Annotator:
    """Asks for tasks and answers them as the editor does."""

    client: httpx.Client
    user: int

    def next_task(self, project: int) -> Json | None:
        """The task that the stream hands out, as the page gets it; None when there is none left."""
        answer = self.client.get(f"/api/projects/{project}/next/")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        assert answer.is_success, answer.text[:300]
        return dict(answer.json())

    def annotate(self, task_id: int, label: str) -> Json:
        """Submit a label."""
        return self._submit(task_id, {"result": choose(label), "lead_time": 2.0})

    def skip(self, task_id: int) -> Json:
        """Skip a task."""
        return self._submit(task_id, {"result": [], "was_cancelled": True})

    def _submit(self, task_id: int, body: Json) -> Json:
        answer = self.client.post(f"/api/tasks/{task_id}/annotations/", json=body)
        assert answer.is_success, answer.text[:300]
        return dict(answer.json())


@contextmanager
def another_annotator(label_studio: LabelStudioUnderTest) -> Iterator[Annotator]:
    """Signs up by the form behind an invitation, as people do: a server may take nobody without one."""
    with httpx.Client(base_url=label_studio.url, timeout=60, follow_redirects=True) as client:
        invited = client.get("/api/invite", headers={"Authorization": f"Token {label_studio.token}"})
        assert invited.is_success, invited.text[:300]
        address = str(invited.json()["invite_url"])
        page = client.get(address).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None, page[:300]
        form = {
            "csrfmiddlewaretoken": token[1],
            "email": f"{secrets.token_hex(4)}@example.com",
            "password": secrets.token_urlsafe(12),
        }
        made = client.post(address, data=form, headers={"Referer": f"{label_studio.url}{address}"})
        assert made.is_success, made.text[:300]
        me = client.get("/api/current-user/whoami").json()
        client.headers.update({"X-CSRFToken": client.cookies["csrftoken"], "Referer": label_studio.url})
        yield Annotator(client, int(me["id"]))
