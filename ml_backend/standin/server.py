"""The stand-in's HTTP server: a thread per connection, on loopback only."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from ml_backend.standin.behaviours import FINE, Behaviour
from ml_backend.standin.calls import CallLog
from ml_backend.standin.chat import ChatEndpoint, Outcome
from ml_backend.standin.errors import ApiError, no_key
from ml_backend.standin.models import DEFAULT_MODELS, Models
from ml_backend.standin.policies import Policy
from ml_backend.standin.profiles import FULL, Profile
from ml_backend.standin.routes import Routes
from ml_backend.standin.script import PathFaults, Script
from ml_backend.standin.wire import Request, Response, client_left, reset

MAX_BODY = 256 * 1024 * 1024
REQUESTS_PER_MINUTE = 30_000
"""The limit that the answers' headers name; it is not enforced, a script's 429s are."""

_AZURE_DEPLOYMENT = re.compile(r"/openai/deployments/(?P<deployment>[^/]+)(?P<path>/.*)")


class StandIn(AbstractContextManager["StandIn"]):
    """A language model's endpoint that is none: it speaks OpenAI's and Azure OpenAI's HTTP, and its answers
    come from a policy. Listens from the moment it is made until it is closed.

    A job (fine-tuning, batch) goes one stage on each time that it is looked at, or every `stage_s` seconds.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        profile: Profile = FULL,
        script: Script | None = None,
        latency_s: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        models: Iterable[str] = DEFAULT_MODELS,
        stage_s: float = 0.0,
        faults: PathFaults | None = None,
    ) -> None:
        self.calls = CallLog()
        self.models = Models(models)
        self.latency_s = latency_s
        self.faults = faults or PathFaults()
        self.chat = ChatEndpoint(policy, profile, script or Script(), self.calls, self.models)
        self.routes = Routes(self.chat, self.calls, self.models, stage_s)
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stand-in")
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        """For OpenAI's client (`OPENAI_BASE_URL`)."""
        return f"{self.azure_endpoint}/v1"

    @property
    def azure_endpoint(self) -> str:
        """For Azure OpenAI's client (`AZURE_OPENAI_ENDPOINT`)."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Return when the server has been closed."""
        self._thread.join()

    def close(self) -> None:
        """Stop listening, cut all connections, and wait for their threads. Idempotent."""
        self._server.shutdown()
        self._server.cut_connections()
        self._server.server_close()
        self._thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = False  # so that closing waits for them, and no thread outlives a test

    def __init__(self, address: tuple[str, int], standin: StandIn) -> None:
        self.standin = standin
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Ends all connections; whoever waits on one wakes up."""
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the client's affair; anything else is a fault of ours and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Any method: the routes tell them apart."""
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: requests hold task texts."""

    def _serve(self) -> None:
        started = time.monotonic()
        try:
            request = self._request()
            if request.method == "POST" and request.path == "/chat/completions":
                self._chat(request, started)
            else:
                self._other(request)
        except ApiError as error:
            azure = self.path.startswith("/openai")
            self._send(Response(error.body(azure=azure), error.status, error.headers))

    def _other(self, request: Request) -> None:
        """Answer what is no chat request; the fault of its path comes before or after the work."""
        standin = self.server.standin
        fault = standin.faults.choose(request.method, request.path) or FINE
        if fault.refuse is not None:
            raise fault.refuse
        response = standin.routes.answer(request)
        if not client_left(self.connection, fault.wait_s):
            self._send(response, fault)

    def _chat(self, request: Request, started: float) -> None:
        """Answer a chat request as late and as badly as its behaviour wants; noted before it is sent."""
        standin = self.server.standin
        body = request.json()
        if request.deployment:
            body["model"] = request.deployment
        outcome = standin.chat.answer(body, azure=request.azure)
        behaviour = outcome.behaviour
        wait = started + standin.latency_s + behaviour.wait_s - time.monotonic()
        left = client_left(self.connection, max(0.0, wait))
        standin.calls.end(
            outcome.number,
            status=0 if behaviour.wire == "closed" else outcome.status,
            behaviour=behaviour.name,
            usage=outcome.usage,
            delivered=not left and behaviour.wire == "whole",
        )
        response = Response(outcome.body, outcome.status, {**_limits(outcome), **outcome.headers})
        if left or not self._send(response, behaviour):
            standin.calls.undelivered(outcome.number)
            self.close_connection = True

    def _send(self, response: Response, behaviour: Behaviour = FINE) -> bool:
        """Whether the answer was written, whole or as spoilt as the behaviour wants it."""
        head, content = response.encoded(html=behaviour.wire == "html")
        if behaviour.wire == "reset":
            content = content[: len(content) // 2]
        try:
            if behaviour.wire != "closed":
                self.wfile.write(head + content)
        except OSError:
            self.close_connection = True
            return False
        if behaviour.wire in {"reset", "closed"}:
            self.close_connection = True
        if behaviour.wire == "reset":
            reset(self.connection)
        return True

    def _request(self) -> Request:
        """Raises ApiError for what never reaches a model: no key, no length, no API version."""
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY or "chunked" in self.headers.get("transfer-encoding", ""):
            self.close_connection = True
            raise ApiError(413, "The body is too large, or of unknown length.")
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        path, azure, deployment = _place(parts.path, query)
        keyed = bool(self.headers.get("api-key")) or self.headers.get("authorization", "").startswith(
            "Bearer "
        )
        if not keyed and path != "/stand-in":
            raise no_key()
        kind = self.headers.get("content-type", "")
        return Request(self.command, path, query, kind, body, azure, deployment)


def _place(path: str, query: Mapping[str, str]) -> tuple[str, bool, str]:
    """(path without prefix, whether Azure's, deployment)."""
    for prefix, azure in (("/openai/v1/", True), ("/v1/", False)):
        if path.startswith(prefix):
            return "/" + path.removeprefix(prefix), azure, ""
    if path.startswith("/openai/"):
        if not query.get("api-version"):
            raise ApiError(404, "Resource not found", code="404")
        match = _AZURE_DEPLOYMENT.fullmatch(path)
        if match is not None:
            return match["path"], True, match["deployment"]
        return "/" + path.removeprefix("/openai/"), True, ""
    return path, False, ""


def _limits(outcome: Outcome) -> dict[str, str]:
    left = 0 if outcome.status == 429 else max(0, REQUESTS_PER_MINUTE - outcome.number % REQUESTS_PER_MINUTE)
    return {
        "x-request-id": f"req_stand_in_{outcome.number}",
        "x-ratelimit-limit-requests": str(REQUESTS_PER_MINUTE),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": "60s",
    }
