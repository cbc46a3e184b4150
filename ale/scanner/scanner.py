"""The scanner as an object: a table of weights that answers for a batch of texts, and its saved form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ale.errors import CheckpointError
from ale.scanner.features import FORMAT, SCALES
from ale.scanner.scan import NARROW, scan
from ale.scanner.table import MOST_ROWS
from ale.scanner.texts import BadRow, Texts, reason_number

_BROKEN, _EMPTY = reason_number(BadRow.BROKEN_UTF8), reason_number(BadRow.NO_TEXT)
_FORMS = {"places": ("uint32", 1), "rows": ("float32", 2), "bias": ("float32", 1)}
_ARRAYS = tuple(_FORMS)


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """Per text the position of its label (-1 = none), the confidence in [0, 1] and the number of the reason."""

    best: NDArray[np.int32]
    confidence: NDArray[np.float32]
    bad: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Scanner:
    """Immutable; `predict` may be called from several threads at once and then runs on several cores."""

    form: int
    places: NDArray[np.uint32]
    rows: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    @classmethod
    def of_weights(
        cls,
        form: int,
        places: NDArray[np.uint32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> Self:
        """The table for scanning: weights times values, and the values' squares beside them."""
        labels = weights.shape[1]
        width = NARROW if labels < NARROW else labels + 1
        rows = np.zeros((len(values), width), np.float32)
        rows[:, :labels] = weights * values[:, None]
        rows[:, labels] = values**2
        return cls(form, places, rows, bias)

    @property
    def labels(self) -> int:
        """How many labels it tells apart."""
        return len(self.bias)

    def at(self, temperature: float) -> Scanner:
        """The same scanner, calibrated."""
        return replace(self, temperature=temperature)

    def predict(self, texts: Texts) -> Scanned:
        """The likeliest label of every text and the calibrated confidence in it."""
        return self._scan(texts, np.empty((0, 0), np.float32))

    def logits(self, texts: Texts) -> NDArray[np.float32]:
        """Shape (texts, labels), by the temperature; a bad row is all zeros."""
        out = np.zeros((len(texts), self.labels), np.float32)
        self._scan(texts, out)
        return out

    def _scan(self, texts: Texts, logits: NDArray[np.float32]) -> Scanned:
        return Scanned(
            *scan(
                _frozen(texts.data),
                texts.offsets,
                texts.known,
                _BROKEN,
                _EMPTY,
                self.form,
                _frozen(self.places),
                _frozen(self.rows),
                _frozen(self.bias),
                float(self.temperature),
                logits,
            )
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON values from which `from_state` makes an equal scanner."""
        values = {"format": FORMAT, "form": self.form, "temperature": self.temperature}
        return {name: getattr(self, name) for name in _ARRAYS}, values

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The scanner that `state` described; CheckpointError where this ALE reads texts in another way."""
        if values.get("format") != FORMAT:
            raise CheckpointError(
                f"the scanner's features are of format {values.get('format')!r}, this ALE knows format {FORMAT}: "
                "use the ALE that made the model, or make it again with `ale fit`"
            )
        try:
            found = {name: np.ascontiguousarray(arrays[name]) for name in _ARRAYS}
            form, temperature = int(values["form"]), float(values["temperature"])
        except KeyError as error:
            raise CheckpointError(f"the scanner lacks {error}") from error
        # The compiled loop checks no bounds: what it is given must fit.
        forms = {name: (array.dtype.name, array.ndim) for name, array in found.items()}
        if forms != _FORMS:
            raise CheckpointError(f"the scanner's arrays are {forms}, not {_FORMS}")
        size, width = len(found["places"]), found["rows"].shape[1]
        if (
            form not in SCALES
            or not 0 < temperature < np.inf
            or size < 2
            or size & (size - 1)
            or int((found["places"] & np.uint32(MOST_ROWS)).max(initial=0)) >= len(found["rows"])
            or not len(found["bias"]) < width
            or (width != NARROW and width != len(found["bias"]) + 1)
        ):
            raise CheckpointError("the scanner's table does not fit together")
        return cls(form, **found, temperature=temperature)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array read-only: one compiled version of the loop serves Arrow's buffers and our own arrays alike."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
