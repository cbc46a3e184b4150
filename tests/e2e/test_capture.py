"""A served model learns from production: served, objected to, captured, annotated, taught again, served anew."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ml_backend.store.database import Database
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import choose, config
from tests.e2e.messages import LABELS, LOGIN, Message, messages
from tests.integration.served import fit, serving

pytest.importorskip("numba", reason="pip install 'ale-label-studio[index]'")
pytest.importorskip("datasketch", reason="pip install 'ale-label-studio[import]'")
pytestmark = pytest.mark.e2e


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A file for `ale fit`."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


class Shell:
    """`ale capture` as an operator runs it, on the database of the served model."""

    def __init__(self, label_studio: LabelStudioUnderTest, home: Path, project: int) -> None:
        self._project = project
        self._env = os.environ | {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": label_studio.token,
            "ALE_HOME": str(home),
            "DATABASE_URL": "",
        }

    def capture(self, *args: object) -> dict[str, Any]:
        """Its account; it must end well."""
        line = [sys.executable, "-m", "ml_backend.cli", "capture", self._project, "--json", *args]
        done = subprocess.run(
            [*map(str, line)], env=self._env, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told


def test_what_people_object_to_is_labelled_and_learnt(
    label_studio: LabelStudioUnderTest, tmp_path: Path
) -> None:
    """The objection becomes a task once, with its reason; the pool's texts do not; the next model knows better."""
    client = label_studio.client
    project = int(client.create_project(title="capture", label_config=config())["id"])
    known = messages(60)
    client.import_tasks(project, [{"text": m.text} for m in known[:30]])
    taught = [(m.text, m.label) for m in known]
    strange = Message("Zorblax module: no entry, fingerprint reader says nay.", LOGIN)
    first = fit(tmp_path, write(tmp_path / "first.csv", taught), "first")
    with serving(first, tmp_path, "--capture", "1", "--keep-texts", "--name", "shop") as server:
        answer = server.classify(known[0].text, strange.text, known[40].text)
        said = {
            "request_id": answer["request_id"],
            "item": 1,
            "thumbs": "down",
            "label": LOGIN,
            "comment": "door",
        }
        assert server.ask("POST", "/v1/feedback", json=said).status_code == 201
        wrong = server.ask("POST", "/v1/feedback", json={**said, "label": "unheard of"})
        assert (wrong.status_code, "Delivery, Login, Praise" in wrong.json()["detail"]) == (400, True)
        assert strange.text not in server.log

    shell = Shell(label_studio, tmp_path, project)
    told = shell.capture("--service", "shop", "--below", 0)
    assert (told["looked_at"], told["in_project"]) == (3, 1)
    assert told["why"]["negative feedback"] == 1
    tasks = {t["data"]["text"]: t for t in client.task_data(project) if "ale_capture_reason" in t["data"]}
    data = tasks[strange.text]["data"]
    assert data["ale_capture_reason"] == "negative feedback"
    assert (data["ale_user_label"], data["ale_user_comment"]) == (LOGIN, "door")
    assert data["ale_served_label"] == answer["results"][1]["label"]
    assert known[0].text not in tasks

    traces = tmp_path / "traces.jsonl"
    lines = [{"input": "where does my other parcel stay?", "output": LABELS[2], "feedback": {"score": 0}}]
    traces.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *lines]))
    traced = shell.capture("--traces", traces, "--below", 0, "--no-novel")
    assert traced["traces"] == {"new": 1, "known": 1, "bad": 0}
    assert traced["why"] == {"negative feedback": 1}, "nothing that was served comes again"
    assert len([*client.task_data(project)]) == 30 + told["tasks"] + 1

    client.annotate(int(tasks[strange.text]["id"]), result=choose(LOGIN))
    labels = [
        (task["data"]["text"], task["annotations"][0]["result"][0]["value"]["choices"][0])
        for task in client.tasks(project, full_annotations=True)
        if task["annotations"]
    ]
    assert labels == [(strange.text, LOGIN)]
    # A person's label weighs as one of sixty: as often as it takes to be heard.
    second = fit(tmp_path, write(tmp_path / "second.csv", [*taught, *labels * 5]), "second")
    with serving(second, tmp_path, "--capture", "1", "--keep-texts", "--name", "shop") as server:
        anew = server.classify(strange.text)
    assert anew["model_version"] != answer["model_version"]
    assert anew["results"][0]["label"] == LOGIN
    db = Database(f"sqlite:///{tmp_path / 'ale.db'}")
    with db.session() as session:
        versions = session.connection().exec_driver_sql(
            "SELECT DISTINCT model_version FROM served WHERE service = 'shop'"
        )
        assert {version for (version,) in versions} == {answer["model_version"], anew["model_version"]}
    db.dispose()
