"""The transformer student in the benchmark: behind the quick student that asks the questions, as it would be live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ale.benchmark.points import Outcome
from ale.engine import LearnInput, learn
from ale.errors import NotEnoughLabels, OutOfTime
from ale.students import DEFAULT_STUDENT
from ale.students.transformer import TransformerStudent
from ale.tuning.belief import Tuner
from ale.types import Embeddings, Indices

WHY = {
    "need_two_classes": "one label so far",
    "too_few_to_tune": "too few labels to tune on",
    "one_text": "all labels belong to one text",
    "no_student": "these labels make no student",
    "out_of_time": "--tune-seconds are too few to read the pool",
    "lost": "tuning told held-out labels no better",
}
"""The words for why there is no tuned encoder in a student."""


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
) -> Outcome | str:
    """Tunes, then learns with what the tuned encoder believes; one of `WHY` where nothing could be tuned, as
    then the quick student stands, in the live loop, too.
    """
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
    except NotEnoughLabels as error:
        return error.reason
    except OutOfTime:
        return "out_of_time"
    learned = learn(replace(given, student=partial(TransformerStudent, tuned.belief)))
    if learned.predictor is None:
        return "no_student"
    student, space = learned.predictor.student, learned.predictor.space
    pool = np.hstack([space.transform(given.raw[audited]), tuned.belief.pool[audited]])
    share = student.share if isinstance(student, TransformerStudent) else 0.0
    seconds = sum(s for name, s in learned.metrics.items() if name.startswith("seconds_"))
    return Outcome(
        labels=len(given.labelled),
        test_logits=student.logits(np.hstack([space.transform(test), tuned.logits(tunable.test)])),
        audit_logits=student.logits(pool),
        temperature=learned.predictor.temperature,
        fit_seconds=tuned.belief.seconds + learned.metrics["seconds_fit"],
        learn_seconds=tuned.belief.seconds + seconds,
        tuned_share=share,
        untuned="" if share else "lost",
    )
