"""ALE, the active learning engine: teachers, students, query strategies, review. Needs no Label Studio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ale.types import (
    Abstention,
    Beliefs,
    Example,
    LabelIssue,
    LabelSpace,
    Provenance,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ale.model import Model


def load(folder: str | Path) -> Model:
    """The model that `ale fit` made: `load(folder).predict(texts)`. Needs the extra [index]."""
    # Imported here: the engine is used by a web process that reads no models.
    from ale.loading import load as read

    return read(folder)


__all__ = [
    "Abstention",
    "Beliefs",
    "Example",
    "LabelIssue",
    "LabelSpace",
    "Provenance",
    "load",
]
