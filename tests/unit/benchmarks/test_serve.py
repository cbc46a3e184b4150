"""The load of `python -m benchmarks serve`, and what it says when it has nothing to compare with."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from benchmarks import serve
from benchmarks.__main__ import main


class Second(http.server.BaseHTTPRequestHandler):
    """Refuses every second request; keeps what it was asked, and by how many connections."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]
    clients: set[object]

    def do_POST(self) -> None:
        """See the class."""
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.clients.add(self.client_address)
        self.send_response(503 if len(self.bodies) % 2 else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_refused_requests_are_no_answers() -> None:
    """They are counted apart; the bodies take turns; an answered request leaves the connection open."""

    class Handler(Second):
        bodies: list[bytes] = []  # noqa: RUF012 - this test's own
        clients: set[object] = set()  # noqa: RUF012

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = serve.ask(server.server_port, "/", [b"a", b"b", b"c"], connections=1, seconds=0.3)
        server.shutdown()
    asked = len(Handler.bodies)
    assert (len(found.answered), found.failed) == (asked // 2, asked - asked // 2)
    assert Handler.bodies[:4] == [b"a", b"b", b"c", b"a"][:asked]
    assert len(Handler.clients) == asked // 2 + 1
    assert found.rate == len(found.answered) / found.seconds


@pytest.mark.parametrize("path", ["/v1/classify", "/invocations"])
def test_both_servers_are_asked_about_the_same_texts(path: str) -> None:
    """Each in its own words, always as many as a request shall have."""
    bodies = serve.bodies_of(serve.Server("it", 1, path), ["x", "y", "z"], 2, "message")
    first, second = (json.loads(body) for body in bodies[:2])
    if path == "/v1/classify":
        assert (first, second) == ({"texts": ["x", "y"]}, {"texts": ["z", "x"]})
    else:
        assert first["dataframe_split"] == {"columns": ["message"], "data": [["x"], ["y"]]}


def test_a_program_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Said before a model is made."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--mlflow", "/no/such/mlflow"])
    assert ended.value.code == 2
    assert "--mlflow /no/such/mlflow: there is no such program" in capsys.readouterr().err
