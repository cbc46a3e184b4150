"""The parts that a learn run and a teach run work with, chosen by name from the settings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.encoder import resolve_encoder
from ale.protocols import Strategy, Student, Teacher
from ale.strategies import resolve_strategy
from ale.students import resolve_student
from ml_backend.settings import Settings
from ml_backend.teachers import NamedTeacher, resolve_teachers


@dataclass(frozen=True, slots=True)
class Learning:
    """Names turned into objects. The encoder's weights are read at the first new text, not here."""

    encoder: CachedEncoder
    cache: EmbeddingCache
    teachers: tuple[NamedTeacher, ...]
    """In the order of ALE_TEACHER: the cheap ones first."""
    strategy: Strategy
    student: Callable[[], Student]
    recipe: dict[str, str]
    snapshots: Path

    @property
    def teacher(self) -> Teacher | None:
        """The first teacher that answers at once and for nothing; None without one."""
        return next((teacher.free for teacher in self.teachers if teacher.free is not None), None)


def build_learning(settings: Settings) -> Learning:
    """Raises UnknownName, which lists the valid names, and ConfigurationError for what fits together nowhere."""
    strategy, student = resolve_strategy(settings.strategy), resolve_student(settings.student)
    raw = resolve_encoder(settings.encoder, threads=min(2, os.cpu_count() or 1))
    cache = EmbeddingCache(settings.home / "embeddings", raw.name, raw.dimensions)
    encoder = CachedEncoder(raw, cache)
    teachers = resolve_teachers(settings, encoder)
    recipe = {
        "student": settings.student,
        "strategy": settings.strategy,
        "encoder": raw.name,
        "teacher": ",".join(teacher.name for teacher in teachers) or "none",
        "audit_share": f"{settings.audit_share:g}",
    }
    return Learning(encoder, cache, teachers, strategy, student, recipe, settings.home / "snapshots")


def seed_of(project: str) -> int:
    """A seed that is fixed for a project, so that a repeated run comes to the same order."""
    return int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big")
