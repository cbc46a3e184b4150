"""What MLflow has after the mirror's jobs: real client, real SQLite store, and a real server where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.jobs import mirror_versions
from ml_backend.queues import LEARN, MIRROR, enqueue_learn, queue
from ml_backend.settings import Settings
from ml_backend.store import projects, versions
from ml_backend.wiring import Services
from tests.integration.mirroring import Published, environment, mirrored

# MLflow's own tables, under a newer SQLAlchemy than it was made for.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(params=["sqlite", "server"])
def mlflow_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An MLflow that knows nothing of the test's project."""
    if request.param == "server":
        return str(request.getfixturevalue("mlflow_server"))
    (tmp_path / "mlflow").mkdir()
    return f"sqlite:///{tmp_path}/mlflow/mlflow.db"


@pytest.fixture
def world(
    settings: Settings, services: Services, clean_redis: str, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Published]:
    """A connected project that is mirrored."""
    with mirrored(settings, services, clean_redis, mlflow_uri, monkeypatch) as world:
        yield world


def test_each_version_in_force_is_one_run_with_all_that_is_known(world: Published, tmp_path: Path) -> None:
    """Params, metrics at the version's number, tags, files, a model version, and the alias on the newest."""
    names = [world.publish(1), world.publish(2)]
    world.work()
    first, second = world.told()
    assert [first.info.run_name, second.info.run_name] == names
    assert [run.info.status for run in (first, second)] == ["FINISHED", "FINISHED"]
    assert second.data.params == {
        "kind": "student",
        "choices": "2",
        "student": "linear",
        "strategy": "margin",
        "encoder": "MiniLM",
        "teacher": "none",
        "batch": "12",
        "temperature": "1.5",
    }
    assert second.data.metrics == {
        "answers": 4,
        "n_labels": 5,
        "oof_accuracy": 0.52,
        "seconds_fit": 0.25,
        "seconds/sync": 0.5,
        "seconds/publish": 1.25,
        "counts/pool": 40,
        "not_learnt_from/skipped": 2,
    }
    snapshot = versions.every(world.services.db, world.key)[0].snapshot
    assert {name: value for name, value in second.data.tags.items() if name.startswith("ale.")} == {
        "ale.version": names[1],
        "ale.project": world.key,
        "ale.snapshot": snapshot,
        "ale.content_hash": "c2",
        "ale.label_config": "f1f2",
        "ale.release": "0.1.0",
    }
    client = world.mlflow
    assert client.get_experiment(first.info.experiment_id).name == f"ale/Mails / of: today ({world.key})"
    assert [m.step for m in client.get_metric_history(second.info.run_id, "oof_accuracy")] == [2]
    files = {file.path for file in client.list_artifacts(second.info.run_id)}
    assert files == {"manifest.json", f"snapshot-{snapshot}.jsonl.gz", "learning-curve.png"}
    got = Path(client.download_artifacts(second.info.run_id, "manifest.json", str(tmp_path)))
    assert json.loads(got.read_text())["snapshot"] == snapshot
    model = f"ale-{world.key}"
    assert len(client.search_model_versions(f"name = '{model}'")) == 2
    assert client.get_model_version_by_alias(model, "in-force").run_id == second.info.run_id


def test_told_twice_it_is_there_once(world: Published) -> None:
    """A job that runs again adds nothing, also when Redis forgot everything and the project has a new title."""
    world.publish(1)
    world.work()
    before = world.told()
    world.work()
    world.redis.flushall()
    projects.change(world.services.db, world.key, title="Another title")
    world.work()
    assert [run.to_dictionary() for run in world.told()] == [run.to_dictionary() for run in before]
    world.publish(2)
    world.work()
    assert [run.data.tags["ale.version"] for run in world.told()] == ["ale-1-0001", "ale-2-0002"]
    assert len(world.mlflow.search_model_versions(f"name = 'ale-{world.key}'")) == 2


KILLED_AT = """
import os, signal, sys
from ml_backend.settings import load_settings
from ml_backend.tracking.opening import prepare
prepare(load_settings())
import mlflow.tracking, ml_backend.jobs
from mlflow.tracking import MlflowClient
from ml_backend.marks import connect_redis

def job_that_dies_after(calls):
    left = calls
    def watch(frame, event, arg):
        nonlocal left
        if event == "return" and isinstance(frame.f_locals.get("self"), MlflowClient) \
                and "writing" in frame.f_back.f_code.co_filename:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(watch)
    ml_backend.jobs.mirror_versions("every-project")

died = 0
for calls in range(1, 40):
    child = os.fork()
    if not child:
        job_that_dies_after(calls)
        os._exit(0)
    how = os.waitpid(child, 0)[1]
    connect_redis(os.environ["REDIS_URL"]).flushall()  # its lock, and what it remembered
    if how == 0:
        break
    assert os.WTERMSIG(how) == signal.SIGKILL, how
    died += 1
print(died)
"""


def test_killed_after_any_call_and_run_again_it_is_one_run(world: Published) -> None:
    """kill -9 after the first call to MLflow, then after the second, and so on: the next job goes on there."""
    world.publish(1)
    job = subprocess.run(
        [sys.executable, "-c", KILLED_AT],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environment(world.settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    assert int(job.stdout) >= 8, job.stderr
    world.work()
    (run,) = world.told()
    assert run.info.status == "FINISHED"
    assert len(world.mlflow.search_model_versions(f"name = 'ale-{world.key}'")) == 1
    assert len(world.mlflow.get_metric_history(run.info.run_id, "n_labels")) == 1


def test_only_what_was_in_force_is_told(world: Published) -> None:
    """Not what is being built or was discarded, and nothing while its learn run still adds to it."""
    world.publish(1)
    world.publish(2, state="flipping")
    world.publish(3, state="discarded", run="failed")
    world.work()
    assert [run.data.tags["ale.version"] for run in world.told()] == ["ale-1-0001"]
    running = world.publish(4, run="running")
    world.work()
    assert len(world.told()) == 1
    (run,) = versions.runs(world.services.db, world.key, 1)
    versions.end_run(world.services.db, run.run_id, outcome="published", version=running)
    world.work()
    assert [run.data.tags["ale.version"] for run in world.told()] == ["ale-1-0001", "ale-4-0004"]


def test_a_learn_run_that_waits_is_let_past(world: Published) -> None:
    """The step ends after its first call to MLflow and queues itself again behind the learn run."""
    world.publish(1)
    enqueue_learn(world.redis, world.key, 1)
    assert mirror_versions("every-project") == "more is left"
    assert world.told() == []
    assert len(queue(MIRROR, world.redis).job_ids) == 1
    for job in queue(LEARN, world.redis).jobs:
        job.delete()
    world.work()
    assert len(world.told()) == 1


def test_pruned_versions_are_told_from_what_sql_knows(world: Published) -> None:
    """A version whose checkpoint and snapshot are gone keeps its figures."""
    world.publish(1)
    shutil.rmtree(world.settings.checkpoints)
    shutil.rmtree(world.settings.home / "snapshots")
    world.work()
    (run,) = world.told()
    assert run.data.metrics["oof_accuracy"] == 0.51
    assert run.data.params == {"kind": "student", "choices": "2"}
    assert world.mlflow.list_artifacts(run.info.run_id) == []
