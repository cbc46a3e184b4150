"""The files that go with a version: manifest, data-set snapshot, learning curve. None of them holds a text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ale.errors import CheckpointError, MissingExtra
from ale.io.plots import Line, draw_curves
from ale.io.snapshots import snapshot_file
from ml_backend.settings import Settings
from ml_backend.store import versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Version


def put_together(
    folder: Path,
    settings: Settings,
    db: Database,
    project: Project,
    version: Version,
    manifest: Mapping[str, Any],
) -> None:
    """Write what there is into `folder`; what was pruned is left out."""
    if manifest:
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / "manifest.json").write_text(text, encoding="utf-8")
    with suppress(CheckpointError, FileNotFoundError):
        snapshot = snapshot_file(settings.home / "snapshots" / project.key, version.snapshot)
        shutil.copyfile(snapshot, folder / f"snapshot-{snapshot.name}")
    if version.version == project.version:  # a backlog would draw the same picture again and again
        with suppress(MissingExtra):
            _draw(folder / "learning-curve.png", db, project)


def _draw(path: Path, db: Database, project: Project) -> None:
    """Held-out accuracy over labels, a point per version in force; no picture of a single point."""
    points = [
        (float(v.metrics["n_labels"]), float(v.metrics["oof_accuracy"]))
        for v in reversed(versions.every(db, project.key))
        if v.in_force_at is not None and {"n_labels", "oof_accuracy"} <= v.metrics.keys()
    ]
    if len(points) < 2:
        return
    x, y = zip(*points, strict=True)
    measured = "agreement with people, cross-validated"
    draw_curves(path, "student", {"student": Line(x, y, [0.0] * len(x))}, {}, measured=measured)
