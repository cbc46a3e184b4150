"""Whether Label Studio serves a project's tasks in the order that was published."""

from __future__ import annotations

from collections.abc import Iterator

from ml_backend.connect import SAMPLING
from ml_backend.doctor.findings import Finding, broken, works
from ml_backend.label_studio import Json
from ml_backend.store import versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project


def order(db: Database, row: Project, theirs: Json) -> Iterator[Finding]:
    """`row` and `theirs` may be a moment apart: a version that a run is putting in force just now is no fault."""
    again = f"run: ale connect {row.project_id}"
    if theirs["sampling"] != SAMPLING:
        yield broken("order", f"the order is not ALE's because sampling is {theirs['sampling']!r}", again)
    elif not theirs["show_collab_predictions"]:
        fix = "switch on Settings > Annotation > Use predictions to prelabel tasks"
        yield broken("order", "the order is random because predictions are switched off", fix)
    elif row.version is None:
        yield broken("order", "nothing is published yet", "wait for the first pass; see `ale status`")
    elif theirs["model_version"] != row.version and not _just_now(db, row, theirs["model_version"]):
        seen = (
            f"the order is random or old: model_version is {theirs['model_version']!r}, not {row.version!r}"
        )
        yield broken("order", seen, again)
    else:
        yield works("order", f"{theirs['model_version']} in force, lowest score first")
    if int(theirs.get("maximum_annotations") or 1) > 1:
        yield broken(
            "overlap",
            f"maximum_annotations={theirs['maximum_annotations']}: partly annotated tasks are served first, at random",
            "set Settings > Quality > Annotations per task to 1 and raise the overlap per task",
        )


def _just_now(db: Database, row: Project, version: str | None) -> bool:
    """Whether Label Studio's version is ours and newer than what we had read."""
    found = versions.find(db, row.key, version)
    if found is None:
        return False
    flipping = found.state == "flipping" and versions.running_since(db, row.key) is not None
    return flipping or found.state == "in_force"
