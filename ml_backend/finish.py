"""What `ale finish` does: read mirror and checkpoint, look at the audit once more, write files or refuse.

Nothing is asked of Label Studio, and nothing there is changed: what was not labelled stays in its queue.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ale.audit.echo import echoes
from ale.audit.finish import Finish
from ale.errors import ConfigurationError, LabelSpaceMismatch
from ale.features import FeatureSpace
from ale.io.checkpoints import load_checkpoint
from ale.io.snapshots import write_snapshot
from ale.types import LabelSpace, Probs
from ml_backend.building import snapshot_rows
from ml_backend.certificate import Made, certificate, joint_confidence, promise, taken_together, tried
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.export import write_files
from ml_backend.finish_files import WRITERS
from ml_backend.finishing import (
    AUTO,
    NONE,
    Question,
    answered_tasks,
    finished_rows,
    newer_words,
    question,
    refusal,
)
from ml_backend.instructions import space_of
from ml_backend.learning import Learning, build_learning
from ml_backend.opinions import opinion
from ml_backend.reserve import Reserve, reserve_of
from ml_backend.settings import Settings
from ml_backend.store import looks, mirror, projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Task
from ml_backend.unaided import read_unaided

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for."""

    project: int
    max_error: float
    confidence: float
    out: Path
    kind: str
    as_json: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A project as of its last sync, and what its version in force believes of it."""

    project: Project
    version: str
    recipe: Mapping[str, str]
    space: LabelSpace
    tasks: list[Task]
    dataset: Dataset
    asked: Question


def run_finish(console: Console, settings: Settings, wish: Wish) -> int:
    """The exit code: 0 when the files are written, 1 for a refusal, which writes none.

    Either way the look is remembered, before anybody sees what came of it.
    """
    db = Database(settings.database)
    try:
        learning = build_learning(settings)
        read = _read(db, settings, learning, wish.project)
        key, of = read.project.key, (round(wish.max_error, 9), round(wish.confidence, 9))
        before = looks.made(db, key, *of)
        if before and not wish.as_json:
            console.print(tried(before), highlight=False, markup=False, soft_wrap=True)
        found = read.asked.look(before, max_error=of[0], confidence=of[1])
        WRITERS[wish.kind]([])  # a format that can not be written costs no look
        if found.look is not None:
            looks.keep(db, key, *of, found.look, read.version)
        together = joint_confidence(looks.promises(db, key))
        told = _outcome(read, found) | {
            "looks_before": sorted({look.audited for look in before}),
            "joint_confidence": together,
        }
        if found.refused:
            text = refusal(found, len(read.asked.front), read.dataset.audit.size, read.asked.fitted)
            text += newer_words(read.dataset)
        else:
            counts, told["snapshot"] = _write(db, settings, read, found, wish)
            told |= {"tasks": counts, "out": str(wish.out)}
            text = f"{promise(found)} {counts[NONE]:,} tasks have no label yet. The certificate is in {wish.out}."
            text += newer_words(read.dataset)
            if together is not None and together < found.confidence:
                text += f" {taken_together(together)}"
    finally:
        db.dispose()
    if wish.as_json:
        console.print_json(json.dumps(told | {"said": text}))
    else:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    return 1 if found.refused else 0


def _read(db: Database, settings: Settings, learning: Learning, number: int) -> _Read:
    project = projects.find_by_id(db, settings.label_studio_url, number)
    if project is None:
        raise ConfigurationError(f"project {number} is not known here: run `ale connect {number}`")
    if project.version is None or not project.label_config:
        raise ConfigurationError(f"project {number} has no version in force yet: start `ale worker`")
    reserve = _audited(project)
    space = space_of(project)
    arrays, manifest = load_checkpoint(settings.checkpoints, project.key, project.version)
    if manifest["labels_fingerprint"] != space.labels_fingerprint:
        raise LabelSpaceMismatch(
            f"the labels of project {number} have changed since {project.version} was made: wait for the next version"
        )
    tasks = list(mirror.all_tasks(db, project.key))
    annotations = mirror.all_annotations(db, project.key)
    dataset = build_dataset(tasks, annotations, space, reserve)
    unaided = read_unaided(arrays, dataset, len(space))
    teacher = _paid_opinion(db, learning, space, dataset)
    heard = [] if teacher is None else _heard(db, learning, project.key, dataset, teacher)
    asked = question(dataset, answered_tasks(annotations), unaided, teacher, heard)
    return _Read(project, project.version, manifest["recipe"], space, tasks, dataset, asked)


def _audited(project: Project) -> Reserve:
    reserve = reserve_of(project)
    if reserve is None:
        raise ConfigurationError(
            f"project {project.project_id} has no audit, which alone can prove anything: set ALE_AUDIT_SHARE above 0"
        )
    return reserve


def _paid_opinion(db: Database, learning: Learning, space: LabelSpace, dataset: Dataset) -> Probs | None:
    """What the teachers say where a language model is among them.

    Its errors lie on certain labels, which the selector learns; with a zero-shot teacher alone the audit labels
    that it would learn from prove more in the test (measured: benchmarks/README.md, finish_guarantee).
    """
    found = opinion(db, learning.teachers, space, dataset)
    return found.probs if any(v.teacher.paid and not v.silent.all() for v in found.voices) else None


def _heard(db: Database, learning: Learning, key: str, dataset: Dataset, teacher: Probs) -> list[Probs]:
    """What readers of the teacher say of each text; nothing (NaN) of those that no learn run has encoded yet, and of
    those that the audit does not speak of yet.
    """
    vectors, known = learning.cache.lookup(dataset.hashes)
    known[dataset.audit.newer] = False
    if not known.any():
        return []
    texts = mirror.texts(db, key, sorted(set(dataset.hashes)))
    features = FeatureSpace.fit(vectors[known]).transform(vectors[known])
    read = [texts[name] for name, there in zip(dataset.hashes, known, strict=True) if there]
    heard = []
    for said in echoes(read, features, teacher[known]):
        everywhere = np.full(teacher.shape, np.nan, np.float32)
        everywhere[known] = said
        heard.append(everywhere)
    return heard


def _outcome(read: _Read, found: Finish) -> Json:
    return {
        "project": read.project.project_id,
        "refused": found.refused,
        "max_error": found.max_error,
        "confidence": found.confidence,
        "audited": len(read.asked.front),
        "skipped": read.dataset.audit.skipped,
        "newer": len(read.dataset.audit.newer),
        "accepted": {"audited": found.audited, "wrong": found.wrong},
        "threshold": None if found.refused else found.threshold,
        "fitted": min(read.asked.fitted, len(read.asked.front)),
        "needed": found.needed,
        "needed_by_luck": found.needed_by_luck,
        "needed_at_best": found.needed_at_best,
        "next_look": found.next_look,
        "version": read.version,
    }


def _write(
    db: Database, settings: Settings, read: _Read, found: Finish, wish: Wish
) -> tuple[dict[str, int], str]:
    """Write data set, certificate and manifest; rows by provenance, and the snapshot's name."""
    key = read.project.key
    hashes = sorted({task.text_hash for task in read.tasks if task.text_hash})
    rows = finished_rows(
        read.tasks, read.dataset, read.asked, found, read.space, read.version, mirror.texts(db, key, hashes)
    )
    counted = Counter(str(row["provenance"]) for row in rows)
    counts = {name: counted[name] for name in ("human", "audit", AUTO, NONE)}
    made = Made(
        project=read.project.project_id,
        title=read.project.title,
        version=read.version,
        recipe=read.recipe,
        snapshot=write_snapshot(settings.home / "snapshots" / key, snapshot_rows(read.dataset)),
        at=datetime.now(UTC),
        audited=len(read.asked.front),
        skipped=read.dataset.audit.skipped,
        newer=len(read.dataset.audit.newer),
        fitted=read.asked.fitted,
        looks=looks.made(db, key, found.max_error, found.confidence),
        promises=looks.promises(db, key),
    )
    files: dict[str, bytes] = {
        f"finished.{wish.kind}": WRITERS[wish.kind](rows),
        "certificate.md": certificate(found, counts, made).encode(),
    }
    manifest = _outcome(read, found) | {
        "joint_confidence": joint_confidence(made.promises),
        "format": wish.kind,
        "promise": promise(found),
        "labels": list(read.space.labels),
        "tasks": counts,
        "snapshot": made.snapshot,
        "looks": sorted({look.audited for look in made.looks}),
        "made_at": made.at.isoformat(timespec="seconds"),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    write_files(wish.out, files, manifest)
    return counts, made.snapshot
