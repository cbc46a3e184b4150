"""Which texts the scanner leaves to the encoder student: the least confident ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.chance import Rate
from ale.errors import ConfigurationError
from ale.types import Probs


@dataclass(frozen=True, slots=True)
class Cascade:
    """`share` of the readable texts, the least confident first, and in any case all below a confidence."""

    share: float = 0.0
    below: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("share", self.share), ("confidence", self.below)):
            if not 0.0 <= value <= 1.0:
                raise ConfigurationError(f"the {name} to defer lies between 0 and 1, not at {value}")

    def __bool__(self) -> bool:
        return self.share > 0 or self.below > 0

    def deferred(self, confidence: NDArray[np.float32], readable: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Positions to defer, in order. Depends on these texts alone, so that a repeated run defers the same."""
        rows = np.flatnonzero(readable)
        order = rows[np.argsort(confidence[rows], kind="stable")]
        share = math.ceil(self.share * len(rows) - 1e-9)
        unsure = int(np.count_nonzero(confidence[rows] < self.below))
        return np.sort(order[: max(share, unsure)])


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What scanner and student said about labelled texts that neither had learnt from; row by row.

    Their calibrated probabilities are what later promises about unseen texts can be computed from.
    """

    truth: NDArray[np.int32]
    scanner: Probs
    student: Probs

    def after(self, cascade: Cascade) -> Probs:
        """What the two say together: the student's probabilities for the texts that the cascade defers."""
        said = self.scanner.copy()
        sure = self.scanner.max(axis=1, initial=0.0).astype(np.float32)
        later = cascade.deferred(sure, np.ones(len(sure), bool))
        said[later] = self.student[later]
        return said

    def deferring(self, accuracy: float) -> tuple[Cascade, float]:
        """The cascade that defers least and reaches `accuracy`, and the share that it deferred here.

        Reaches: with 95 % confidence (Wilson's lower bound). ConfigurationError says what can be had.
        """
        sure = self.scanner.max(axis=1)
        order = np.argsort(sure, kind="stable")
        mine = (self.scanner.argmax(axis=1) == self.truth)[order]
        theirs = (self.student.argmax(axis=1) == self.truth)[order]
        n = len(order)
        right = np.concatenate([[0], np.cumsum(theirs)]) + mine.sum() - np.concatenate([[0], np.cumsum(mine)])
        bounds = np.array([Rate(int(hits), n).interval[0] for hits in right])
        enough = np.flatnonzero(bounds >= accuracy)
        if not len(enough):
            best = int(bounds.argmax())
            raise ConfigurationError(
                f"an accuracy of {accuracy:.3f} cannot be promised: on {n} held-out texts the most is "
                f"{right[best] / n if n else 0.0:.3f} (at least {bounds[best]:.3f} with 95 % confidence), with "
                f"{best / max(n, 1):.0%} of the texts left to the encoder student"
            )
        count = int(enough[0])
        # The first one that stays is the threshold: all below it are deferred.
        below = 0.0 if count == 0 else 1.0 if count == n else float(sure[order[count]])
        return Cascade(below=below), count / n
