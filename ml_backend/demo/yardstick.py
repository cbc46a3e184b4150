"""How good teacher and student are on messages that Label Studio has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ale.errors import CheckpointError
from ale.io.checkpoints import load_checkpoint
from ale.predictor import Predictor
from ale.text import to_example
from ale.types import LabelSpace, Probs
from ml_backend.demo.sample import Message
from ml_backend.demo.standin import measured_teacher
from ml_backend.learning import build_learning
from ml_backend.settings import Settings
from ml_backend.store import versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Version


@dataclass(frozen=True, slots=True)
class Measured:
    """One version on the held-out messages."""

    version: str
    labels: int
    accuracy: float


class Yardstick:
    """Encodes the held-out messages once, then measures each version that has a student."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        project: Project,
        space: LabelSpace,
        messages: list[Message],
        *,
        stand_in: bool = False,
    ) -> None:
        self._settings, self._db, self._project = settings, db, project
        self._gold = np.array([space.index(message.label) for message in messages])
        learning = build_learning(settings)
        examples = [e for e in (to_example(i, m.text) for i, m in enumerate(messages)) if e is not None]
        self._raw = learning.encoder.encode([example.text for example in examples])
        # A real paid teacher is not measured: these questions would be paid, and counted in no budget.
        teacher = measured_teacher(settings, learning) if stand_in else learning.teacher
        self.teacher = self._accuracy(teacher.predict_proba(examples, space)) if teacher else None
        """The teacher's accuracy; None without a teacher that can be asked for nothing."""
        self.measured: list[Measured] = []
        self._seen = {version.version for version in self._versions()}

    def new(self, labels: int) -> list[Measured]:
        """Measure the versions that came into force since the last call; `labels` is how many were given."""
        found = []
        for version in self._versions():
            if version.version in self._seen:
                continue
            self._seen.add(version.version)
            accuracy = self._student(version.version) if version.kind == "student" else None
            if accuracy is not None:
                found.append(Measured(version.version, labels, accuracy))
        self.measured += found
        return found

    def _versions(self) -> Sequence[Version]:
        """Versions that are or were in force, oldest first."""
        rows = versions.every(self._db, self._project.key)
        return [row for row in reversed(rows) if row.in_force_at is not None]

    def _student(self, version: str) -> float | None:
        try:
            arrays, manifest = load_checkpoint(self._settings.checkpoints, self._project.key, version)
        except CheckpointError:
            return None  # pruned meanwhile: several versions came and went between two looks
        return self._accuracy(Predictor.from_state(arrays, manifest).predict_proba(self._raw))

    def _accuracy(self, probs: Probs) -> float:
        answered = ~np.isnan(probs).any(axis=1)
        best = np.where(answered, np.nan_to_num(probs).argmax(axis=1), -1)
        return float((best == self._gold).mean())
