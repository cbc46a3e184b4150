"""The parts that a learn run and a teach run work with, chosen by name from the settings."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.encoder import MiniLMEncoder
from ale.protocols import Strategy, Student, Teacher
from ale.strategies import resolve_strategy
from ale.students import resolve_student
from ale.teachers import resolve_teacher
from ml_backend.settings import Settings


@dataclass(frozen=True, slots=True)
class Learning:
    """Names turned into objects. The encoder's weights are read at the first new text, not here."""

    encoder: CachedEncoder
    cache: EmbeddingCache
    teacher: Teacher | None
    strategy: Strategy
    student: type[Student]
    recipe: dict[str, str]
    snapshots: Path


def build_learning(settings: Settings) -> Learning:
    """Raises UnknownName, which lists the valid names."""
    strategy, student = resolve_strategy(settings.strategy), resolve_student(settings.student)
    raw = MiniLMEncoder(settings.encoder, threads=min(2, os.cpu_count() or 1))
    cache = EmbeddingCache(settings.home / "embeddings", raw.name, raw.dimensions)
    encoder = CachedEncoder(raw, cache)
    teacher = resolve_teacher(settings.teacher, encoder)
    recipe = {
        "student": settings.student,
        "strategy": settings.strategy,
        "encoder": raw.name,
        "teacher": teacher.name if teacher else "none",
    }
    return Learning(encoder, cache, teacher, strategy, student, recipe, settings.home / "snapshots")


def seed_of(project: str) -> int:
    """A seed that is fixed for a project, so that a repeated run comes to the same order."""
    return int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big")
