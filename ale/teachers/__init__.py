"""The teachers by name. A new one is a file in this folder and a line in this table."""

from __future__ import annotations

from collections.abc import Callable

from ale.errors import UnknownName
from ale.protocols import Encoder, Teacher
from ale.teachers.zero_shot import ZeroShotTeacher

TEACHERS: dict[str, Callable[[Encoder], Teacher] | None] = {
    "zero-shot": ZeroShotTeacher,
    "none": None,
}
"""Name to a function that makes the teacher from the encoder; `none` = humans only."""


def resolve_teacher(name: str, encoder: Encoder) -> Teacher | None:
    """The teacher of that name, None for `none`."""
    if name not in TEACHERS:
        raise UnknownName("teacher", name, list(TEACHERS))
    factory = TEACHERS[name]
    return None if factory is None else factory(encoder)


__all__ = ["TEACHERS", "ZeroShotTeacher", "resolve_teacher"]
