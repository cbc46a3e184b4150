"""An annotator who never pauses: asks for the next task, submits, and keeps the seconds of each request."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from benchmarks.pool import chosen
from benchmarks.stack import say

NO_ANSWER = 0
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Timed:
    """One request of the annotator: what, when it began and ended (seconds of the wall clock), its status."""

    what: str
    begun: float
    ended: float
    status: int

    @property
    def seconds(self) -> float:
        """How long the annotator waited."""
        return self.ended - self.begun

    @property
    def failed(self) -> bool:
        """Any status but 2xx, and no answer."""
        return not 200 <= self.status < 300

    @property
    def server_failed(self) -> bool:
        """A status of 5xx: Label Studio's own error, not one that the request earned."""
        return 500 <= self.status < 600


def annotate(url: str, token: str, project: int, labels: dict[int, str], seconds: float) -> list[Timed]:
    """Runs in a process of its own: next task, submit, and again; ends early when no task is left."""
    found: list[Timed] = []
    deadline = time.time() + seconds
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:

        def call(what: str, method: str, path: str, body: object = None) -> httpx.Response | None:
            begun = time.time()
            answer, status = None, NO_ANSWER
            try:
                answer = client.request(method, path, json=body)
                status = answer.status_code
            except (httpx.TimeoutException, httpx.ReadError, httpx.RemoteProtocolError):
                pass  # a failure to be counted; a server that cannot be reached at all ends the benchmark
            found.append(Timed(what, begun, time.time(), status))
            return answer

        while time.time() < deadline:
            answer = call("next", "GET", f"/api/projects/{project}/next")
            if answer is None:
                continue
            if answer.status_code == httpx.codes.NOT_FOUND:
                found.pop()
                say(
                    f"no task is left, {deadline - time.time():.0f} s before the end: ask for more with --tasks"
                )
                break
            if answer.status_code != httpx.codes.OK:
                continue
            task = answer.json()
            held = task.get("predictions") or [{}]
            body = {
                "result": chosen(labels[task["id"]]),
                "lead_time": 2.0,
                "parent_prediction": held[0].get("id"),
            }
            call("submit", "POST", f"/api/tasks/{task['id']}/annotations/", body)
    return found
