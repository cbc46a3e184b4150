"""Why a label is doubted, in plain words for the person who decides."""

from __future__ import annotations

import numpy as np

from ale.evidence import Evidence
from ale.types import LabelSpace

MAX_CHARS = 61  # a table cell shows about 120; the other half says how to answer
_NEIGHBOURS = 5
_NEAR = 0.4  # cosine in the centred space from which two texts speak of the same thing


def explain(evidence: Evidence, row: int, suggested: int, probability: float, labels: LabelSpace) -> str:
    """At most 61 characters: what the model says, then the teacher or similar texts if they agree."""
    text = f"Model says {_short(labels.labels[suggested])} ({probability:.2f})"
    for more in (_teacher(evidence, row, suggested), _neighbours(evidence, row, suggested)):
        if more and len(text) + 2 + len(more) <= MAX_CHARS:
            text += f"; {more}"
    return text[:MAX_CHARS]


def _teacher(evidence: Evidence, row: int, suggested: int) -> str:
    if evidence.teacher is None or np.isnan(evidence.teacher[row]).any():
        return ""
    return "teacher agrees" if int(evidence.teacher[row].argmax()) == suggested else ""


def _neighbours(evidence: Evidence, row: int, suggested: int) -> str:
    """How many of the most similar other texts carry the suggested label; silent below two."""
    closeness = evidence.features @ evidence.features[row]
    closeness[row] = -1.0
    if evidence.groups is not None:
        closeness[evidence.groups == evidence.groups[row]] = -1.0
    nearest = np.argsort(-closeness, kind="stable")[:_NEIGHBOURS]
    nearest = nearest[closeness[nearest] >= _NEAR]
    same = int(np.sum(evidence.targets[nearest] == suggested))
    return f"{same} of {len(nearest)} similar too" if same >= 2 else ""


def _short(label: str, most: int = 28) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"
