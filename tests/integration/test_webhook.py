"""/webhook over HTTP, with a real Redis that may hang, stop, be full or be asked for a password."""

from __future__ import annotations

import base64
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from ml_backend.identity import ProjectKey
from ml_backend.ports import free_port
from ml_backend.redis_server import answers, find_redis_server
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.webhook import ACTIONS
from tests.conftest import make_settings, wait_until
from tests.integration.web import CREATED, CREATED_AT, UID, Web, running

SERVER = "http://label-studio.test:8080"
KEY = ProjectKey(SERVER, 1, CREATED)
HEADER = {"X-ALE-Webhook": KEY.webhook_secret("a-secret-for-tests")}
BODY = {
    "action": "ANNOTATION_CREATED",
    "project": {"id": 1, "created_at": CREATED_AT},
    "annotation": {"id": 5},
}
BASIC = {"Authorization": "Basic " + base64.b64encode(b"ls:pass").decode()}


@pytest.fixture(params=[False, True], ids=["open", "password"])
def web(request: pytest.FixtureRequest, tmp_path: Path, clean_redis: str) -> Iterator[Web]:
    """A web process, without and with a password."""
    password = {"basic_auth_user": "ls", "basic_auth_pass": "pass"} if request.param else {}
    with running(make_settings(tmp_path, clean_redis, **password)) as web:
        yield web


def send(web: Web, body: Any, headers: Mapping[str, str | bytes]) -> httpx.Response:
    """Send a webhook with these headers."""
    return web.post("/webhook", body, headers=headers)


def marks(web: Web) -> list[str]:
    """The marked projects."""
    return list(web.services.marks.pending())


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_known_actions_mark_the_project(web: Web, action: str) -> None:
    """Acknowledged as recorded."""
    answer = send(web, {**BODY, "action": action}, HEADER)
    assert (answer.status_code, answer.json()) == (202, {"status": "marked"})
    assert marks(web) == [str(KEY)]


def test_duplicates_and_replays(web: Web) -> None:
    """The same event many times, or days later, is one mark."""
    for _ in range(20):
        assert send(web, BODY, HEADER).status_code == 202
    assert marks(web) == [str(KEY)]
    assert web.services.marks.counts()["webhook:marked"] == 20


def test_unknown_actions_are_ignored(web: Web) -> None:
    """Future events of Label Studio are no errors."""
    answer = send(web, {**BODY, "action": "LABEL_LINK_CREATED"}, HEADER)
    assert (answer.status_code, answer.json()["status"]) == (202, "ignored")
    assert marks(web) == []


@pytest.mark.parametrize(
    "value",
    ["", "wrong", "é", ProjectKey(SERVER, 2, CREATED).webhook_secret("a-secret-for-tests"), KEY.webhook_secret("other")],
)  # fmt: skip
def test_wrong_headers(web: Web, value: str) -> None:
    """401 and no mark, also for another project's header."""
    answer = send(web, BODY, {"X-ALE-Webhook": value.encode("latin-1")})
    assert answer.status_code == 401
    assert marks(web) == []
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    "project",
    [{"id": 2, "created_at": CREATED_AT}, {"id": 1, "created_at": "2026-11-21T09:32:08Z"}, {"id": 1}, {"id": "1", "created_at": CREATED_AT},
     {"id": 1, "created_at": "yesterday"}, {"id": 2**40, "created_at": CREATED_AT}, {"id": True, "created_at": None}, {}],
)  # fmt: skip
def test_a_header_marks_its_own_project_only(web: Web, project: dict[str, Any]) -> None:
    """What the body says is checked against what the header was given out for."""
    assert send(web, {**BODY, "project": project}, HEADER).status_code == 401
    assert marks(web) == []


def test_the_secretless_webhook_gets_a_quick_refusal(web: Web) -> None:
    """Label Studio's own webhook has no header: 401 at once, whatever its size, and no mark."""
    web.http.get("/health")
    assert (
        send(
            web, {**BODY, "tasks": [{"id": i, "data": {"text": "x" * 100}} for i in range(5000)]}, {}
        ).status_code
        == 401
    )
    assert marks(web) == []
    assert web.services.marks.counts() == {"webhook:refused": 1}


def test_a_body_of_5000_annotations(web: Web) -> None:
    """Believed with the header of a project of ours; refused unread with that of an unknown one."""
    annotations = [
        {"id": i, "result": [{"value": {"choices": ["A"]}}] * 3, "unique_id": "u" * 36} for i in range(5000)
    ]
    body = {**BODY, "action": "ANNOTATIONS_CREATED", "annotation": annotations, "task": annotations}
    assert send(web, body, HEADER).status_code == 401
    assert marks(web) == []
    projects.wish(web.services.db, KEY)
    assert send(web, body, HEADER).status_code == 202
    assert marks(web) == [str(KEY)]


