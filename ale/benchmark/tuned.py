"""The transformer student in the benchmark: behind the quick student that asks the questions, as it would be live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ale.benchmark.points import Outcome
from ale.engine import LearnInput, learn
from ale.errors import NotEnoughLabels
from ale.students import DEFAULT_STUDENT
from ale.students.transformer import TransformerStudent
from ale.tuning.belief import Tuner
from ale.types import Embeddings, Indices


@dataclass(frozen=True, slots=True, eq=False)
class Tunable:
    """The texts behind the embeddings, and what tunes an encoder on them."""

    pool: Sequence[str]
    test: Sequence[str]
    tuner: Tuner


def quick(kind: str) -> str:
    """The student that chooses the questions: a tuning takes too long to wait for it."""
    return DEFAULT_STUDENT if kind == TransformerStudent.kind else kind


def outcome_of_tuned(
    tunable: Tunable, given: LearnInput, test: Embeddings, audited: Indices
) -> Outcome | None:
    """Tunes, then learns with what the tuned encoder believes; None where there are too few labels to tune on."""
    try:
        tuned = tunable.tuner.tune(
            tunable.pool,
            given.labelled,
            given.targets,
            labels=len(given.labels),
            groups=given.groups,
            weights=given.weights,
            seed=given.seed,
        )
    except NotEnoughLabels:
        return None
    learned = learn(replace(given, student=partial(TransformerStudent, tuned.belief)))
    if learned.predictor is None:
        return None
    student, space = learned.predictor.student, learned.predictor.space
    pool = np.hstack([space.transform(given.raw[audited]), tuned.belief.pool[audited]])
    seconds = sum(s for name, s in learned.metrics.items() if name.startswith("seconds_"))
    return Outcome(
        labels=len(given.labelled),
        test_logits=student.logits(np.hstack([space.transform(test), tuned.logits(tunable.test)])),
        audit_logits=student.logits(pool),
        temperature=learned.predictor.temperature,
        fit_seconds=tuned.belief.seconds + learned.metrics["seconds_fit"],
        learn_seconds=tuned.belief.seconds + seconds,
    )
