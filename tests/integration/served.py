"""A model folder made once with the real encoder, and `ale serve-model` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from ml_backend.demo import sample
from ml_backend.ports import free_port
from tests.conftest import wait_until

TOKEN = "a-token-for-tests"


def write_data(path: Path, n: int = 150) -> Path:
    """Labelled messages as CSV."""
    import csv

    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((m.text, m.label) for m in sample.pool()[:n])])
    return path


def fit(folder: Path, data: Path, name: str = "model") -> Path:
    """`ale fit` as a process of its own."""
    command = ["fit", str(data), "--out", str(folder / name), "--cache", str(folder / "cache"), "--json"]
    subprocess.run([sys.executable, "-m", "ml_backend.cli", *command], check=True, stdout=subprocess.DEVNULL)
    return folder / name


class Server:
    """A served model and its client."""

    def __init__(self, url: str, client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self.client, self.process, self._log = url, client, process, log

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """A request with the token."""
        return self.client.request(
            method, self.url + path, headers={"Authorization": f"Bearer {TOKEN}"}, **how
        )

    def classify(self, *texts: str | None, **more: Any) -> dict[str, Any]:
        """The answer to texts."""
        answer = self.ask("POST", "/v1/classify", json={"texts": texts, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text()


@contextmanager
def serving(model: Path, home: Path, *options: str) -> Iterator[Server]:
    """`ale serve-model` on a free port, until the block ends."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    env = os.environ | {"ALE_SERVE_TOKEN": TOKEN, "ALE_HOME": str(home), "DATABASE_URL": ""}
    line = [sys.executable, "-m", "ml_backend.cli", "serve-model", str(model), "--port", str(port), *options]
    log = home / "serve.log"
    with log.open("ab") as file, httpx.Client(timeout=60) as client:
        process = subprocess.Popen(line, env=env, stdout=file, stderr=file)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return client.get(url + "/health").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_until(answers, 90)
            yield Server(url, client, process, log)
        finally:
            process.terminate()
            process.wait(30)
