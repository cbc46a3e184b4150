"""The model that leaves home: scanner, encoder student and label space in one object that answers for texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ale.calibration import softmax
from ale.cascade import Cascade, HeldOut
from ale.errors import CheckpointError
from ale.prediction_sets import prediction_sets, set_threshold
from ale.predictor import Predictor
from ale.scanner.scanner import Scanner
from ale.scanner.texts import BAD_ROWS, BadRow, Texts
from ale.shares import Share, corrected_shares
from ale.text import normalise
from ale.types import Embeddings

NO_CASCADE = Cascade()


class ModelEncoder(Protocol):
    """An encoder that tells how far it is."""

    name: str

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Embeddings:
        """See `ale.protocols.Encoder`; `progress` hears how many more texts are done."""
        ...


class Said(NamedTuple):
    """What the model says of one text: a label and how sure it is, or why there is none."""

    label: str | None
    confidence: float
    reason: BadRow | None


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Per text the label's position (-1 = none), confidence in [0, 1], number of the reason, and who answered.

    `sets` marks the labels of each prediction set, where sets were asked for; a bad row has none.
    """

    best: NDArray[np.int32]
    confidence: NDArray[np.float32]
    bad: NDArray[np.uint8]
    deferred: NDArray[np.int64]
    sets: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Immutable. `encoder` is asked only for texts that are deferred; `version` names the weights."""

    labels: tuple[str, ...]
    scanner: Scanner
    predictor: Predictor
    encoder: ModelEncoder
    held_out: HeldOut
    text_column: str = "text"
    version: str = ""

    def predict(self, texts: Sequence[str | None], defer: float = 0.0) -> list[Said]:
        """What the scanner says; the `defer` share of which it is least sure is left to the encoder student."""
        found = self.classify(Texts.of(texts), Cascade(defer))
        return [
            Said(
                None if best < 0 else self.labels[best],
                float(confidence),
                BAD_ROWS[bad - 1] if bad else None,
            )
            for best, confidence, bad in zip(
                found.best.tolist(), found.confidence.tolist(), found.bad.tolist(), strict=True
            )
        ]

    def classify(
        self,
        texts: Texts,
        cascade: Cascade = NO_CASCADE,
        heard: Callable[[int], None] | None = None,
        *,
        threshold: float | None = None,
    ) -> Classified:
        """The same for texts as bytes; `heard` is told how many more texts the encoder has done.

        With a `threshold` (of `set_threshold`) each text has a prediction set as well.
        """
        found = self.scanner.predict(texts)
        best, confidence = found.best, found.confidence
        sets = None if threshold is None else prediction_sets(softmax(self.scanner.logits(texts)), threshold)
        later = cascade.deferred(confidence, found.bad == 0)
        if len(later):
            probs = self.student_probs([texts[row].decode() for row in later], heard)
            best[later] = probs.argmax(axis=1)
            confidence[later] = probs.max(axis=1)
            if sets is not None and threshold is not None:
                sets[later] = prediction_sets(probs, threshold)
        if sets is not None:
            sets[found.bad != 0] = False
        return Classified(best, confidence, found.bad, later, sets)

    def set_threshold(self, coverage: float, cascade: Cascade = NO_CASCADE) -> float:
        """The probability from which a label belongs to a prediction set of that coverage.

        Raises ConfigurationError where too few texts were held out.
        """
        return set_threshold(self.held_out.after(cascade), self.held_out.truth, coverage)

    def shares(self, counts: Mapping[str, int], cascade: Cascade = NO_CASCADE) -> dict[str, Share]:
        """How many texts truly have each label, where so many were given it; see `ale.shares`."""
        return corrected_shares(counts, self.labels, self.held_out.after(cascade), self.held_out.truth)

    def student_probs(
        self, texts: Sequence[str], heard: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """The encoder student's calibrated probabilities, shape (texts, labels)."""
        # A text of typographic marks alone can be nothing to the encoder: an empty text then, as it was taught.
        raw = self.encoder.encode([normalise(text) or "" for text in texts], heard)
        return self.predictor.predict_proba(raw)

    def state(self) -> tuple[dict[str, dict[str, NDArray[Any]]], dict[str, Any]]:
        """Arrays by file and manifest values, for `ale.io.model_folder`."""
        scanner, scanner_values = self.scanner.state()
        student, values = self.predictor.state()
        held_out: dict[str, NDArray[Any]] = {
            "truth": self.held_out.truth,
            "scanner": self.held_out.scanner.astype(np.float16),
            "student": self.held_out.student.astype(np.float16),
        }
        manifest = {
            **values,
            "labels": list(self.labels),
            "scanner": scanner_values,
            "encoder": self.encoder.name,
            "text_column": self.text_column,
        }
        return {"scanner": scanner, "student": dict(student), "held_out": held_out}, manifest

    @classmethod
    def from_state(
        cls,
        arrays: Mapping[str, Mapping[str, NDArray[Any]]],
        manifest: Mapping[str, Any],
        encoder: ModelEncoder,
    ) -> Self:
        """The model that `state` described; CheckpointError where the parts do not belong together."""
        try:
            labels = tuple(str(label) for label in manifest["labels"])
            scanner = Scanner.from_state(arrays["scanner"], manifest["scanner"])
            predictor = Predictor.from_state(arrays["student"], manifest)
            told = arrays["held_out"]
            held_out = HeldOut(
                told["truth"], told["scanner"].astype(np.float32), told["student"].astype(np.float32)
            )
            name, version = str(manifest["encoder"]), str(manifest["version"])
            text_column = str(manifest["text_column"])
        except KeyError as error:
            raise CheckpointError(f"the model lacks {error}") from error
        if name != encoder.name:
            raise CheckpointError(f"the model was made with the encoder {name}, not with {encoder.name}")
        if scanner.labels != len(labels) or held_out.scanner.shape[1:] != (len(labels),):
            raise CheckpointError(
                f"the scanner tells {scanner.labels} labels apart, the model has {len(labels)}"
            )
        return cls(labels, scanner, predictor, encoder, held_out, text_column, version)
