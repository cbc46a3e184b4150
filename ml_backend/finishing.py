"""From a project's data set and its version in force to a look at the audit, and from that to a finished data set. Pure.

What keeps the promise (see `ale.audit.finish` for why): the audited tasks are the beginning of the audit's order,
skipped ones among them; tasks that are newer than what they speak of are out of reach (`ale.audit.front`);
beliefs are those that no audit label has helped, out of fold where a label was learnt;
whatever people have answered otherwise is out of reach, and counts as taken out by choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.audit.finish import Finish, Look, select
from ale.audit.selector import FITTED, signs, sureness
from ale.audit.spending import declared
from ale.trust import words
from ale.types import Indices, LabelSpace, Probs, Provenance, Scores
from ml_backend.dataset import Dataset
from ml_backend.reserve import ids_of
from ml_backend.store.schema import Annotation, Task
from ml_backend.unaided import Unaided

Row = dict[str, Any]

COLUMNS = ("task", "text", "label", "provenance", "confidence", "version", "annotator", "text_hash")
AUTO, NONE = "auto", "none"
"""Provenance of a label that a machine gave, and of a task without a label."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """All that a look judges. `said` and `confidence` have a number per row of the data set.

    `front` are audited rows in the audit's order and `wrong` tells of each whether `said` is wrong there; `taken`
    are rows that people have answered otherwise. The first `fitted` audits make the confidences, those that are
    there yet. `model` changes when anything of this does.
    """

    said: NDArray[np.int64]
    confidence: Scores
    front: Indices
    wrong: NDArray[np.bool_]
    taken: Indices
    fitted: int
    model: str

    def look(self, made: Sequence[Look], *, max_error: float, confidence: float) -> Finish:
        """What may be labelled automatically; `made` are the looks at this promise so far."""
        return select(
            self.confidence,
            self.front,
            self.wrong,
            self.taken,
            max_error=max_error,
            confidence_level=confidence,
            version=self.model,
            made=made,
            fitted=self.fitted,
        )


def answered_tasks(annotations: Collection[Annotation]) -> set[int]:
    """Tasks that a person has labelled or skipped; what was made from predictions in bulk nobody has seen."""
    return {annotation.task_id for annotation in annotations if not annotation.from_prediction}


def question(
    dataset: Dataset,
    answered: Collection[int],
    unaided: Unaided,
    teacher: Probs | None = None,
    heard: Sequence[Probs] = (),
) -> Question:
    """The question as the project stands.

    With a `teacher` the selector says which suggestions are surest, by the teacher's `heard` echoes as well.
    """
    audit = dataset.audit
    in_front = np.zeros(len(dataset.tasks), bool)
    in_front[audit.front] = True
    by_people = np.array([task.task_id in answered for task in dataset.tasks], bool)
    spoken_of = np.ones(len(dataset.tasks), bool)
    spoken_of[audit.newer] = False
    taken = by_people & ~in_front & spoken_of
    # What the student learnt and nobody says any more: of such a row it knows too much.
    known = ~np.isnan(unaided.probs).any(axis=1) & (taken | ~unaided.learnt) & spoken_of
    said = words(unaided.probs)
    truth = np.full(len(dataset.tasks), -1, np.int64)
    truth[audit.rows] = audit.targets
    wrong = (said[audit.front] != truth[audit.front]) | (truth[audit.front] < 0)
    fitted = 0 if teacher is None else FITTED
    confidence = np.nan_to_num(unaided.probs).max(axis=1, initial=0.0).astype(np.float64)
    if teacher is not None:
        probs = np.where(np.isnan(unaided.probs), np.float32(1 / unaided.probs.shape[1]), unaided.probs)
        table = signs(probs[spoken_of], teacher[spoken_of], [one[spoken_of] for one in heard])
        first = np.searchsorted(np.flatnonzero(spoken_of), audit.front[:fitted])
        confidence[spoken_of] = sureness(table, first, ~wrong[:fitted])
    confidence = np.where(known, confidence, np.nan)
    rows = np.flatnonzero(taken).astype(np.int64)
    return Question(
        said, confidence, audit.front, wrong, rows, fitted, _fingerprint(dataset, said, confidence, rows)
    )


def _fingerprint(dataset: Dataset, said: NDArray[np.int64], confidence: Scores, taken: Indices) -> str:
    """Of what is judged: newer tasks make no other model of it."""
    ids = ids_of(dataset.tasks)
    digest = hashlib.sha256()
    for part in (ids, said, confidence):
        digest.update(np.delete(part, dataset.audit.newer).tobytes())
    digest.update(taken.tobytes())
    return digest.hexdigest()


def finished_rows(
    tasks: Sequence[Task],
    dataset: Dataset,
    asked: Question,
    found: Finish,
    space: LabelSpace,
    version: str,
    texts: dict[str, str],
) -> list[Row]:
    """A row per task of the project, in the order of `tasks`: who labelled it, or that nobody has."""
    labelled: dict[int, Row] = {}
    audit = dataset.audit
    for human, provenance in chain(
        zip(dataset.humans, repeat(Provenance.HUMAN)), zip(audit.humans, repeat(Provenance.AUDIT))
    ):
        labelled[human.task_id] = {
            "label": human.label,
            "provenance": provenance.value,
            "annotator": str(human.annotator or ""),
        }
    for row in found.rows.tolist():
        labelled[dataset.tasks[row].task_id] = {
            "label": space.labels[asked.said[row]],
            "provenance": AUTO,
            "confidence": round(float(asked.confidence[row]), 6),
            "version": version,
        }
    return [_row(task, texts, labelled.get(task.task_id, {})) for task in tasks]


def _row(task: Task, texts: dict[str, str], known: Row) -> Row:
    blank: Row = dict.fromkeys(COLUMNS)
    hashed = task.text_hash or ""
    return (
        blank
        | {"task": task.task_id, "text": texts.get(hashed, ""), "text_hash": hashed, "provenance": NONE}
        | known
    )


def refusal(found: Finish, audited: int, reserve: int, fitted: int = 0) -> str:
    """Why nothing may be labelled automatically, in one line: how many audits there are, and how many it takes.

    `reserve` is how many there can be; the first `fitted` of them make the confidences.
    """
    counted = f"{audited:,} audit labels (skipped ones count as wrong)"
    later = f"the next look is at {found.next_look:,}"
    if found.look is None and declared(audited) <= fitted:
        why = (
            f"the first {fitted:,} only teach which suggestions are surest"
            if fitted
            else "too few for a look"
        )
        verb = "prove nothing yet, as" if fitted else "are"
        return f"Refused: {counted} {verb} {why}; {later}{_out_of_reach(found.next_look, reserve)}."
    if found.look is None:
        return f"Refused: {counted} are looked at already; {later}."
    more = _more(found, audited)
    if "no number of them" not in more:
        more += _out_of_reach(max(found.next_look, found.needed_at_best or 0), reserve)
    promise = f"at most {percent(found.max_error)} wrong labels with {percent(found.confidence)} confidence"
    return f"Refused: {counted} do not prove {promise}: {more}; {later}."


def newer_words(dataset: Dataset) -> str:
    """That some tasks came too late for the audit to speak of them, as a sentence to add; empty if none did."""
    newer, to_come = len(dataset.audit.newer), dataset.audit.to_come
    if not newer:
        return ""
    return (
        f" {newer:,} newer tasks were left out: the audit does not speak of them before "
        f"about {max(1, to_come):,} more audits."
    )


def _more(found: Finish, audited: int) -> str:
    """How many labels more; that none will do is said only where bad luck can not be why there are so many errors."""
    at_best = "" if found.needed_at_best is None else f", {found.needed_at_best - audited:,} more at best"
    met = f"{found.wrong:,} wrong of {found.audited:,}"
    if found.needed is not None:
        return f"{found.needed - audited:,} more are needed if errors go on as observed{at_best}"
    if not found.audited:
        return "none of them lies among the surest suggestions"
    if found.needed_by_luck is not None:
        return (
            f"errors as observed ({met}) are too many for any number of them, but may be bad luck: "
            f"then {found.needed_by_luck - audited:,} more are needed{at_best}"
        )
    if found.needed_at_best is None or not found.wrong:
        return (
            f"no number of them will do ({met}): the pool is too small for this, a larger --max-error may do"
        )
    return f"with errors as observed ({met}) no number of them will do before the model is better"


def _out_of_reach(wanted: int, reserve: int) -> str:
    return f", but the audit's reserve has {reserve:,} tasks in all" if wanted > reserve else ""


def percent(share: float) -> str:
    """A share as a person gave it: 2%, 99.5%."""
    return f"{100 * share:.6g}%"
