"""Wrong labels on purpose: simulated annotators that err in three ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError, UnknownName
from ale.types import Probs

Gold = NDArray[np.int64]
Kind = Callable[[Gold, int, Probs, np.random.Generator], Gold]
"""A wrong label for every row, from the gold labels, their number, and what a student of them believes."""


def uniform(gold: Gold, labels: int, _student: Probs, rng: np.random.Generator) -> Gold:
    """Any other label, with equal chances."""
    return (gold + rng.integers(1, labels, len(gold))) % labels


def class_dependent(gold: Gold, labels: int, _student: Probs, rng: np.random.Generator) -> Gold:
    """Each label is mistaken for one other, drawn once per run."""
    partner = np.array([rng.choice(np.delete(np.arange(labels), label)) for label in range(labels)])
    return np.asarray(partner[gold], np.int64)


def instance_dependent(gold: Gold, _labels: int, student: Probs, _rng: np.random.Generator) -> Gold:
    """What the student of the gold labels finds likeliest besides the truth: people confuse what it confuses."""
    others = student.copy()
    others[np.arange(len(gold)), gold] = -1.0
    return np.asarray(others.argmax(axis=1), np.int64)


KINDS: dict[str, Kind] = {
    "uniform": uniform,
    "class": class_dependent,
    "instance": instance_dependent,
}


@dataclass(frozen=True, slots=True)
class Noise:
    """A kind of noise and the share of labels that it makes wrong."""

    kind: str
    rate: float

    @classmethod
    def parse(cls, said: str) -> Self:
        """`class:0.1` and the like. Raises UnknownName for the kind and ConfigurationError for the share."""
        kind, _, share = said.strip().partition(":")
        if kind not in KINDS:
            raise UnknownName("kind of label noise", kind, list(KINDS))
        try:
            rate = float(share)
        except ValueError:
            rate = -1.0
        if not 0 <= rate < 1:
            raise ConfigurationError(
                f"label noise {said.strip()!r}: give the share of wrong labels from 0 to 1, as in {kind}:0.1"
            )
        return cls(kind, rate)

    def __str__(self) -> str:
        return f"{self.kind}:{self.rate:g}"

    def inject(self, gold: Gold, labels: int, student: Probs, rng: np.random.Generator) -> Gold:
        """The labels with exactly that share of them wrong; instance-dependent noise falls on the hard rows first."""
        wrong = KINDS[self.kind](gold, labels, student, rng)
        weight = np.ones(len(gold))
        if self.kind == "instance":
            weight = 1.05 - student[np.arange(len(gold)), gold].astype(np.float64)
        chosen = rng.choice(len(gold), round(self.rate * len(gold)), replace=False, p=weight / weight.sum())
        given = gold.copy()
        given[chosen] = wrong[chosen]
        return given
