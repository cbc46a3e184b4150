"""MLflow is away, says no, or is not installed: counted, told, tried again, and in nobody's way."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from ale.errors import MissingExtra
from ml_backend.doctor.mirror import mlflow
from ml_backend.metrics import render
from ml_backend.ports import free_port
from ml_backend.queues import EVERY_PROJECT, MIRROR, enqueue_chain, queue
from ml_backend.screens import show_status
from ml_backend.settings import Settings
from ml_backend.status import overview
from ml_backend.timer import Timer
from ml_backend.wiring import Services
from tests.integration.mirroring import Published, environment, mirrored

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

On = Callable[[str], Published]


@pytest.fixture
def on(
    settings: Settings, services: Services, clean_redis: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[On]:
    """Makes a connected project that is mirrored to that address."""
    with ExitStack() as stack:

        def made(uri: str) -> Published:
            world: AbstractContextManager[Published] = mirrored(
                settings, services, clean_redis, uri, monkeypatch
            )
            return stack.enter_context(world)

        yield made


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Servers that give the same answer to everything; their addresses."""
    servers = []

    def start(status: int, body: str) -> str:
        class Same(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = _answer  # noqa: N815 - as http.server wants it

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Same)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def counted(world: Published) -> dict[str, int]:
    """What happened to the mirror."""
    return {name: n for name, n in world.services.marks.counts().items() if name.startswith("mirror:")}


def screen(world: Published) -> str:
    """What `ale status` shows."""
    out = io.StringIO()
    show_status(Console(file=out, width=250), overview(world.services))
    return out.getvalue()


def test_nobody_listens(on: On) -> None:
    """Counted, shown in status and metrics, without the password; and the chain pauses, so that the next
    version in force does not try again at once.
    """
    port = free_port()
    world = on(f"http://ann:hush-hush@127.0.0.1:{port}")
    world.publish(1)
    world.work()
    assert counted(world) == {"mirror:failed:TrackingUnreachable": 1}
    shown = screen(world)
    assert f"MLflow: http://127.0.0.1:{port}, versions that wait for it: 1; MLflow at" in shown
    assert "hush-hush" not in shown
    page = render(world.services).decode()
    assert "ale_mirror_waiting 1.0" in page
    assert 'ale_events_total{outcome="failed:TrackingUnreachable",part="mirror"} 1.0' in page
    world.publish(2)
    world.work()
    assert counted(world) == {"mirror:failed:TrackingUnreachable": 1}
    assert 0 < int(str(world.redis.pttl(f"{MIRROR}:alive:{EVERY_PROJECT}"))) <= 60_000


def test_one_that_hangs_is_left_after_the_time_out(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and never answers: one request, no second try."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        world = on(f"http://127.0.0.1:{hanging.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        world.publish(1)
        world.work()
        assert counted(world) == {"mirror:failed:TrackingUnreachable": 1}
        hanging.settimeout(0)
        hanging.accept()[0].close()
        with pytest.raises(BlockingIOError):
            hanging.accept()


@pytest.mark.parametrize(
    ("status", "body", "count", "fix"),
    [
        (503, "busy", "TrackingUnreachable", "start MLflow"),
        (200, "<html>a router's own page</html>", "TrackingUnreachable", "where it listens"),
        (401, "You are not authenticated", "TrackingRefused", "MLFLOW_TRACKING_USERNAME"),
        (
            403,
            "Invalid Host header - possible DNS rebinding attack detected",
            "TrackingRefused",
            "--allowed-hosts",
        ),
    ],
)
def test_answers_that_are_no_use(
    on: On, answering: Callable[[int, str], str], status: int, body: str, count: str, fix: str
) -> None:
    """Each leaves one countable reason, and the doctor says which line to change."""
    world = on(answering(status, body))
    world.publish(1)
    world.work()
    assert counted(world) == {f"mirror:failed:{count}": 1}
    (finding,) = mlflow(world.settings)
    assert not finding.ok
    assert fix in finding.fix


def test_when_it_is_back_all_that_was_missed_is_told(on: On, tmp_path: Path) -> None:
    """The timer's look queues the mirror, also after Redis was emptied; nothing of it raised or waited."""
    (tmp_path / "away").touch()  # a file where MLflow's folder should be
    world = on(f"sqlite:///{tmp_path}/away/mlflow.db")
    world.publish(1)
    world.publish(2)
    world.work()
    assert counted(world) == {"mirror:failed:TrackingUnreachable": 1}
    (finding,) = mlflow(world.settings)
    assert not finding.ok
    (tmp_path / "away").unlink()
    (tmp_path / "away").mkdir()
    world.redis.flushall()
    Timer(world.settings, world.services.db, world.redis).reconcile()
    assert len(queue(MIRROR, world.redis).job_ids) == 1
    world.work()
    assert [run.info.run_name for run in world.told()] == ["ale-1-0001", "ale-2-0002"]
    assert "versions that wait for it: 0\n" in screen(world)
    (finding,) = mlflow(world.settings)
    assert finding.ok


def test_a_project_that_is_refused_holds_up_no_other(on: On, tmp_path: Path) -> None:
    """Its experiment was deleted in MLflow, which then neither shows it nor gives its name again."""
    (tmp_path / "mlflow").mkdir()
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    first, second = on(uri), on(uri)
    first.mlflow.delete_experiment(first.mlflow.create_experiment(f"ale/Mails / of: today ({first.key})"))
    first.publish(1)
    second.publish(1)
    first.work()
    assert counted(first) == {"mirror:failed:TrackingRefused": 1, "mirror:told": 1}
    assert (len(first.told()), len(second.told())) == (0, 1)
    assert "versions that wait for it: 1" in screen(first)


def test_without_the_variable_nothing_is_queued(settings: Settings, services: Services, on: On) -> None:
    """No hop, no line, no job."""
    world = on("")
    world.publish(1)
    Timer(world.settings, world.services.db, world.redis).reconcile()
    assert queue(MIRROR, world.redis).job_ids == []
    assert list(mlflow(world.settings)) == []
    assert "MLflow" not in screen(world)
    assert overview(world.services)["mirror"] is None
    assert enqueue_chain(world.redis, MIRROR, EVERY_PROJECT)


def python(code: str, settings: Settings, **more: str) -> subprocess.CompletedProcess[str]:
    """That code in a process that knows of no test."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTEST_CURRENT_TEST", "CI"}}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"PYTHONPATH": ":".join(sys.path)} | environment(settings) | more,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_without_the_extra_does_not_start(on: On) -> None:
    """One line that names the command."""
    world = on("http://127.0.0.1:5000")
    code = "import sys; sys.modules['mlflow'] = None; from ml_backend.cli import app; app(['worker'])"
    ended = python(code, world.settings, LABEL_STUDIO_API_KEY="x")
    assert ended.returncode == 2
    assert ended.stderr.strip() == f"ale: {MissingExtra('MLFLOW_TRACKING_URI', 'mlflow')}"
    assert "pip install 'ale-label-studio[mlflow]'" in ended.stderr


def test_mlflow_tells_its_makers_nothing(on: On) -> None:
    """Without our word it would; the worker says it before the import, and no thread is started."""
    world = on("http://127.0.0.1:5000")
    code = (
        "import threading\n{}\nimport mlflow.tracking\nfrom mlflow.telemetry import get_telemetry_client\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "print(is_telemetry_disabled(), get_telemetry_client(), threading.active_count())"
    )
    ours = "from ml_backend.settings import load_settings\nfrom ml_backend.tracking.opening import prepare\nprepare(load_settings())"
    assert python(code.format(ours), world.settings).stdout.strip() == "True None 1"
