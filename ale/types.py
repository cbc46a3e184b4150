"""The values that travel through the engine: frozen, small, and free of any I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Probs = NDArray[np.float32]
"""Shape (examples, labels); rows sum to 1. A row of NaN is an abstention."""

Scores = NDArray[np.float64]
"""Shape (examples,); the direction is stated where the scores are made."""

Embeddings = NDArray[np.float32]
"""Shape (examples, dimensions)."""

Indices = NDArray[np.int64]
"""Positions in the pool."""


class Abstention(StrEnum):
    """Why a teacher or a student has no answer for an example. Counted, shown, never guessed away."""

    NO_TEXT = "no_text"
    TEACHER_PENDING = "teacher_pending"
    TEACHER_UNAVAILABLE = "teacher_unavailable"
    NOT_EMBEDDED = "not_embedded"
    NO_MODEL = "no_model"
    UNSUPPORTED_CONFIG = "unsupported_config"
    UNKNOWN_PROJECT = "unknown_project"
    LABEL_SPACE_CHANGED = "label_space_changed"
    AUDIT = "audit"  # shown blind, to measure the truth
    NO_ANSWER = "no_answer"  # recorded as empty; why is not known
    # What a language model's reply was wrong with
    BAD_JSON = "bad_json"
    UNKNOWN_LABEL = "unknown_label"
    CARDINALITY = "cardinality"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    CONTENT_FILTER = "content_filter"
    WRONG_ITEM = "wrong_item"


class Provenance(StrEnum):
    """Who gave a label."""

    HUMAN = "human"
    AUDIT = "audit"
    TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The labels one may answer with, in config order, and what annotators are told about them.

    `hints` and `aliases` are aligned with `labels`; an empty string or tuple means that the config gives none.
    An alias is another name under which an answer may mean the label.
    """

    labels: tuple[str, ...]
    hints: tuple[str, ...] = ()
    instructions: str = ""
    aliases: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels are not unique: {self.labels}")
        if not self.hints:
            object.__setattr__(self, "hints", ("",) * len(self.labels))
        if len(self.hints) != len(self.labels):
            raise ValueError(f"{len(self.hints)} hints for {len(self.labels)} labels")
        if not self.aliases:
            object.__setattr__(self, "aliases", ((),) * len(self.labels))
        if len(self.aliases) != len(self.labels):
            raise ValueError(f"{len(self.aliases)} tuples of aliases for {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    def index(self, label: str) -> int | None:
        """The label's position, or None when the config does not have it (never a near match)."""
        try:
            return self.labels.index(label)
        except ValueError:
            return None

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when a label, a hint, an alias or their order changes."""
        parts: list[object] = [self.labels, self.hints]
        if any(self.aliases):
            parts.append(self.aliases)
        payload = json.dumps(parts, ensure_ascii=True)
        return hashlib.sha256(payload.encode()).hexdigest()[:12]

    @property
    def labels_fingerprint(self) -> str:
        """12 hex digits that change when a label or their order changes; a model is bound to these."""
        return hashlib.sha256(json.dumps(self.labels).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Example:
    """One normalised text with the id that its source gave it."""

    id: int
    text: str
    text_hash: str


class Confidence(StrEnum):
    """Where the probabilities of a teacher's answer come from."""

    LOGPROBS = "logprobs"
    VOTES = "votes"
    VERBALISED = "verbalised"
    COSINE = "cosine"
    NONE = "none"
    """Nothing was said: a hard answer, to be read as such."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one answer cost. `cached` is the part of `prompt` that the provider had in its cache;
    `completion` includes reasoning. Sums with `+`.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt, self.cached + other.cached, self.completion + other.completion
        )

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A teacher's answer to one example: a distribution (uncalibrated), or an abstention with its reason.

    `unseen` is the probability mass that the endpoint did not show (it lists 20 tokens at most) and that was
    spread evenly over the labels it did not name. `prompt` fingerprints all that was said besides the text.
    """

    probs: NDArray[np.float32] | None
    abstention: Abstention | None = None
    confidence: Confidence = Confidence.NONE
    unseen: float = 0.0
    usage: Usage = field(default_factory=Usage)
    prompt: str = ""

    def __post_init__(self) -> None:
        if (self.probs is None) == (self.abstention is None):
            raise ValueError("an answer is either a distribution or an abstention")


@dataclass(frozen=True, slots=True)
class Beliefs:
    """All that a query strategy sees: arrays over the same candidates, row by row.

    `student` is None before the first student; `teacher` is None without a teacher, and its rows are NaN
    where the teacher abstained. `labelled` are the embeddings of what humans have labelled so far.
    `committee` has the probabilities of the candidates that the student is made of, shape (members,
    candidates, labels); None for a student of one.
    """

    embeddings: Embeddings
    student: Probs | None = None
    teacher: Probs | None = None
    labelled: Embeddings = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    committee: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n = len(self.embeddings)
        widths = set()
        for name, probs in (("student", self.student), ("teacher", self.teacher)):
            if probs is not None:
                if probs.ndim != 2 or len(probs) != n:
                    raise ValueError(f"{name} of shape {probs.shape} for {n} candidates")
                widths.add(probs.shape[1])
        if self.committee is not None:
            if self.committee.ndim != 3 or self.committee.shape[1] != n:
                raise ValueError(f"committee of shape {self.committee.shape} for {n} candidates")
            widths.add(self.committee.shape[2])
        if len(widths) > 1:
            raise ValueError(f"beliefs over {' and '.join(map(str, sorted(widths)))} labels")
        if len(self.labelled) and self.labelled.shape[1:] != self.embeddings.shape[1:]:
            raise ValueError(
                f"labelled rows of shape {self.labelled.shape[1:]}, not {self.embeddings.shape[1:]}"
            )

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def best(self) -> Probs | None:
        """The student's probabilities, else the teacher's with abstentions as uniform rows, else None."""
        if self.student is not None:
            return self.student
        if self.teacher is None:
            return None
        filled = self.teacher.copy()
        filled[np.isnan(filled).any(axis=1)] = 1.0 / max(1, filled.shape[1])
        return filled


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A human label that the evidence doubts.

    `position` counts in the labelled arrays that were given; `given` and `suggested` are label positions.
    `score` is in [0, 1], higher = more surely wrong; `doubt` is the same before reviewers' decisions on other
    labels had a say in it.
    """

    position: int
    given: int
    suggested: int
    score: float
    reason: str
    doubt: float
