"""People's labels as files, for a table or for another program. Nothing is asked, nothing is sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ale.errors import ConfigurationError
from ale.io.snapshots import SnapshotRow, write_snapshot
from ale.types import LabelSpace, Provenance
from ml_backend.building import snapshot_rows
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.instructions import space_of
from ml_backend.learning import Learning
from ml_backend.private_files import write_private
from ml_backend.reserve import reserve_of
from ml_backend.shots import is_gold
from ml_backend.store import mirror
from ml_backend.store.database import Database
from ml_backend.store.schema import Project

COLUMNS = ("task", "text", "label", "provenance", "annotator", "side", "text_hash")


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What people have said in one project, as a snapshot names it; `texts` by hash."""

    space: LabelSpace
    dataset: Dataset
    snapshot: str
    texts: dict[str, str]


def read_labelled(db: Database, learning: Learning, project: Project) -> Labelled:
    """The labels as of the last sync, and their snapshot, which is written now. Raises ConfigurationError."""
    if not project.label_config:
        raise ConfigurationError(
            f"project {project.project_id} was never read: start `ale worker`, or run `ale connect` again"
        )
    space = space_of(project)
    tasks = mirror.all_tasks(db, project.key)
    annotations = mirror.all_annotations(db, project.key)
    dataset = build_dataset(tasks, annotations, space, reserve_of(project))
    snapshot = write_snapshot(learning.snapshots / project.key, snapshot_rows(dataset))
    wanted = {dataset.hashes[row] for row in [*dataset.labelled.tolist(), *dataset.audit.rows.tolist()]}
    return Labelled(space, dataset, snapshot, mirror.texts(db, project.key, sorted(wanted)))


def write_labels(labelled: Labelled, project: Project, folder: Path, kind: str) -> int:
    """`labels.csv` or `labels.jsonl`, one row per labelled task, and `manifest.json`; how many rows.

    `side` is where the text stands when a model is trained: `validation` and `audit` texts are never shown to one.
    """
    rows = [
        {
            "task": row.task,
            "text": labelled.texts[row.text_hash],
            "label": row.label,
            "provenance": row.provenance,
            "annotator": row.annotator,
            "side": _side(project.key, row),
            "text_hash": row.text_hash,
        }
        for row in snapshot_rows(labelled.dataset)
        if row.text_hash in labelled.texts
    ]
    manifest = {
        "format": kind,
        "project": project.project_id,
        "snapshot": labelled.snapshot,
        "labels": list(labelled.space.labels),
        "rows": len(rows),
        "excluded": labelled.dataset.excluded,
    }
    write_files(folder, {f"labels.{kind}": WRITERS[kind](rows)}, manifest)
    return len(rows)


def _side(project: str, row: SnapshotRow) -> str:
    if row.provenance == Provenance.AUDIT.value:
        return "audit"
    return "validation" if is_gold(project, row.text_hash) else "train"


def write_files(folder: Path, files: Mapping[str, str | bytes], manifest: dict[str, Any]) -> None:
    """The files, and `manifest.json` last; readable by us only, since they hold the project's texts."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, content in files.items():
            write_private(folder / name, content)
        write_private(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write into {folder}: {error.strerror}; name another folder with --out"
        ) from error


def jsonl(rows: list[dict[str, Any]]) -> str:
    """One JSON object per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_of(rows: list[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """A header and one line per object."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], str]] = {"csv": csv_of, "jsonl": jsonl}
"""Formats of labels by name, which is also the file's suffix."""
