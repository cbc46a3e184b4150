"""Making a version: snapshot of the labels, name, checkpoint with the student and its beliefs, row in SQL."""

from __future__ import annotations

import hashlib
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.engine import Learned
from ale.io.checkpoints import save_checkpoint
from ale.io.snapshots import SnapshotRow, write_snapshot
from ale.types import LabelSpace, Provenance
from ml_backend.dataset import Dataset
from ml_backend.label_studio import LabelStudioClient
from ml_backend.learning import Learning
from ml_backend.publish import version_name
from ml_backend.settings import Settings
from ml_backend.store import versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Version
from ml_backend.unaided import unaided_arrays


def build_version(
    settings: Settings,
    db: Database,
    client: LabelStudioClient,
    learning: Learning,
    project: Project,
    *,
    space: LabelSpace,
    dataset: Dataset,
    learned: Learned,
    kind: str,
    head: str,
    answers: int,
    fence: int,
    content: str,
) -> Version:
    """A version that is built and stored, in state `building`: nothing of it has reached Label Studio.

    `content` is the hash of what it was learnt from. The name holds a part of that and of `fence`, the learn
    run's number.
    """
    snapshot = write_snapshot(learning.snapshots / project.key, snapshot_rows(dataset))
    unique = hashlib.sha256(f"{project.key}:{snapshot}:{fence}:{content}".encode()).hexdigest()
    number, name = version_name(db, client, project, unique)
    arrays, manifest = _checkpoint(dataset, learned)
    manifest |= {
        "kind": kind,
        "labels": list(space.labels),
        "labels_fingerprint": space.labels_fingerprint,
        "project": project.key,
        "snapshot": snapshot,
        "content_hash": content,
        "batch": settings.batch,
        "recipe": learning.recipe,
        "metrics": learned.metrics,
        "reasons": learned.reasons,
    }
    save_checkpoint(settings.checkpoints, project.key, name, arrays, manifest)
    version = Version(
        project=project.key,
        version=name,
        number=number,
        kind=kind,
        labels=list(space.labels),
        snapshot=snapshot,
        metrics=learned.metrics,
        answers=answers,
        head=head,
    )
    versions.add(db, version)
    return version


def snapshot_rows(dataset: Dataset) -> list[SnapshotRow]:
    """What people say about each labelled task: what is learnt from in the order of the tasks, then audits."""
    learnt = zip(dataset.labelled.tolist(), dataset.humans, repeat(Provenance.HUMAN))
    audited = zip(dataset.audit.rows.tolist(), dataset.audit.humans, repeat(Provenance.AUDIT))
    return [
        SnapshotRow(
            human.task_id,
            dataset.tasks[row].text_hash or "",
            human.label,
            provenance.value,
            str(human.annotator or ""),
        )
        for row, human, provenance in chain(learnt, audited)
    ]


def _checkpoint(dataset: Dataset, learned: Learned) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The student, if there is one, and the beliefs about the pool by text hash, sorted for binary search."""
    arrays: dict[str, NDArray[Any]] = {}
    manifest: dict[str, Any] = {"student": "none"}
    if learned.predictor is not None:
        arrays, manifest = learned.predictor.state()
    known = np.flatnonzero(~np.isnan(learned.probs).any(axis=1))
    hashes = dataset.hashes
    # Of equal texts the one that is no audit: its place in the order is for all to see.
    audits_first = known[np.argsort(~np.isin(known, learned.ranking.audit), kind="stable")]
    by_hash = {hashes[i]: i for i in audits_first.tolist()}
    order = sorted(by_hash)
    rows = [by_hash[h] for h in order]
    arrays["belief_hashes"] = np.frombuffer(bytes.fromhex("".join(order)), dtype=np.uint8).reshape(-1, 16)
    arrays["belief_probs"] = learned.probs[rows].astype(np.float32)
    arrays["belief_scores"] = learned.scores[rows].astype(np.float32)
    arrays |= unaided_arrays(dataset, learned.unaided)
    return arrays, manifest
