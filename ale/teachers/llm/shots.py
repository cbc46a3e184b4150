"""Which human-labelled examples a question shows. Never a teacher's own answers: it would learn its mistakes.

Standing examples are the same for every text and come from confusions: texts where the teacher and the people
disagreed. Dynamic ones are chosen per text: the nearest in embedding space (Liu et al., 2022), no label more
often than its share, no two that say the same, the most similar last, where models weigh it most.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ale.teachers.llm.size import SHOT_CHARS, clip
from ale.types import Embeddings

NEAR_DUPLICATE = 0.95
"""Cosine above which a second example adds tokens and no knowledge."""

SHOT_TOKENS = 12
"""What the JSON around an example's text costs, its label included."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A text that a person has labelled; `note` says what was mistaken there."""

    text: str
    label: int
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ShotSet:
    """A frozen choice of examples: `standing` for every text, `pool` to choose from.

    `vectors` are the pool's embeddings, row by row. `fingerprint` changes with any of the examples.
    """

    standing: tuple[Shot, ...] = ()
    pool: tuple[Shot, ...] = ()
    vectors: Embeddings | None = field(default=None, repr=False)
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.vectors is not None and len(self.vectors) != len(self.pool):
            raise ValueError(f"{len(self.vectors)} vectors for {len(self.pool)} examples")


EMPTY = ShotSet()


def make_shots(
    standing: Sequence[Shot] = (), pool: Sequence[Shot] = (), vectors: Embeddings | None = None
) -> ShotSet:
    """The set with its fingerprint (12 hex digits, empty for no examples); rows of `vectors` are made unit."""
    if not standing and not pool:
        return EMPTY
    said = [[(shot.text, shot.label, shot.note) for shot in part] for part in (standing, pool)]
    fingerprint = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]
    return ShotSet(tuple(standing), tuple(pool), None if vectors is None else unit_rows(vectors), fingerprint)


def unit_rows(vectors: Embeddings) -> Embeddings:
    """Rows of length 1; a row that has no direction (zeros, NaN) becomes zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.where(usable, vectors / np.where(usable, length, 1.0), 0.0).astype(np.float32)


class ShotPicker:
    """Chooses from one pool; counts each example's tokens once."""

    def __init__(
        self, shots: ShotSet, n_labels: int, *, most: int, tokens: int, count: Callable[[str], int]
    ) -> None:
        self._pool, self._vectors = shots.pool, shots.vectors
        self._shown_already = {shot.text for shot in shots.standing}
        self._most, self._budget = most, tokens
        self._per_label = max(1, -(-most // max(1, n_labels)))
        self._count = count
        self._costs: dict[int, int] = {}

    def pick(self, texts: Collection[str], vectors: Embeddings | None = None) -> tuple[Shot, ...]:
        """At most `most` examples for a question about these texts, within the token budget, most similar last.

        A label stands there at most ceil(most / labels) times. An example of one of the very texts is left out:
        it would tell the answer, and agreement with people would measure nothing. `vectors` are the texts' own,
        unit rows; without them (None, zeros) the pool's order decides, the same for every question.
        """
        if self._most == 0 or not self._pool:
            return ()
        chosen: list[int] = []
        per_label: Counter[int] = Counter()
        spent = 0
        for i in self._nearest_first(vectors):
            if len(chosen) == self._most:
                break
            shot = self._pool[i]
            if shot.text in texts or shot.text in self._shown_already:
                continue
            if per_label[shot.label] >= self._per_label or self._resembles(i, chosen):
                continue
            if spent + self._cost(i) > self._budget:
                continue  # a shorter one may still fit
            chosen.append(i)
            per_label[shot.label] += 1
            spent += self._cost(i)
        return tuple(self._pool[i] for i in reversed(chosen))

    def _nearest_first(self, vectors: Embeddings | None) -> list[int]:
        if vectors is None or self._vectors is None or not np.any(vectors):
            return list(range(len(self._pool)))
        if vectors.shape[1] != self._vectors.shape[1]:
            raise ValueError(
                f"the texts' vectors have {vectors.shape[1]} columns, the examples' have {self._vectors.shape[1]}"
            )
        nearest = (self._vectors @ vectors.T).max(axis=1)
        order: list[int] = np.argsort(-nearest, kind="stable").tolist()
        return order

    def _resembles(self, i: int, chosen: list[int]) -> bool:
        if self._vectors is None or not chosen:
            return False
        return bool(np.max(self._vectors[chosen] @ self._vectors[i]) > NEAR_DUPLICATE)

    def _cost(self, i: int) -> int:
        if i not in self._costs:
            self._costs[i] = self._count(clip(self._pool[i].text, SHOT_CHARS)) + SHOT_TOKENS
        return self._costs[i]


def contrast_shots(
    shots: Sequence[Shot], said: Sequence[int | None], names: Sequence[str], *, pairs: int = 4
) -> tuple[Shot, ...]:
    """Standing examples from the confusions: `said[i]` is the teacher's label where people chose `shots[i].label`.

    The most frequently confused pairs of labels come first, and each shows both sides: a text of either label,
    one that was mistaken for the other where there is one, the shortest to save tokens. None = it abstained.
    """
    if len(shots) != len(said):
        raise ValueError(f"{len(said)} answers for {len(shots)} examples")
    confused = Counter(
        (min(shot.label, other), max(shot.label, other))
        for shot, other in zip(shots, said, strict=True)
        if other is not None and other != shot.label
    )
    chosen: list[Shot] = []
    for pair in sorted(confused, key=lambda pair: (-confused[pair], pair))[:pairs]:
        for label, other in (pair, pair[::-1]):
            sides = [
                (answer == other, shot)
                for shot, answer in zip(shots, said, strict=True)
                if shot.label == label and answer in {other, label}
            ]
            if not sides:
                continue
            mistaken, shot = min(sides, key=lambda side: (not side[0], len(side[1].text), side[1].text))
            note = f"people chose {names[label]}, not {names[other]}" if mistaken else ""
            chosen.append(Shot(shot.text, label, note))
    return tuple(chosen)
