"""The students by name. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

from ale.errors import UnknownName
from ale.protocols import Student
from ale.students.hybrid import HybridStudent
from ale.students.linear import LinearStudent
from ale.students.transformer import TransformerStudent

STUDENTS: dict[str, type[Student]] = {
    HybridStudent.kind: HybridStudent,
    LinearStudent.kind: LinearStudent,
    TransformerStudent.kind: TransformerStudent,
}
DEFAULT_STUDENT = HybridStudent.kind


def resolve_student(name: str) -> type[Student]:
    """The class of that name, to be fitted or to be read from a checkpoint."""
    if name not in STUDENTS:
        raise UnknownName("student", name, list(STUDENTS))
    return STUDENTS[name]


__all__ = [
    "DEFAULT_STUDENT",
    "STUDENTS",
    "HybridStudent",
    "LinearStudent",
    "TransformerStudent",
    "resolve_student",
]
