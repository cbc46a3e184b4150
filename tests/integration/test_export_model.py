"""`ale export --for-index`, as a person meets it: a project's student becomes a folder that labels files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

import ale
from ale.audit.reserve import RESERVE, place
from ale.engine import learn
from ale.io.checkpoints import save_checkpoint
from ale.io.model_folder import read_model
from ale.types import LabelSpace
from ml_backend.building import _checkpoint
from ml_backend.cli import app
from ml_backend.dataset import build_dataset
from ml_backend.demo import sample
from ml_backend.instructions import space_of
from ml_backend.learn_input import learn_input
from ml_backend.learning import build_learning
from ml_backend.reserve import reserve_of
from ml_backend.reviewed import reviewed_in
from ml_backend.settings import Settings
from ml_backend.store import mirror, projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation
from tests.integration.teaching import CONFIG, KEY, add_project, environment

POOL = sample.pool()
REST = sample.held_out()
TEXTS = [message.text for message in POOL]
PLACES = place(KEY, range(len(POOL)))
RESERVED = [int(i) for i in np.argsort(PLACES) if PLACES[i] < RESERVE]
FREE = [i for i in range(len(POOL)) if PLACES[i] >= RESERVE]
AUDITS = 60


def annotated(db: Database, tasks: Sequence[int]) -> None:
    """People label these tasks as their authors meant them."""
    rows: list[dict[str, Any]] = [
        {
            "annotation_id": 1 + task, "task_id": task, "values": {}, "label": POOL[task].label, "annotator": 7,
            "updated_by": 7, "was_cancelled": False, "ground_truth": False, "from_prediction": False,
            "created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z", "origin": "manual",
        }
        for task in tasks
    ]  # fmt: skip
    mirror.save_annotations(db, KEY, tasks, rows)


def learnt(settings: Settings, db: Database, version: str, **recipe: str) -> None:
    """The engine learns what is labelled, and that version is in force."""
    learning, project = build_learning(settings), projects.get(db, KEY)
    space: LabelSpace = space_of(project)
    tasks, annotations = list(mirror.all_tasks(db, KEY)), mirror.all_annotations(db, KEY)
    dataset = build_dataset(tasks, annotations, space, reserve_of(project))
    raw = learning.encoder.encode(TEXTS)
    learned = learn(
        learn_input(settings, learning, project, space, dataset, raw, None, reviewed_in([], dataset, space))
    )
    arrays, manifest = _checkpoint(dataset, learned)
    manifest |= {
        "labels": list(space.labels),
        "labels_fingerprint": space.labels_fingerprint,
        "recipe": learning.recipe | recipe,
    }
    save_checkpoint(settings.checkpoints, KEY, version, arrays, manifest)
    projects.change(db, KEY, version=version)


@pytest.fixture
def project(settings: Settings, db: Database) -> Database:
    """The sample data with 150 labels and 60 audits, and a version that learnt from them."""
    add_project(
        db,
        TEXTS,
        label_config=sample.label_config(),
        audit_since=datetime(2026, 1, 1, tzinfo=UTC),
    )
    mirror.place_tasks(db, KEY, range(len(POOL)), "ale-0")
    annotated(db, FREE[:150])
    annotated(db, RESERVED[:AUDITS])
    learnt(settings, db, "ale-1")
    return db


def export(settings: Settings, out: Path, *more: object) -> Result:
    """The command line."""
    return CliRunner().invoke(
        app,
        ["export", "1", "--out", str(out), "--for-index", *map(str, more)],
        env={**environment(settings), "LABEL_STUDIO_API_KEY": "a-token"},
    )


@pytest.mark.usefixtures("project")
def test_a_project_becomes_a_model_that_needs_no_server(settings: Settings, tmp_path: Path) -> None:
    """Scanner and student agree with the project's student, are right where it is, and know who made them."""
    more = [*REST[: len(REST) // 2], POOL[0]]
    (tmp_path / "more.jsonl").write_text(
        "".join(json.dumps({"body": m.text}) + "\n" for m in [*more, *more]) + '{"body": null}\n'
    )
    done = export(
        settings, tmp_path / "m", "--texts", tmp_path / "more.jsonl", "--text-column", "body", "--json"
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    metrics = told["metrics"]
    assert (told["project"], told["project_version"]) == (1, "ale-1")
    assert told["data"]["pool"] == len(POOL)
    assert told["data"]["extra"] == len({m.text for m in more} - set(TEXTS))
    assert metrics["audited"] == AUDITS
    assert metrics["agreement"] > 0.6
    assert metrics["student_accuracy"] > 0.6
    assert metrics["scanner_accuracy_low"] < metrics["scanner_accuracy"] < metrics["scanner_accuracy_high"]
    assert metrics["scanner_accuracy"] > 0.5

    model = ale.load(tmp_path / "m")
    unseen = REST[len(REST) // 2 :]
    right = [
        said.label == message.label
        for said, message in zip(model.predict([m.text for m in unseen]), unseen, strict=True)
    ]
    assert np.mean(right) > metrics["scanner_accuracy_low"]
    assert len(model.held_out.truth) == AUDITS
    assert model.version == told["version"]
    assert export(settings, tmp_path / "again", "--texts", tmp_path / "more.jsonl", "--text-column", "body").exit_code == 0  # fmt: skip
    again = read_model(str(tmp_path / "again"))[1]
    assert again["sha256"] == read_model(str(tmp_path / "m"))[1]["sha256"]


def test_audit_labels_teach_nothing(settings: Settings, project: Database, tmp_path: Path) -> None:
    """Other audit labels change what is measured and the temperature, but no weight."""
    assert export(settings, tmp_path / "m").exit_code == 0
    labels = sorted({message.label for message in POOL})
    wrong = {1 + task for task in RESERVED[: AUDITS // 2]}
    with project.session() as session:
        for row in session.scalars(select(Annotation).where(Annotation.annotation_id.in_(wrong))):
            row.label = labels[labels.index(row.label or "") - 1]
    done = export(settings, tmp_path / "n")
    assert done.exit_code == 0, done.output
    (one, first), (two, second) = (read_model(str(tmp_path / name)) for name in ("m", "n"))
    for name in ("places", "rows", "bias"):
        assert np.array_equal(one["scanner"][name], two["scanner"][name])
    assert second["metrics"]["scanner_accuracy"] < first["metrics"]["scanner_accuracy"] - 0.2
    assert second["scanner"]["temperature"] > first["scanner"]["temperature"]


@pytest.mark.usefixtures("project")
def test_without_an_audit_nothing_is_promised(settings: Settings, project: Database, tmp_path: Path) -> None:
    """The model is made all the same, and says that nobody knows how good it is."""
    projects.change(project, KEY, audit_since=None)
    done = export(settings, tmp_path / "m")
    assert (done.exit_code, "is not known: the project has no audit labels" in done.output) == (0, True)
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": TEXTS[0]}) + "\n")
    line = ["index", str(tmp_path / "in.jsonl"), str(tmp_path / "out"), "--model", str(tmp_path / "m")]
    done = CliRunner().invoke(app, [*line, "--min-accuracy", "0.5"])
    assert (done.exit_code, "cannot be promised" in done.output) == (2, True)
    assert CliRunner().invoke(app, line).exit_code == 0


def test_what_can_not_be_exported_is_said(settings: Settings, db: Database, tmp_path: Path) -> None:
    """No project, no version, other labels, another encoder, a folder that is there: one line each."""
    assert "run `ale connect 1`" in export(settings, tmp_path / "m").output
    add_project(db, TEXTS, label_config=sample.label_config(), audit_since=datetime(2026, 1, 1, tzinfo=UTC))
    assert "no version in force" in export(settings, tmp_path / "m").output
    learnt(settings, db, "ale-1")
    assert "has no student yet" in export(settings, tmp_path / "m").output
    annotated(db, FREE[:80])
    learnt(settings, db, "ale-2")
    learnt(settings, db, "ale-3", encoder="another")
    assert "with the encoder another: set ALE_ENCODER to it" in export(settings, tmp_path / "m").output
    (tmp_path / "there").mkdir()
    assert "exists" in export(settings, tmp_path / "there").output
    projects.change(db, KEY, label_config=CONFIG)
    assert "have changed since ale-3" in export(settings, tmp_path / "m").output
    assert not (tmp_path / "m").exists()
    line = ["export", "1", "--out", str(tmp_path / "x"), "--json"]
    assert "belong to --for-index" in CliRunner().invoke(app, line).output
