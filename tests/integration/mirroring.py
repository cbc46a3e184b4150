"""What the tests of the MLflow mirror share: a project with versions in force, MLflows, and the mirror's jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from itertools import count
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient
from pydantic import SecretStr
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from ale.io.checkpoints import save_checkpoint
from ale.io.snapshots import SnapshotRow, write_snapshot
from ale.text import text_hash
from ml_backend.identity import ProjectKey
from ml_backend.marks import connect_redis
from ml_backend.ports import free_port
from ml_backend.queues import EVERY_PROJECT, MIRROR, enqueue_chain, queue
from ml_backend.settings import Settings
from ml_backend.store import mirror, projects, versions
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import Run, Version
from ml_backend.tracking.opening import OURS, UNLESS_SET
from ml_backend.wiring import Services
from tests.conftest import wait_until

SECRET_TEXTS = [f"the quick zebra number {i} phoned about its invoice" for i in range(6)]
"""Texts of tasks, which must not leave the house."""
IDS = count(1_700_000_000)
"""Tests share a server, which takes half a minute to start: each has a project of its own."""
PROGRAM = "MLFLOW_SERVER_PROGRAM"


@dataclass(slots=True)
class Published:
    """One connected project, whose versions are put in force without a Label Studio."""

    settings: Settings
    services: Services
    redis: redis.Redis
    key: str

    def publish(self, number: int, *, state: str = "in_force", run: str = "published") -> str:
        """A version as a learn run leaves it; its name."""
        name, db = f"ale-{number}-{number:04x}", self.services.db
        rows = [
            SnapshotRow(i, text_hash(text), "good" if i % 2 else "bad", "human", "3")
            for i, text in enumerate(SECRET_TEXTS[: 3 + number])
        ]
        snapshot = write_snapshot(self.settings.home / "snapshots" / self.key, rows)
        metrics = {"n_labels": float(len(rows)), "oof_accuracy": 0.5 + number / 100, "seconds_fit": 0.25}
        manifest = {
            "student": "linear",
            "labels": ["good", "bad"],
            "labels_fingerprint": "f1f2",
            "snapshot": snapshot,
            "content_hash": f"c{number}",
            "batch": 12,
            "temperature": 1.5,
            "recipe": {"student": "linear", "strategy": "margin", "encoder": "MiniLM", "teacher": "none"},
            "metrics": metrics,
        }
        save_checkpoint(
            self.settings.checkpoints, self.key, name, {"pool_mean": np.zeros(3, np.float32)}, manifest
        )
        fence = projects.next_fence(db, self.key)
        run_id = versions.start_run(db, Run(project=self.key, fence=fence, started_at=datetime.now(UTC)))
        version = Version(project=self.key, version=name, number=number, kind="student", state="building")
        version.labels, version.snapshot, version.metrics, version.answers = (
            ["good", "bad"],
            snapshot,
            metrics,
            4,
        )
        versions.add(db, version)
        if state == "in_force":
            versions.put_in_force(db, self.key, name, fence, f"c{number}")
        else:
            versions.change(db, self.key, name, state=state)
        if run != "running":
            versions.end_run(
                db,
                run_id,
                outcome=run,
                version=name,
                n_labels=len(rows),
                seconds={"sync": 0.5, "publish": 1.25},
                counts={"pool": 40, "excluded": {"skipped": 2}, "version": name},
            )
        return name

    def work(self) -> None:
        """Queue the mirror as a learn run does, and work until its queue is empty, as a worker does."""
        enqueue_chain(self.redis, MIRROR, EVERY_PROJECT)
        worker = SimpleWorker([queue(MIRROR, self.redis)], connection=self.redis, serializer=JSONSerializer)
        worker.work(burst=True, logging_level="CRITICAL")

    @property
    def mlflow(self) -> MlflowClient:
        """MLflow's own client, for looking at what it has."""
        return MlflowClient(self.settings.mlflow_address, self.settings.mlflow_address)

    def told(self, key: str | None = None) -> list[MlflowRun]:
        """Every run that MLflow has of the project, the oldest first; it must be in one experiment."""
        where = f"tags.`ale.project` = '{key or self.key}'"
        experiments = self.mlflow.search_experiments(filter_string=where)
        assert len(experiments) <= 1
        ids = [e.experiment_id for e in experiments]
        found = self.mlflow.search_runs(ids, run_view_type=3) if ids else []
        return sorted(found, key=lambda run: int(run.info.start_time))


def publishing(settings: Settings, services: Services, connection: redis.Redis, uid: str) -> Published:
    """A connected project of that id."""
    key = ProjectKey.from_uid(settings.label_studio_url, uid)
    assert key is not None
    projects.wish(services.db, key)
    projects.change(services.db, key, status="connected", title="Mails / of: today")
    seen = [
        TaskSeen(i, text, text_hash(text), is_labeled=False, updated_at="")
        for i, text in enumerate(SECRET_TEXTS)
    ]
    mirror.save_tasks(services.db, str(key), seen)
    return Published(settings, services, connection, str(key))


@contextmanager
def mirrored(
    settings: Settings, services: Services, redis_url: str, uri: str, patch: pytest.MonkeyPatch
) -> Iterator[Published]:
    """A connected project of its own on that MLflow, with the environment of its worker set."""
    ours = settings.model_copy(update={"mlflow_tracking_uri": SecretStr(uri)})
    set_environment(patch, ours)
    connection = connect_redis(redis_url)
    its = Services(ours, services.db, services.marks, services.beliefs)
    yield publishing(ours, its, connection, f"7.{next(IDS)}")
    connection.close()


def environment(settings: Settings) -> dict[str, str]:
    """What a worker of these settings finds in its environment."""
    return {
        "ALE_HOME": str(settings.home),
        "REDIS_URL": settings.redis_url,
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri.get_secret_value(),
    }


def set_environment(patch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Set it here; what the mirror sets for MLflow goes with the test."""
    for name in (*OURS, *UNLESS_SET, "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        patch.setenv(name, "")
        patch.delenv(name)
    for name, value in environment(settings).items():
        patch.setenv(name, value)


def server_command() -> list[str]:
    """The program of a whole MLflow; skips the test where there is only the client."""
    if os.environ.get(PROGRAM):
        return [os.environ[PROGRAM]]
    try:
        distribution("mlflow")
    except PackageNotFoundError:
        pytest.skip(f"needs a whole MLflow: {PROGRAM}=/path/to/its/bin/mlflow (pip install mlflow)")
    return [sys.executable, "-m", "mlflow"]


@contextmanager
def server(folder: Path, port: int | None = None) -> Iterator[str]:
    """A real MLflow server on loopback; its address."""
    port = port or free_port()
    command = [
        *(*server_command(), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/server.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | OURS, cwd=folder)
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
        try:
            return httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    try:
        wait_until(up, within_s=90)
        yield url
    finally:
        process.terminate()
        process.wait()
