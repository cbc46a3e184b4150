"""What the teacher says about the pool, and how good it is. Asked once, before any curve."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ale.benchmark.data import BenchmarkData
from ale.errors import ConfigurationError, TeacherUnavailable
from ale.protocols import Teacher
from ale.teachers.llm import LLMTeacher
from ale.teachers.recorded import RecordedTeacher
from ale.trust import measure_trust
from ale.types import Abstention, Answer, Example, LabelSpace, Probs, Usage

_MANY = 0.2
"""A share of answers that are no label, above which something is wrong with the file."""


class AnswerStore(Protocol):
    """Keeps what was paid for."""

    def known(self) -> Mapping[str, Answer]:
        """Answers so far, by text hash."""
        ...

    def add(self, text_hash: str, answer: Answer) -> None:
        """Keep an answer for good."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """A teacher's distribution per pool row, NaN where it abstained, with the reasons counted.

    `usage` is what the answers cost, in this run or an earlier one; `note` says why texts were left unasked.
    """

    name: str
    probs: Probs
    abstained: Mapping[str, int] = field(default_factory=dict)
    confidence: Mapping[str, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    note: str = ""


def ask(
    teacher: Teacher, data: BenchmarkData, progress: Callable[[int], None], store: AnswerStore | None = None
) -> Opinion:
    """The teacher's opinion of the pool. `store` is needed for a language model, and read before it is asked.

    A language model that stops answering leaves the rest of the pool unasked. Raises TeacherUnavailable when
    it has answered nothing at all.
    """
    examples, labels = data.pool.examples, data.labels
    if isinstance(teacher, LLMTeacher):
        if store is None:
            raise ValueError("a paid teacher needs a store for its answers")
        note = asyncio.run(_fill(teacher, examples, labels, progress, store))
        return _collected(teacher.name, examples, labels, store.known(), note)
    if isinstance(teacher, RecordedTeacher):
        answers = {example.text_hash: teacher.answer(example, labels) for example in examples}
        return _collected(teacher.name, examples, labels, answers)
    return Opinion(teacher.name, teacher.predict_proba(examples, labels))


def unusable(opinion: Opinion) -> str:
    """A note where many answers are none of the labels; empty where they are few, and for texts not asked."""
    wrong = opinion.abstained.get(Abstention.UNKNOWN_LABEL.value, 0)
    given = wrong + int(np.sum(~np.isnan(opinion.probs).any(axis=1)))
    if wrong <= _MANY * given:
        return ""
    return (
        f"{wrong} of {given} answers of the teacher {opinion.name} are none of the labels and count as "
        "abstentions: are they labels of another set, or numbers?"
    )


def as_json(opinion: Opinion, data: BenchmarkData) -> dict[str, Any]:
    """How good the opinion is, against gold. Raises ConfigurationError when it holds no answer."""
    trust = measure_trust(opinion.probs, data.pool.gold)
    names = data.labels.labels
    if not trust.agreed.of:
        raise ConfigurationError(
            f"the teacher {opinion.name} has no answer that is one of the labels: "
            f"{', '.join(map(repr, names[:30]))}"
        )
    return {
        "name": opinion.name,
        "answered": trust.agreed.of,
        "abstained": trust.abstained,
        "abstained_why": dict(opinion.abstained),
        "accuracy": trust.agreed.share,
        "accuracy_interval": list(trust.agreed.interval),
        "accuracy_with_abstentions_as_errors": trust.agreed.hits / len(data.pool),
        "confidence": dict(opinion.confidence),
        "mean_confidence": trust.mean_confidence,
        "ece": trust.ece,
        "tokens": {
            "prompt": opinion.usage.prompt,
            "cached": opinion.usage.cached,
            "completion": opinion.usage.completion,
        },
        "per_label": {
            names[one.label]: {
                "n": one.n,
                "abstained": one.abstained,
                "agreed": _number(one.agreed.share),
                "right_when_said": _number(one.when_said.share),
            }
            for one in trust.per_label
        },
        "confusion": trust.confusion.tolist(),
    }


async def _fill(
    teacher: LLMTeacher,
    examples: Sequence[Example],
    labels: LabelSpace,
    progress: Callable[[int], None],
    store: AnswerStore,
) -> str:
    """Ask for what the store does not have; a note when the teacher stopped before the end."""
    missing = [example for example in examples if example.text_hash not in store.known()]
    progress(len(examples) - len(missing))
    try:
        async with aclosing(teacher.answers(missing, labels)) as answers:
            async for example, answer in answers:
                store.add(example.text_hash, answer)
                progress(1)
    except TeacherUnavailable as error:
        if not store.known():
            raise
        return f"the teacher stopped answering: {error}"
    return ""


def _collected(
    name: str, examples: Sequence[Example], labels: LabelSpace, answers: Mapping[str, Answer], note: str = ""
) -> Opinion:
    probs = np.full((len(examples), len(labels)), np.nan, np.float32)
    abstained: Counter[str] = Counter()
    confidence: Counter[str] = Counter()
    usage = Usage()
    counted: set[str] = set()
    for row, example in enumerate(examples):
        answer = answers.get(example.text_hash)
        if answer is None:
            abstained["not_asked"] += 1
            continue
        if answer.probs is not None:
            probs[row] = answer.probs
            confidence[answer.confidence.value] += 1
        if answer.abstention is not None:
            abstained[answer.abstention.value] += 1
        if example.text_hash not in counted:
            usage += answer.usage
            counted.add(example.text_hash)
    return Opinion(name, probs, abstained, confidence, usage, note)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
