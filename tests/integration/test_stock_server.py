"""Our model under Label Studio's own ML server, label-studio-ml 1.0.9, as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ale.text import text_hash
from ml_backend.controls import find_control
from ml_backend.identity import ProjectKey
from ml_backend.ports import free_port
from ml_backend.store import projects, replies
from ml_backend.wiring import Services
from tests.conftest import wait_until
from tests.integration.web import CONFIG, CREATED, CREATED_AT, UID, task_ids

installed = pytest.mark.skipif(
    importlib.util.find_spec("label_studio_ml") is None,
    reason="label-studio-ml is not installed; the Makefile puts it beside the rest with --no-deps",
)

MODEL = Path(__file__).parents[2] / "ml_backend" / "model.py"
KEY = ProjectKey("http://label-studio.test:8080", 1, CREATED)


def environment(services: Services, redis_url: str) -> dict[str, str]:
    """What the server's process gets to know."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(MODEL.parents[1]), os.environ.get("PYTHONPATH", "")]),
        "ALE_HOME": str(services.settings.home),
        "LABEL_STUDIO_URL": "http://label-studio.test:8080",
        "REDIS_URL": redis_url,
    }


def stock_command(*args: str) -> list[str]:
    """`label-studio-ml` of this Python, wherever its script lies."""
    return [
        sys.executable,
        "-c",
        "import sys; from label_studio_ml.server import main; sys.exit(main())",
        *args,
    ]


@pytest.fixture(params=["redis", "without-redis"])
def stock_server(
    request: pytest.FixtureRequest, services: Services, tmp_path: Path
) -> Iterator[tuple[httpx.Client, Services, bool]]:
    """`label-studio-ml init --script model.py` and its server, with a connected project and a stored reply."""
    projects.wish(services.db, KEY)
    projects.change(services.db, KEY, status="connected", label_config=CONFIG)
    question = replies.question_of(find_control(CONFIG).label_space)
    replies.save(services.db, "a-teacher", question, {text_hash("known"): np.array([0.2, 0.8])})
    with_redis = request.param == "redis"
    env = environment(services, services.settings.redis_url if with_redis else "")
    folder = tmp_path / "stock"
    subprocess.run(
        stock_command("init", str(folder), "--script", f"{MODEL}:ALE"), env=env, check=True, cwd=tmp_path
    )
    port = free_port()
    argv = [
        sys.executable,
        str(folder / "_wsgi.py"),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--log-level",
        "INFO",
    ]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(argv, env=env, cwd=folder, stdout=log, stderr=log)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        wait_until(lambda: process.poll() is not None or _answers(client), 30)
        yield client, services, with_redis
    process.terminate()
    process.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@installed
def test_the_wire_contract(stock_server: tuple[httpx.Client, Services, bool], tmp_path: Path) -> None:
    """Health, setup, one slot per task, and a webhook that becomes a mark (or, without Redis, a logged reason)."""
    client, services, with_redis = stock_server
    assert client.get("/health").json()["status"] == "UP"
    setup = {"project": UID, "schema": CONFIG, "hostname": "http://evil.test", "access_token": "t0ken"}
    assert client.post("/setup", json=setup).json() == {"model_version": "INITIAL"}

    def predict(texts: list[Any]) -> list[Any]:
        ids = task_ids(str(KEY), len(texts))
        tasks = [{"id": i, "project": 1, "data": {"text": t}} for i, t in zip(ids, texts, strict=True)]
        body = {"project": UID, "label_config": CONFIG, "tasks": tasks, "params": {"context": None}}
        answer = client.post("/predict", json=body)
        assert answer.status_code == 200, (tmp_path / "server.log").read_text()
        results: list[Any] = answer.json()["results"]
        return results

    known, unknown, empty = predict(["known", "unknown", None])
    assert known["result"][0]["value"] == {"choices": ["B"]}
    assert "model_version" not in known
    assert unknown == empty == []
    assert predict([]) == []

    if with_redis:
        services.marks.forget(str(KEY))
    project = {"id": 1, "created_at": CREATED_AT, "label_config": CONFIG}
    body = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "project": project}
    assert client.post("/webhook", json=body).status_code == 201
    if with_redis:
        wait_until(lambda: str(KEY) in services.marks.pending(), 60)
    else:
        wait_until(lambda: "Redis cannot be reached" in (tmp_path / "server.log").read_text(), 60)
    # A finished job is not a new version: Label Studio would predict everything again.
    assert client.post("/setup", json=setup).json() == {"model_version": "INITIAL"}


