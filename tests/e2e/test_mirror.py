"""MLflow away while an ALE learns on a real Label Studio: versions come all the same, and MLflow gets them later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from ml_backend.queues import EVERY_PROJECT, MIRROR, end_chain
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import PATIENCE_S, Ale, loops_of, running_ale, wait_until
from tests.e2e.messages import messages

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """The folder of an MLflow in SQLite, with a file in its place."""
    folder = tmp_path / "mlflow"
    folder.touch()
    return folder


@pytest.fixture
def mirrored(label_studio: LabelStudioUnderTest, tmp_path: Path, away: Path) -> Iterator[Ale]:
    """An ALE whose worker mirrors to there."""
    uri = f"sqlite:///{away}/mlflow.db"
    with running_ale(label_studio, tmp_path, MLFLOW_TRACKING_URI=uri) as running:
        yield running


def test_away_while_learning_and_told_when_it_is_back(mirrored: Ale, away: Path) -> None:
    """Two versions get in force without MLflow, which is counted; back, it has a run for every version that
    was in force, and the alias is on the last.
    """
    marks, uri = mirrored.services.marks, mirrored.settings.mlflow_address
    with loops_of(mirrored, "Mirror") as new:
        loop = new(messages(30))
        loop.add_labelled(messages(9))
        loop.start()
        wait_until(lambda: marks.counts().get("mirror:failed:TrackingUnreachable"), PATIENCE_S, mirrored.tail)
        first = loop.version
        for _ in range(2):
            loop.annotate(loop.order()[0])
            loop.learn()
        assert loop.version != first
        assert not marks.counts().get("mirror:told")

        away.unlink()
        away.mkdir()
        end_chain(mirrored.redis, MIRROR, EVERY_PROJECT)  # its pause is a minute by default
        mirrored.reconcile()
        loop.settle()
        in_force = [v.version for v in reversed(loop.versions) if v.in_force_at is not None]
        wait_until(lambda: marks.counts().get("mirror:told") == len(in_force), PATIENCE_S, mirrored.tail)

        client = MlflowClient(uri, uri)
        runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
        assert sorted(run.data.tags["ale.version"] for run in runs) == sorted(in_force)
        assert all(run.data.metrics["seconds/publish"] > 0 for run in runs)
        assert {run.data.params["strategy"] for run in runs} == {"margin"}
        assert {run.data.params["batch"] for run in runs} == {"12"}
        last = client.get_model_version_by_alias(f"ale-{loop.key}", "in-force")
        assert last.tags["ale.version"] == loop.version
