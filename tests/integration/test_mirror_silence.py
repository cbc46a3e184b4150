"""No task's text and no password ever goes to MLflow."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from ml_backend.settings import Settings
from ml_backend.wiring import Services
from tests.integration.mirroring import SECRET_TEXTS, mirrored


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_nothing_that_mlflow_keeps_holds_a_text(
    settings: Settings,
    services: Services,
    clean_redis: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Searched: every byte of its database and of its files, snapshots unpacked."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    with mirrored(settings, services, clean_redis, f"sqlite:///{folder}/mlflow.db", monkeypatch) as world:
        for number in (1, 2, 3):
            world.publish(number)
        world.work()
    kept = [file for file in folder.rglob("*") if file.is_file()]
    assert len(kept) >= 1 + 3 * 2
    assert_silent([file.read_bytes() for file in kept])


def test_nothing_that_is_sent_holds_a_text(
    settings: Settings,
    services: Services,
    clean_redis: str,
    mlflow_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Searched: every request through a recording proxy before a real server, headers and bodies; and no
    password is in an address.
    """
    with recording(mlflow_server) as (proxy, requests):
        uri = proxy.replace("://", "://ann:hush-hush@")
        with mirrored(settings, services, clean_redis, uri, monkeypatch) as world:
            for number in (1, 2, 3):
                world.publish(number)
            world.work()
            assert len(world.told()) == 3
    assert len(requests) > 30
    assert_silent(requests)
    assert not [request for request in requests if b"hush-hush" in request]
    assert all(b"authorization: basic" in request.lower() for request in requests if b"/api/" in request)


def assert_silent(found: list[bytes]) -> None:
    """No text of a task stands in any of these, nor in what they pack."""
    packed = [
        gzip.decompress(part[part.index(b"\x1f\x8b\x08") :]) for part in found if b"\x1f\x8b\x08" in part
    ]
    for text in SECRET_TEXTS:
        assert not [part for part in found + packed if text.encode() in part]


class recording:  # noqa: N801 - used like a function
    """A proxy before `behind` that keeps every request as bytes; gives its address and the requests."""

    def __init__(self, behind: str) -> None:
        requests: list[bytes] = []

        class Proxy(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                requests.append(f"{self.command} {self.path}\n{self.headers}".encode() + body)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
                answer = httpx.request(
                    self.command, f"{behind}{self.path}", content=body, headers=headers, timeout=30
                )
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - as http.server wants it

            def log_message(self, *_: object) -> None:
                pass

        self._requests = requests
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> tuple[str, list[bytes]]:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}", self._requests

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
