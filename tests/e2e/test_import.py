"""`ale import` into the real Label Studio: cleaned, split, killed in the middle, begun again."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ale.errors import PublishError
from ml_backend.label_studio import LabelStudioClient
from ml_backend.task_import import KEY, Import, NewTask
from tests.conftest import wait_until
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import config
from tests.e2e.messages import LABELS, Message, messages
from tests.unit.ml_backend.test_docs import ROOT, ale_lines

pytestmark = pytest.mark.e2e


@pytest.fixture
def project(label_studio: LabelStudioUnderTest) -> int:
    """A project without tasks."""
    return int(label_studio.client.create_project(title="import", label_config=config())["id"])


class Shell:
    """`ale import` as an operator runs it."""

    def __init__(self, label_studio: LabelStudioUnderTest, home: Path) -> None:
        self.folder = home
        self.env = os.environ | {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": label_studio.token,
            "ALE_HOME": str(home / "ale"),
        }

    def start(self, *args: object) -> subprocess.Popen[str]:
        """A process of its own."""
        line = [sys.executable, "-m", "ml_backend.cli", "import", *map(str, args)]
        return subprocess.Popen(
            line, env=self.env, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *args: object) -> dict[str, Any]:
        """Its account; it must end well."""
        process = self.start(*args, "--json")
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        told: dict[str, Any] = json.loads(out)
        return told

    def refused(self, *args: object) -> str:
        """Its message; it must end badly."""
        process = self.start(*args)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2, errors
        return errors


@pytest.fixture
def shell(label_studio: LabelStudioUnderTest, tmp_path: Path) -> Shell:
    """With a home of its own."""
    return Shell(label_studio, tmp_path)


def write(path: Path, pool: list[Message]) -> list[Message]:
    """A CSV file of texts and topics, with a number beside."""
    with path.open("w", newline="") as file:
        rows = [(m.text, m.label, number) for number, m in enumerate(pool)]
        csv.writer(file).writerows([("message", "topic", "number"), *rows])
    return pool


def there(client: LabelStudioClient, project: int) -> list[dict[str, Any]]:
    """The data of all tasks."""
    return [task["data"] for task in client.task_data(project)]


def test_a_killed_import_goes_on_and_nothing_comes_twice(
    label_studio: LabelStudioUnderTest, project: int, shell: Shell
) -> None:
    """SIGKILL in the middle; then every kept row is one task, the held-out ones are none."""
    pool = write(shell.folder / "in.csv", messages(420))
    command = (
        "in.csv", project, "--text-column", "message", "--label-column", "topic", "--hold-out", 0.25,
        "--near", 0, "--chunk", 9,
    )  # fmt: skip
    process = shell.start(*command)
    wait_until(lambda: _chunks(shell) >= 5, 60)
    process.kill()
    process.communicate()
    assert 0 < len(there(label_studio.client, project)) < 315
    told = shell.run(*command)
    data = there(label_studio.client, project)
    assert (told["kept"], told["held_out"], told["rows"]) == (315, 105, 420)
    assert told["made"] + told["there_before"] == 315
    assert told["there_before"] > 0
    held = [
        json.loads(line)
        for line in (shell.folder / f"import-{project}" / "held-out.jsonl").read_text().splitlines()
    ]
    assert Counter(row["topic"] for row in held) == dict.fromkeys(LABELS, 35)
    assert sorted([d["text"] for d in data] + [row["message"] for row in held]) == sorted(
        m.text for m in pool
    )
    assert {d[KEY] for d in data} <= {f"{told['snapshot']}/{number}" for number in range(1, 421)}
    assert all("topic" not in d and d["number"].isdigit() for d in data), "a label would tell the annotator"
    again = shell.run(*command)
    assert (again["made"], again["there_before"]) == (0, 315)
    assert again["snapshot"] == told["snapshot"]


def _chunks(shell: Shell) -> int:
    return sum(path.read_text().count('"stored"') for path in (shell.folder / "ale/imports").glob("*.jsonl"))


def test_labels_become_annotations_and_texts_of_the_project_stay_away(
    label_studio: LabelStudioUnderTest, project: int, shell: Shell
) -> None:
    """What the project has, or nearly has, is not imported; an unknown label stops all of it."""
    pytest.importorskip("datasketch", reason="pip install 'ale-label-studio[import]'")
    pool = write(shell.folder / "in.csv", messages(12))
    label_studio.client.import_tasks(project, [{"text": pool[0].text}, {"text": f"{pool[1].text}!!"}])
    told = shell.run(
        "in.csv",
        project,
        "--text-column",
        "message",
        "--label-column",
        "topic",
        "--with-labels",
        "--near",
        0.95,
    )
    assert (told["made"], told["in_project"]) == (10, 2)
    imported = [
        task for task in label_studio.client.tasks(project, full_annotations=True) if KEY in task["data"]
    ]
    truth = {m.text: m.label for m in pool}
    chosen = {t["data"]["text"]: t["annotations"][0]["result"][0]["value"]["choices"] for t in imported}
    assert chosen == {m.text: [truth[m.text]] for m in pool[2:]}
    write(shell.folder / "other.csv", [Message("something new", "Unheard of")])
    said = shell.refused(
        "other.csv", project, "--text-column", "message", "--label-column", "topic", "--with-labels"
    )
    assert "no label 'Unheard of'; its labels: 'Delivery', 'Login', 'Praise'" in said


def test_a_dry_run_sends_nothing(label_studio: LabelStudioUnderTest, project: int, shell: Shell) -> None:
    """It reports what would be imported."""
    write(shell.folder / "in.csv", messages(6))
    told = shell.run("in.csv", project, "--text-column", "message", "--near", 0, "--dry-run")
    assert told["kept"] == 6
    assert "made" not in told
    assert there(label_studio.client, project) == []


def test_a_chunk_that_label_studio_is_still_storing_is_waited_for(
    label_studio: LabelStudioUnderTest, project: int, tmp_path: Path
) -> None:
    """Its sender was killed after the request was out: it arrives later, and is not sent again."""
    tasks = [NewTask(f"s/{n}", {"text": m.text}) for n, m in enumerate(messages(20))]
    journal = tmp_path / "journal"
    sent = {"sent": [task.name for task in tasks[:10]], "until": time.time() + 60}
    journal.write_text(json.dumps(sent) + '\n{"cut o')
    job = Import(label_studio.client, project, "s/", journal)
    late = threading.Event()

    def arrives() -> None:
        late.wait()
        label_studio.client.import_tasks(project, [task.body() for task in tasks[:10]])

    thread = threading.Thread(target=arrives)
    thread.start()
    pool = job.read_pool(lambda _left: late.set())
    thread.join()
    assert len(pool.named) == 10
    job.send(tasks, pool, lambda _n: None)
    assert sorted(d[KEY] for d in there(label_studio.client, project)) == sorted(task.name for task in tasks)


def test_a_chunk_that_never_arrived_is_sent_again(
    label_studio: LabelStudioUnderTest, project: int, tmp_path: Path
) -> None:
    """Once nobody can be at work on it."""
    journal = tmp_path / "journal"
    journal.write_text(json.dumps({"sent": ["s/0"], "until": time.time() - 1}))
    job = Import(label_studio.client, project, "s/", journal)
    job.send([NewTask("s/0", {"text": "once"})], job.read_pool(), lambda _n: None)
    assert [d["text"] for d in there(label_studio.client, project)] == ["once"]


def test_tasks_that_came_twice_are_told(
    label_studio: LabelStudioUnderTest, project: int, tmp_path: Path
) -> None:
    """Somebody else imports the same file at the same time, from another machine."""
    job = Import(label_studio.client, project, "s/", tmp_path / "journal")
    task = NewTask("s/0", {"text": "once"})
    pool = job.read_pool()
    (other,) = label_studio.client.import_tasks(project, [task.body()])
    with pytest.raises(PublishError, match=r"1 tasks of this import twice \((\d+)\)") as found:
        job.send([task], pool, lambda _n: None)
    assert str(other) not in str(found.value).partition("(")[2].partition(")")[0]


def test_the_commands_of_the_page_do_what_it_says(
    label_studio: LabelStudioUnderTest, project: int, shell: Shell
) -> None:
    """Each as it stands in docs/import.md, but for the project's number."""
    pytest.importorskip("datasketch", reason="pip install 'ale-label-studio[import]'")
    pool = messages(30)
    with (shell.folder / "messages.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "topic"), *((m.text, m.label) for m in pool)])
    (shell.folder / "messages.jsonl").write_text("".join(json.dumps({"body": m.text}) + "\n" for m in pool))
    lines = [line.split()[2:] for line in ale_lines(ROOT / "docs/import.md") if " 1" in line]
    assert len(lines) == 3
    for source, number, *options in lines:
        assert number == "1"
        told = shell.run(source, project, *[option for option in options if option != "--json"])
        assert told["kept"] + told["held_out"] + sum(told["left_out"].values()) == 30
    assert told["left_out"] == {}
    assert "made" not in told
    assert {d["text"] for d in there(label_studio.client, project)} <= {m.text for m in pool}
