"""The compose stack from the first command to the last, in this order; each test goes on where the one before stopped.

The annotator is simulated: it answers as the authors of the sample's messages meant, one in ten wrong on purpose.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Self

import httpx
import pytest

from ale.audit.reserve import RESERVE
from ml_backend.controls import find_control
from ml_backend.demo import sample
from ml_backend.demo.annotator import Annotator, Answer, AutoPlan
from ml_backend.tabs import REVIEW_TITLE
from tests.compose.stack import Stack, wait_until

SERVICES = ("backend", "worker", "label-studio", "postgres", "redis")


@dataclass(slots=True)
class Story:
    """What the tests hand on."""

    project_id: int = 0
    answers: list[Answer] = field(default_factory=list)


@pytest.fixture(scope="module")
def story() -> Story:
    """Of the whole file."""
    return Story()


def annotate(stack: Stack, story: Story, labels: int, seed: int) -> list[Answer]:
    """So many answers of the simulated annotator."""
    client = stack.client()
    control = find_control(client.project(story.project_id)["label_config"])
    meant = {message.text: message.label for message in sample.pool()}
    given = list(Annotator(client, story.project_id, control, meant, AutoPlan(labels, seed)).answers())
    assert len(given) == labels
    story.answers += given
    return given


def test_the_sample_project_is_there_and_pre_annotated(stack: Stack, story: Story) -> None:
    """`ale demo-project` is all that the README asks for; it says where to go and how to get in."""
    said = stack.ale("demo-project")
    found = re.search(r"Open +(\S+)/projects/(\d+)/data", said)
    assert found, said
    story.project_id = int(found[2])
    assert "admin@example.com" in said
    assert "docker compose exec label-studio cat /run/secrets/ale/LABEL_STUDIO_PASSWORD" in said
    client = stack.client()
    theirs = client.project(story.project_id)
    rows = [p for p in client.predictions(story.project_id) if p["model_version"] == theirs["model_version"]]
    assert len({row["task"] for row in rows}) == len(rows) == len(sample.pool())
    assert all(0 <= row["score"] <= 1 for row in rows), "Postgres would serve NULL scores last"
    silent = sum(not row["result"] for row in rows) / len(rows)
    assert abs(silent - RESERVE) < 0.1, "the audit reserve, and nothing else"


def test_the_doctor_finds_nothing(stack: Stack) -> None:
    """All hops, from inside the container."""
    findings = stack.all_well()
    assert {"database", "redis", "worker", "web process", "Label Studio", "token"} <= {
        f["hop"] for f in findings
    }
    (database,) = [f["seen"] for f in findings if f["hop"] == "database"]
    assert database.startswith("postgresql")
    assert stack.secret("backend", "ALE_POSTGRES_PASSWORD") not in database


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_not_root_and_cannot_change_itself(stack: Stack, service: str) -> None:
    """No user 0, no capability, a root file system that refuses to be written."""
    assert stack.compose("exec", "-T", service, "id", "-u").strip() != "0"
    caps = stack.compose("exec", "-T", service, "sh", "-c", "grep -E '^Cap(Eff|Bnd)' /proc/1/status")
    assert set(re.findall(r"\t([0-9a-f]+)", caps)) == {"0000000000000000"}
    refused = stack.compose("exec", "-T", service, "sh", "-c", "touch /usr/x 2>&1 || true")
    assert "Read-only file system" in refused


def test_annotations_become_a_student_and_a_new_order(stack: Stack, story: Story) -> None:
    """Within seconds, and Label Studio on Postgres serves the tasks as the published ranking says."""
    before = stack.project(story.project_id)["version"]
    given = annotate(stack, story, 40, seed=1)
    seen = stack.learnt(story.project_id, 40)
    assert seen["version"] != before
    assert seen["kind"] == "student"
    checked = [answer.in_order for answer in given if answer.in_order is not None]
    assert len(checked) >= 20
    assert all(checked)


def test_nothing_is_lost_when_redis_and_a_worker_go(stack: Stack, story: Story) -> None:
    """Killed in the middle of the work; Docker starts them again. And a Redis that is stopped by hand for a while."""
    annotate(stack, story, 10, seed=2)
    stack.kill("redis")
    annotate(stack, story, 5, seed=3)
    stack.kill("worker")
    annotate(stack, story, 10, seed=4)
    stack.compose("stop", "redis")
    annotate(stack, story, 10, seed=5)
    stack.up("redis")
    annotate(stack, story, 5, seed=6)
    seen = stack.learnt(story.project_id, len(story.answers))
    assert seen["annotations"] == len(story.answers)
    rows = [p for p in stack.client().predictions(story.project_id) if p["model_version"] == seen["version"]]
    assert len({row["task"] for row in rows}) == len(rows), "a task has two predictions of one version"


def test_wrong_labels_are_in_the_review_tab(stack: Stack, story: Story) -> None:
    """Some of those that were wrong on purpose, ordered by a number field on Postgres."""
    client = stack.client()
    view = next(v for v in client.views(story.project_id) if v["data"].get("title") == REVIEW_TITLE)
    listed = stack.tab(view["id"])
    planted = {answer.task_id for answer in story.answers if answer.planted}
    assert planted & {task["id"] for task in listed}
    scores = [task["data"]["ale_label_error_score"] for task in listed]
    assert scores == sorted(scores, reverse=True)


class Watch(threading.Thread):
    """Notes when each web process first names each version of a project, until the block ends."""

    def __init__(self, stack: Stack, project_id: int) -> None:
        super().__init__(daemon=True)
        self._auth = ("ale", stack.secret("backend", "BASIC_AUTH_PASS"))
        self._urls = [stack.backend_url(index) for index in (1, 2)]
        self._project = project_id
        self._over = threading.Event()
        self.seen: dict[str, dict[str, float]] = {}

    def run(self) -> None:
        """Ask both, one after the other."""
        while not self._over.wait(0.05):
            for url in self._urls:
                projects = httpx.get(f"{url}/status", auth=self._auth, timeout=30).json()["projects"]
                version = next(str(p["version"]) for p in projects if p["project"] == self._project)
                self.seen.setdefault(version, {}).setdefault(url, time.monotonic())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def test_replicas_agree(stack: Stack, story: Story) -> None:
    """Two web processes and three workers on two projects: one version everywhere, nothing learnt twice."""
    stack.up("--scale", "backend=2", "--scale", "worker=3")
    second = Story(int(re.findall(r"/projects/(\d+)/data", stack.ale("demo-project"))[0]))
    with Watch(stack, story.project_id) as watch:
        annotate(stack, story, 10, seed=7)
        annotate(stack, second, 10, seed=8)
        stack.learnt(story.project_id, len(story.answers))
    told = [times for times in watch.seen.values() if len(times) == 2]
    assert len(told) >= 2, "the version before, and at least one new one"
    assert all(max(times.values()) - min(times.values()) <= 2 for times in told), (
        "everywhere within two seconds"
    )
    stack.learnt(second.project_id, len(second.answers))
    for one in (story, second):
        versions = {
            p["version"]
            for index in (1, 2)
            for p in stack.status(index)["projects"]
            if p["project"] == one.project_id
        }
        assert versions == {stack.client().project(one.project_id)["model_version"]}
    doubles = stack.sql(
        "SELECT project, snapshot, count(*) FROM versions WHERE kind = 'student' GROUP BY 1, 2 HAVING count(*) > 1"
    )
    overlapping = stack.sql(
        "SELECT a.run_id, b.run_id FROM runs a JOIN runs b ON a.project = b.project AND a.run_id < b.run_id "
        "WHERE b.started_at < a.finished_at AND a.outcome = 'published' AND b.outcome = 'published'"
    )
    assert (doubles, overlapping) == ([], [])
    stack.up("--scale", "backend=1", "--scale", "worker=1")


def test_the_doctor_names_the_guard_of_label_studio(stack: Stack, story: Story) -> None:
    """The same file without the line that opens its network: one finding, and it names that line."""
    stack.up("label-studio", env={"USE_DEFAULT_BANNED_SUBNETS": "true"})
    try:
        failed = [f for f in stack.ill({"Label Studio to ALE"}) if not f["ok"]]
        assert all("service label-studio, line USE_DEFAULT_BANNED_SUBNETS" in f["fix"] for f in failed)
        assert "Open " not in stack.compose("exec", "-T", "backend", "ale", "demo-project", check=False)
        findings = stack.ill({"Label Studio to ALE"})
        refused = [f for f in findings if not f["ok"] and f["fix"].endswith(" ale connect 3")]
        assert len(refused) == 1, (
            "the project that could not be connected says why, and what to do afterwards"
        )
    finally:
        stack.up("label-studio")
    stack.ale("connect", "3")
    stack.all_well()


def test_an_older_image_refuses_a_newer_database(stack: Stack) -> None:
    """Downgrading is refused with both names, and nothing is changed."""
    ((revision,),) = stack.sql("SELECT version_num FROM alembic_version")
    stack.sql("UPDATE alembic_version SET version_num = 'from-the-future'")
    try:
        said = stack.compose("exec", "-T", "backend", "sh", "-c", "ale status 2>&1 || true")
        assert "newer ALE" in said
        assert "from-the-future" in said
    finally:
        stack.sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    assert "newer ALE" not in stack.ale("status")


def test_a_paid_teacher_is_asked_over_the_network(stack: Stack, story: Story) -> None:
    """The stand-in of the test's override, not GPT: a sample from inside the backend's container, with its price."""
    paid = {"ALE_TEACHER": "openai", "OPENAI_API_KEY": "any", "OPENAI_BASE_URL": "http://llm:8000/v1"}
    stack.up("backend", "worker", env=paid)
    try:
        said = stack.ale("teach", str(story.project_id), "--sample", "5", "--json")
        assert '"asked": 5' in said, said[:2000]
        stack.all_well()
    finally:
        stack.up("backend", "worker")


def test_every_version_is_mirrored_to_mlflow(stack: Stack, story: Story) -> None:
    """With the profile and its variable; the alias stands on the version in force."""
    told = {"COMPOSE_PROFILES": "mlflow", "MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    stack.up(env=told)
    try:
        annotate(stack, story, 10, seed=9)
        version = stack.learnt(story.project_id, len(story.answers))["version"]
        url = f"http://{stack.compose('--profile', 'mlflow', 'port', 'mlflow', '5000').strip()}"
        said = ""

        def mirrored() -> bool:
            nonlocal said
            body = {"filter": f"tags.`ale.version` = '{version}'", "experiment_ids": experiments()}
            said = httpx.post(f"{url}/api/2.0/mlflow/runs/search", json=body, timeout=30).text
            return '"status": "FINISHED"' in said

        def experiments() -> list[str]:
            found = httpx.post(
                f"{url}/api/2.0/mlflow/experiments/search", json={"max_results": 100}, timeout=30
            )
            return [one["experiment_id"] for one in found.json().get("experiments", [])]

        wait_until(mirrored, lambda: f"{version} in MLflow: {said[:500]}")
        assert [f["ok"] for f in stack.doctor() if f["hop"] == "mlflow"] == [True]
        container = stack.compose("--profile", "mlflow", "ps", "-q", "mlflow").strip()
        restarts = subprocess.run(
            ["docker", "inspect", "-f", "{{.RestartCount}} {{.State.OOMKilled}}", container],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        assert restarts == ["0", "false"], "it fits into its memory"
    finally:
        stack.up("backend", "worker")
        stack.compose("--profile", "mlflow", "rm", "--stop", "--force", "mlflow")
