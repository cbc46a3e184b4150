"""What `ale export --for-index` does: the version in force becomes a model folder that needs no server.

Everything is read from mirror, checkpoint and embedding cache; nothing is asked of Label Studio.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from ale.commands.index_screen import Steps
from ale.errors import ConfigurationError, LabelSpaceMismatch
from ale.io.checkpoints import load_checkpoint
from ale.io.encoder import resolve_lexicon
from ale.io.labelled import read_texts
from ale.io.model_folder import check_free, write_model
from ale.io.snapshots import write_snapshot
from ale.packing import PackInput, pack_model
from ale.predictor import Predictor
from ale.scanner.words import Lexicon
from ale.text import text_hash
from ale.types import Embeddings, LabelSpace, Probs
from ml_backend.beliefs import HASHES, PROBS
from ml_backend.building import snapshot_rows
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.instructions import space_of
from ml_backend.learning import build_learning, seed_of
from ml_backend.reserve import reserve_of
from ml_backend.settings import Settings
from ml_backend.store import mirror, projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.unaided import read_unaided

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelWish:
    """What a person asks for: `texts` are files of more texts without labels."""

    project: int
    out: Path
    texts: tuple[Path, ...] = ()
    text_column: str = "text"
    as_json: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A project as of its last sync, the version in force, and its texts; `texts[i]` is that of data set row i."""

    project: Project
    space: LabelSpace
    dataset: Dataset
    texts: list[str]
    arrays: Mapping[str, Any]
    manifest: Mapping[str, Any]


def run_export_model(console: Console, settings: Settings, wish: ModelWish) -> None:
    """Write the folder and say how good the model is. Raises ConfigurationError where there is no student yet."""
    check_free(wish.out)
    db = Database(settings.database)
    try:
        learning = build_learning(settings)
        read = _read(db, settings, wish.project)
        snapshot = write_snapshot(learning.snapshots / read.project.key, snapshot_rows(read.dataset))
    finally:
        db.dispose()
    predictor = Predictor.from_state(read.arrays, read.manifest)
    extra = _extra(wish, read.dataset.hashes)
    everything = [*read.texts, *extra]
    with Steps(quiet=wish.as_json) as steps:
        lexicon = resolve_lexicon(settings.encoder)
        raw = learning.encoder.encode(everything, steps.counting("encoding", len(everything)))
        given = _pack_input(read, everything, raw, predictor, lexicon)
        made = pack_model(given, predictor, learning.encoder, steps.now)
    arrays, manifest = made.model.state()
    told: Json = {
        "encoder_source": settings.encoder,
        "project": read.project.project_id,
        "project_version": read.project.version,
        "data": {"snapshot": snapshot, "pool": len(read.texts), "extra": len(extra)},
        "metrics": {name: round(value, 6) for name, value in made.metrics.items()},
    }
    written = write_model(wish.out, arrays, {**manifest, **told})
    if wish.as_json:
        console.print_json(json.dumps({"model": str(wish.out), "version": written["version"], **told}))
    else:
        console.print("\n".join(_said(wish.out, written)), highlight=False, soft_wrap=True)


def _read(db: Database, settings: Settings, number: int) -> _Read:
    project = projects.find_by_id(db, settings.label_studio_url, number)
    if project is None:
        raise ConfigurationError(f"project {number} is not known here: run `ale connect {number}`")
    if project.version is None or not project.label_config:
        raise ConfigurationError(f"project {number} has no version in force yet: start `ale worker`")
    space = space_of(project)
    arrays, manifest = load_checkpoint(settings.checkpoints, project.key, project.version)
    if manifest["labels_fingerprint"] != space.labels_fingerprint:
        raise LabelSpaceMismatch(
            f"the labels of project {number} have changed since {project.version} was made: wait for the next version"
        )
    if manifest["student"] == "none":
        raise ConfigurationError(
            f"{project.version} of project {number} has no student yet: label tasks of at least two labels first"
        )
    if manifest["recipe"]["encoder"] != build_learning(settings).encoder.name:
        raise ConfigurationError(
            f"{project.version} was learnt with the encoder {manifest['recipe']['encoder']}: set ALE_ENCODER to it"
        )
    tasks = list(mirror.all_tasks(db, project.key))
    dataset = build_dataset(tasks, mirror.all_annotations(db, project.key), space, reserve_of(project))
    by_hash = mirror.texts(db, project.key, sorted(set(dataset.hashes)))
    return _Read(project, space, dataset, [by_hash[name] for name in dataset.hashes], arrays, manifest)


def _extra(wish: ModelWish, pool: Sequence[str]) -> list[str]:
    """The texts of the files that are not in the pool, each once."""
    seen = set(pool)
    found = []
    for file in wish.texts:
        for text in read_texts(file, wish.text_column):
            name = text_hash(text)
            if name not in seen:
                seen.add(name)
                found.append(text)
    return found


def _pack_input(
    read: _Read, everything: list[str], raw: Embeddings, predictor: Predictor, lexicon: Lexicon | None
) -> PackInput:
    dataset = read.dataset
    student = predictor.predict_proba(raw)
    believed = student.copy()
    _overlay(believed, read)
    hashes = [*dataset.hashes, *map(text_hash, everything[len(read.texts) :])]
    unaided = read_unaided(read.arrays, dataset, len(read.space)).probs[dataset.labelled]
    # What was labelled since the version was made: the student did not learn it, its answer is honest.
    unaided = np.where(np.isnan(unaided), student[dataset.labelled], unaided)
    return PackInput(
        texts=everything,
        groups=np.unique(hashes, return_inverse=True)[1].astype(np.int64),
        student=student,
        believed=believed,
        labels=tuple(read.space.labels),
        labelled=dataset.labelled,
        targets=dataset.targets,
        unaided=np.asarray(unaided, np.float32),
        audited=dataset.audit.measured,
        audit_targets=dataset.audit.measured_targets,
        lexicon=lexicon,
        seed=seed_of(read.project.key),
    )


def _overlay(believed: Probs, read: _Read) -> None:
    """What the version believes of the pool, where it knows a text: more than the student says of a new one."""
    hashes = np.ascontiguousarray(read.arrays[HASHES], np.uint8)
    at = {row.tobytes().hex(): number for number, row in enumerate(hashes)}
    for row, name in enumerate(read.dataset.hashes):
        if (number := at.get(name)) is not None:
            believed[row] = read.arrays[PROBS][number]


def _said(out: Path, manifest: Mapping[str, Any]) -> list[str]:
    told, data = manifest["metrics"], manifest["data"]
    taught = f"{data['pool']:,} texts of the project and {data['extra']:,} others"
    whose = f"scanner and student of {manifest['project_version']}"
    lines = [f"{escape(str(out))} holds version {manifest['version']}: {whose}, taught by {taught}."]
    if "agreement" in told:
        lines.append(
            f"On texts it has not seen the scanner says what the student says for {told['agreement']:.1%}."
        )
    if "scanner_accuracy" not in told:
        return [*lines, "[yellow]How often it is right is not known: the project has no audit labels.[/]"]
    for who in ("scanner", "student"):
        low, high = told[f"{who}_accuracy_low"], told[f"{who}_accuracy_high"]
        lines.append(
            f"The {who} is right for {told[f'{who}_accuracy']:.1%} ({low:.1%} to {high:.1%}) of "
            f"{told['audited']:,.0f} audit labels."
        )
    return [*lines, f"Label documents with it: ale index INPUT OUTPUT --model {escape(str(out))}"]
