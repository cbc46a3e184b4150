"""What MLflow is told about one version: params, metrics and tags, from SQL and the checkpoint's manifest.

Numbers, names from the settings, hashes and names of labels; no text of a task ever stands in either source.
The same version gives the same account at any time, so that telling it twice changes nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any

from ml_backend.store.schema import Project, Run, Version

VERSION, PROJECT = "ale.version", "ale.project"
"""The tags by which a run and an experiment are found again."""

LONGEST = 500
"""Characters of a value: what the narrowest of MLflow's databases and servers take."""
LONGEST_NAME = 80
_REFUSED = re.compile(r"[^/\w.\- :]")
"""What MLflow takes in no metric's name; names of teachers may have it."""


@dataclass(frozen=True, slots=True)
class Account:
    """One version in force, as MLflow shall show it. `metrics` are logged at step `number`."""

    project: str
    experiment: str
    """Name of the project's experiment, should there be none yet."""
    version: str
    number: int
    newest: bool
    """It is the version in force, so the alias belongs to it."""
    began_at: datetime
    in_force_at: datetime
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def model(self) -> str:
        """Name of the project's registered model; MLflow allows neither slash nor colon there."""
        return f"ale-{self.project}"


def account_of(project: Project, version: Version, run: Run | None, manifest: Mapping[str, Any]) -> Account:
    """The account of a version that was in force; `manifest` is empty when its checkpoint was pruned."""
    title = " ".join(project.title.split())[:LONGEST_NAME]
    return Account(
        project=project.key,
        experiment=f"ale/{title} ({project.key})",
        version=version.version,
        number=version.number,
        newest=version.version == project.version,
        began_at=version.created_at,
        in_force_at=version.in_force_at or version.created_at,
        params=_params(version, manifest),
        metrics=dict(_metrics(version, run)),
        tags=_tags(project, version, manifest),
    )


def _params(version: Version, manifest: Mapping[str, Any]) -> dict[str, str]:
    """How it was made: the recipe, and what else the manifest knows."""
    known = {"kind": version.kind, "choices": len(version.labels), **(manifest.get("recipe") or {})}
    known |= {name: manifest[name] for name in ("batch", "temperature") if name in manifest}
    return {name: str(value)[:LONGEST] for name, value in known.items()}


def _metrics(version: Version, run: Run | None) -> Iterator[tuple[str, float]]:
    """Every number about it: quality, counts, and the seconds of each step of its learn run."""
    groups: dict[str, Mapping[str, Any]] = {"": {"answers": version.answers, **version.metrics}}
    if run is not None:
        groups |= {
            "seconds/": run.seconds,
            "counts/": run.counts,
            "not_learnt_from/": run.counts.get("excluded") or {},
        }
    for prefix, numbers in groups.items():
        for name, value in numbers.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                yield _REFUSED.sub("_", prefix + name), float(value)


def _tags(project: Project, version: Version, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Who it is and what it was learnt from."""
    tags = {
        VERSION: version.version,
        PROJECT: project.key,
        "ale.snapshot": version.snapshot,
        "ale.content_hash": str(manifest.get("content_hash", "")),
        "ale.label_config": str(manifest.get("labels_fingerprint", "")),
        "ale.release": _release(),
    }
    return {name: value for name, value in tags.items() if value}


def _release() -> str:
    """ALE's own version; empty where it runs from a folder that was never installed."""
    try:
        return installed("ale-label-studio")
    except PackageNotFoundError:
        return ""