@pytest.mark.slow
@installed
def test_another_projects_config_is_not_used(stock_server: tuple[httpx.Client, Services, bool]) -> None:
    """1.0.9 shares one instance: after another project's setup, ours gets abstentions, not its names."""
    client, _, _ = stock_server
    other = CONFIG.replace('"label"', '"theirs"')
    client.post("/setup", json={"project": "2.5", "schema": other})
    body = {"project": UID, "label_config": CONFIG, "tasks": [{"project": 1, "data": {"text": "known"}}]}
    assert client.post("/predict", json=body).json()["results"] == [[]]


STUB_OF_2 = '''
class LabelStudioMLBase:
    """The calls that 2.x makes, as far as they concern a model."""
    cache = {}
    def __init__(self, project_id=None, label_config=None):
        self.project_id = project_id or ""
        self.set("label_config", label_config)
        self.setup()
    def get(self, key):
        return self.cache.get((self.project_id, key))
    def set(self, key, value):
        self.cache[self.project_id, key] = value
    @property
    def label_config(self):
        return self.get("label_config")
'''


def test_the_call_style_of_2x(services: Services, tmp_path: Path) -> None:
    """An instance per request: setup tells the version, predict answers with it, fit(event, data) marks."""
    projects.wish(services.db, KEY)
    projects.change(services.db, KEY, status="connected", label_config=CONFIG)
    question = replies.question_of(find_control(CONFIG).label_space)
    replies.save(services.db, "a-teacher", question, {text_hash("known"): np.array([0.2, 0.8])})
    package = tmp_path / "stub" / "label_studio_ml"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model.py").write_text(STUB_OF_2)
    env = environment(services, services.settings.redis_url)
    env["PYTHONPATH"] = f"{package.parent}{os.pathsep}{env['PYTHONPATH']}"
    code = f"""
from ml_backend.model import ALE
model = ALE(project_id="1", label_config={CONFIG!r})
slots = model.predict([{{"data": {{"text": "known"}}}}, {{"data": {{}}}}], context=None)
assert model.get("model_version") == "ale-0" == slots[0]["model_version"], slots
assert slots[1] == []
assert ALE(project_id="77", label_config={CONFIG!r}).predict([{{"data": {{}}}}]) == [[]]
data = {{"project": {{"id": 1, "created_at": {CREATED_AT!r}}}}}
assert model.fit("ANNOTATION_CREATED", data) == {{}}
assert model.fit((), event="ANNOTATION_CREATED", data=data, job_id="1", workdir="x") == {{}}
assert model.fit() == {{}}
"""
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert str(KEY) in services.marks.pending()


def test_where_it_is_absent_the_import_names_the_remedy(tmp_path: Path) -> None:
    """Without label-studio-ml the application imports; the model says which line to run."""
    (tmp_path / "label_studio_ml.py").write_text("raise ImportError('No module named label_studio_ml')")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}{os.pathsep}{MODEL.parents[1]}"}
    code = "import ml_backend.app\ntry:\n    import ml_backend.model\nexcept Exception as e: print(type(e).__name__, e)"
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("ConfigurationError")
    assert "pip install --no-deps label-studio-ml==1.0.9 label-studio-tools==0.0.4" in done.stdout