def test_without_payload_the_header_names_the_project(web: Web) -> None:
    """send_payload=false: the body has only an action."""
    body = {"action": "ANNOTATION_CREATED"}
    assert send(web, body, HEADER).status_code == 401
    for project_id in (1, 2):
        key = ProjectKey(SERVER, project_id, CREATED)
        projects.wish(web.services.db, key)
        projects.change(web.services.db, key, status="connected")
    assert send(web, body, HEADER).json() == {"status": "marked"}
    assert marks(web) == [str(KEY)]


def test_start_training(web: Web) -> None:
    """Comes from the backend connection: with Basic when there is a password; on loopback bare without one."""
    body = {"action": "START_TRAINING", "project": {"id": 1, "created_at": CREATED_AT}}
    if web.services.settings.has_password:
        assert send(web, body, {}).status_code == 401
        assert send(web, body, {"Authorization": "Basic bHM6eA=="}).status_code == 401
        assert marks(web) == []
        assert send(web, body, BASIC).json() == {"status": "marked"}
        assert send(web, {"action": "START_TRAINING"}, BASIC).json()["status"] == "ignored"
    else:
        assert send(web, body, {}).json()["status"] == "ignored"
        assert marks(web) == []
        web.setup()
        web.services.marks.forget(str(KEY))
        assert send(web, body, {}).json() == {"status": "marked"}
    assert marks(web) == [str(KEY)]


# -- Redis in trouble --------------------------------------------------------------------------------------


def start_redis(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """A Redis of the test's own, answering."""
    argv: list[str | Path] = [
        find_redis_server(),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        folder,
        "--save",
        "",
        *options,
    ]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    wait_until(lambda: answers(f"redis://127.0.0.1:{port}/0") or bool(options))
    return process


def within_a_second(web: Web, headers: Mapping[str, str | bytes]) -> int:
    """Status of a webhook to a caller that, like Label Studio, gives up after one second."""
    return web.post("/webhook", BODY, headers=headers, timeout=1.0).status_code


def own_settings(tmp_path: Path, port: int) -> Settings:
    """Settings with a Redis on that port."""
    return make_settings(tmp_path, f"redis://127.0.0.1:{port}/0")


def test_redis_stops_and_comes_back(tmp_path: Path) -> None:
    """202 only for what was recorded, else 503 within the second; all routes answer meanwhile."""
    port = free_port()
    first = start_redis(tmp_path, port)
    with running(own_settings(tmp_path, port)) as web:
        assert within_a_second(web, HEADER) == 202
        first.terminate()
        first.wait()
        for _ in range(3):
            assert within_a_second(web, HEADER) == 503
        assert send(web, BODY, HEADER).json() == {"error": "redis_unavailable"}
        assert web.setup().json() == {"model_version": "ale-0"}
        assert web.predict(["x"]) == [[]]
        assert web.get("/status").json()["redis"] == "unreachable"
        assert "ale_redis_up 0.0" in web.get("/metrics").text
        second = start_redis(tmp_path, port)
        assert within_a_second(web, HEADER) == 202
        second.terminate()
        second.wait()


def test_redis_hangs(tmp_path: Path) -> None:
    """A Redis that takes connections and says nothing costs less than Label Studio's second."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=100)
    with silent, running(own_settings(tmp_path, silent.getsockname()[1])) as web:
        assert within_a_second(web, HEADER) == 503
        assert web.predict(["x"]) == [[]]
        assert within_a_second(web, {}) == 401


def test_redis_is_full(tmp_path: Path) -> None:
    """`OOM command not allowed` is told as 503."""
    port = free_port()
    process = start_redis(tmp_path, port)
    with running(own_settings(tmp_path, port)) as web:
        client = redis.Redis(port=port)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        assert within_a_second(web, HEADER) == 503
        client.config_set("maxmemory", "0")
        assert within_a_second(web, HEADER) == 202
        client.close()
    process.terminate()
    process.wait()


def test_redis_wants_a_password(tmp_path: Path) -> None:
    """A wrong password is 503 as well, and is not in the answer."""
    port = free_port()
    process = start_redis(tmp_path, port, "--requirepass", "right")
    with running(make_settings(tmp_path, f"redis://:wr0ng@127.0.0.1:{port}/0")) as web:
        wait_until(lambda: answers(f"redis://:right@127.0.0.1:{port}/0"))
        answer = send(web, BODY, HEADER)
        assert answer.status_code == 503
        assert "wr0ng" not in answer.text
    process.terminate()
    process.wait()


def test_redis_was_flushed(web: Web) -> None:
    """Marks are lost then (reconcile repairs); the next webhook is recorded, scripts and all."""
    assert send(web, BODY, HEADER).status_code == 202
    client = redis.Redis.from_url(web.services.settings.redis_url)
    client.flushall()
    client.script_flush()
    client.close()
    assert send(web, BODY, HEADER).status_code == 202
    assert marks(web) == [str(KEY)]


def test_identity_of_the_requests_project(web: Web) -> None:
    """/setup, /predict and /webhook name the same project."""
    assert ProjectKey.from_uid(SERVER, UID) == KEY
    assert ProjectKey.from_project(SERVER, 1, CREATED_AT) == KEY
