"""ALE, the active learning engine: teachers, students, query strategies, review. Needs no Label Studio."""

from ale.types import (
    Abstention,
    Beliefs,
    Example,
    LabelIssue,
    LabelSpace,
    Provenance,
)

__all__ = [
    "Abstention",
    "Beliefs",
    "Example",
    "LabelIssue",
    "LabelSpace",
    "Provenance",
]
