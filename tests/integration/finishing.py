"""What the tests of `ale finish` share: a project with a version in force and an audit that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.audit.reserve import RESERVE, place
from ale.io.checkpoints import save_checkpoint
from ml_backend.dataset import build_dataset
from ml_backend.settings import Settings
from ml_backend.store import mirror, projects
from ml_backend.store.database import Database
from ml_backend.unaided import unaided_arrays
from tests.integration.teaching import KEY, SPACE, add_project, texts, truth

SIZE = 2400
NAMES = texts(SIZE)
TRUTH = [truth([name])[name] for name in NAMES]
PLACES = place(KEY, range(SIZE))
RESERVED = [int(i) for i in np.argsort(PLACES) if PLACES[i] < RESERVE]
"""Tasks of the reserve, in the audit's order."""
FREE = [i for i in range(SIZE) if PLACES[i] >= RESERVE]
LEARNT = FREE[:40]


def annotated(db: Database, tasks: Sequence[int], **more: object) -> None:
    """People label these tasks truthfully and blindly, or skip them."""
    rows: list[dict[str, Any]] = [
        {
            "annotation_id": 1 + task,
            "task_id": task,
            "values": {},
            "label": TRUTH[task],
            "annotator": 7,
            "was_cancelled": False,
            "ground_truth": False,
            "from_prediction": False,
            "created_at": "2026-01-02T00:00:00Z",
            "updated_at": "2026-01-02T00:00:00Z",
            "origin": "manual",
            "updated_by": 7,
            **more,
        }
        for task in tasks
    ]
    mirror.save_annotations(db, KEY, tasks, rows)


def believed(wrong: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """Beliefs that are right but for some tasks, and surer of the first tasks than of the last."""
    right = np.array([SPACE.labels.index(label) for label in TRUTH])
    said = right.copy()
    said[wrong] = 1 - said[wrong]
    sure = np.linspace(0.999, 0.95, SIZE)
    probs = np.empty((SIZE, 2), np.float32)
    probs[np.arange(SIZE), said], probs[np.arange(SIZE), 1 - said] = sure, 1 - sure
    return probs


def put_in_force(settings: Settings, db: Database, version: str, probs: NDArray[np.float32]) -> None:
    """A version that learnt from what is labelled now, and believes this of the tasks."""
    project = projects.get(db, KEY)
    dataset = build_dataset(mirror.all_tasks(db, KEY), mirror.all_annotations(db, KEY), SPACE, None)
    manifest = {
        "labels": list(SPACE.labels),
        "labels_fingerprint": SPACE.labels_fingerprint,
        "student": "none",
        "recipe": {"student": "hybrid", "teacher": "zero-shot"},
    }
    arrays = unaided_arrays(dataset, probs)
    learnt = np.zeros(SIZE, np.uint8)
    learnt[LEARNT] = 1
    save_checkpoint(settings.checkpoints, project.key, version, arrays | {"unaided_learnt": learnt}, manifest)
    projects.change(db, KEY, version=version)


def add_audited_project(settings: Settings, db: Database, audits: int, wrong: NDArray[np.int64]) -> None:
    """A project with so many audit labels, forty others, and a version that is wrong about some tasks."""
    add_project(db, NAMES, audit_since=datetime(2026, 1, 1, tzinfo=UTC), title="Complaints | praise")
    mirror.place_tasks(db, KEY, range(SIZE), "ale-1")
    annotated(db, LEARNT)
    put_in_force(settings, db, "ale-1", believed(wrong))
    annotated(db, RESERVED[:audits])
