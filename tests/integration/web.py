"""A web process for the tests: the real application on a real port, spoken to over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from flask import Flask
from werkzeug.serving import make_server

from ale.audit.reserve import RESERVE, place
from ml_backend.app import create_app
from ml_backend.identity import ProjectKey
from ml_backend.settings import Settings
from ml_backend.wiring import Services

CREATED = 1795253527
UID = f"1.{CREATED}"
CREATED_AT = "2026-11-21T09:32:07.123456Z"
CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="label" toName="text" choice="single" required="true"><Choice value="A"/><Choice value="B"/></Choices></View>"""


def task_ids(project: str, n: int, *, reserved: bool = False) -> list[int]:
    """The first ids of tasks that are in the project's audit reserve, or are not."""
    places = place(project, range(8 * n + 80))
    return [int(i) for i in np.flatnonzero((places < RESERVE) == reserved)[:n]]


@dataclass(frozen=True, slots=True)
class Web:
    """A running web process."""

    http: httpx.Client
    services: Services
    app: Flask

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET."""
        return self.http.get(path, **more)

    def post(self, path: str, body: object, **more: Any) -> httpx.Response:
        """POST with a JSON body."""
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        # ASCII, as Label Studio sends it: httpx's own encoding cannot hold a lone surrogate.
        return self.http.post(path, content=json.dumps(body), headers=headers, **more)

    def setup(self, uid: str = UID, config: str = CONFIG, **more: Any) -> httpx.Response:
        """What Label Studio posts when a backend is connected, and before each predict."""
        body = {
            "project": uid,
            "schema": config,
            "hostname": "http://evil.test",
            "access_token": "t0ken-of-a-user",
        }
        return self.post("/setup", body, **more)

    def predict(
        self, texts: list[Any], uid: str = UID, config: str | None = CONFIG, **more: Any
    ) -> list[Any]:
        """Slots for tasks with these texts, none of them in the audit reserve."""
        tasks = [
            {"id": i, "data": {"text": text}}
            for i, text in zip(self.ids(len(texts), uid), texts, strict=True)
        ]
        return self.predict_tasks(tasks, uid, config, **more)

    def ids(self, n: int, uid: str = UID, *, reserved: bool = False) -> list[int]:
        """The first ids of tasks that are in the project's audit reserve, or are not."""
        key = ProjectKey.from_uid(self.services.settings.label_studio_url, uid)
        return task_ids(str(key), n, reserved=reserved)

    def predict_tasks(
        self, tasks: list[Any], uid: str = UID, config: str | None = CONFIG, **more: Any
    ) -> list[Any]:
        """Slots for these tasks."""
        answer = self.post("/predict", {"tasks": tasks, "project": uid, "label_config": config}, **more)
        assert answer.status_code == 200, answer.text
        results: list[Any] = answer.json()["results"]
        assert len(results) == len(tasks)
        return results


@contextmanager
def running(settings: Settings) -> Iterator[Web]:
    """The application in a thread, with the time limits that it has in earnest."""
    app = create_app(settings)
    services: Services = app.extensions["ale"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=30) as client:
            yield Web(client, services, app)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        services.db.dispose()
