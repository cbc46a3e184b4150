"""A student ready for use: raw embeddings in, calibrated probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.errors import CheckpointError
from ale.features import FeatureSpace
from ale.protocols import Student
from ale.students import resolve_student
from ale.types import Embeddings, Probs

_PREFIX = "student."


@dataclass(frozen=True, slots=True)
class Predictor:
    """The student together with what its input and output need: feature space and temperature."""

    student: Student
    space: FeatureSpace
    temperature: float

    def predict_proba(self, raw: Embeddings) -> Probs:
        """Shape (rows, labels), rows sum to 1; `raw` is what the encoder gives."""
        return softmax(self.student.logits(self.space.transform(raw)), self.temperature)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and manifest values for `ale.io.checkpoints.save_checkpoint`."""
        arrays, values = self.student.state()
        named = {f"{_PREFIX}{name}": array for name, array in arrays.items()}
        manifest = {
            "student": self.student.kind,
            "student_values": dict(values),
            "temperature": self.temperature,
        }
        return {**named, "pool_mean": self.space.mean}, manifest

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> Self:
        """The predictor that `state` described; CheckpointError when something is missing."""
        try:
            kind, temperature = str(manifest["student"]), float(manifest["temperature"])
            mean = np.asarray(arrays["pool_mean"], np.float32)
            own = {name.removeprefix(_PREFIX): a for name, a in arrays.items() if name.startswith(_PREFIX)}
            student = resolve_student(kind).from_state(own, manifest.get("student_values") or {})
        except KeyError as error:
            raise CheckpointError(f"the checkpoint lacks {error}") from error
        return cls(student, FeatureSpace(mean), temperature)
