"""Whether more labels still pay in a project, as a learn run writes it down.

The rule (`ale.audit.stopping`) compares this student with those of the past on the first tasks of the audit's order:
a random sample of the pool, which no student learns from as far as the reserve goes. It speaks of the tasks that the
audit speaks of: as long as there are many newer ones, it does not say that it is enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ale.audit.reserve import place
from ale.audit.stopping import MATTERS, Past, Verdict, judge
from ale.trust import words
from ale.types import Indices, LabelSpace, Probs
from ml_backend.dataset import Dataset
from ml_backend.rates import number
from ml_backend.store import pasts
from ml_backend.store.database import Database

Json = dict[str, Any]

SAMPLE = 2_000
"""Tasks that the models are compared on: kappa to half a point, and 20 kB for each model that is kept."""


KNOWN = 0.95
"""Of today's sample, what a model must have known to be compared: the rest could hide a gain of twenty points from it
and still be one point of all.
"""

_MADE_OF = ("student", "encoder", "teacher")
"""Of a recipe, what makes models unlike. A tuning is a part of learning, and comes too often to begin anew."""


def kind_of(space: LabelSpace, recipe: Mapping[str, str]) -> str:
    """Equal for models that may be compared: the same labels, answered by the same kind of student."""
    parts = [space.labels_fingerprint, *(recipe.get(name, "") for name in _MADE_OF)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def stop_counts(
    db: Database,
    project: str,
    space: LabelSpace,
    recipe: Mapping[str, str],
    dataset: Dataset,
    probs: Probs,
) -> Json:
    """The verdict on a student that believes `probs` of the tasks, which is remembered for the next verdict."""
    ids = np.array([task.task_id for task in dataset.tasks], np.int64)
    order = np.argsort(place(project, ids.tolist()), kind="stable")
    newer = np.isin(order, dataset.audit.newer)
    # Of those that the audit speaks of today, and of all, which is what it will speak of.
    spoken_of = order[~newer][:SAMPLE]
    rows = order[np.isin(order, spoken_of) | (np.arange(len(order)) < SAMPLE)]
    said = dict(zip(ids[rows].tolist(), words(probs[rows]).tolist(), strict=True))
    labels = len(dataset.labelled)
    kind = kind_of(space, recipe)
    past = pasts.before(db, project, kind, labels)
    pasts.keep(db, project, kind, labels, said)
    verdict = _judge([*past, (labels, said)], dataset, ids, set(ids[spoken_of].tolist()))
    return _row(_on_all(verdict, int(newer.sum()), len(ids)))


def _on_all(verdict: Verdict, newer: int, tasks: int) -> Verdict:
    """No stop while newer tasks, of which nothing is known, may hide a gain that would count."""
    if not verdict.stop or newer < MATTERS * tasks:
        return verdict
    return replace(verdict, stop=False, reason=f"the audit does not speak of the {newer:,} newer texts yet")


def _judge(
    models: list[tuple[int, dict[int, int]]], dataset: Dataset, ids: Indices, sample: set[int]
) -> Verdict:
    """On the tasks of the `sample`, as far as the models have an answer there."""
    now = {task: one for task, one in models[-1][1].items() if task in sample}
    # After an import, a model that knew less of today's sample is no comparison: what it did not know is not looked at.
    models = [(n, said) for n, said in models if len(said.keys() & now.keys()) >= KNOWN * len(now)]
    common = [task for task in now if all(task in said for _, said in models)]
    at = {task: i for i, task in enumerate(common)}
    past = [Past(n, np.array([said[task] for task in common], np.int64)) for n, said in models]
    audit = dataset.audit
    judged = [
        (at[task], target)
        for task, target in zip(ids[audit.measured].tolist(), audit.measured_targets.tolist(), strict=True)
        if task in at
    ]
    audited, truth = np.array(judged, np.int64).reshape(-1, 2).T
    told = [at[task] for task in ids[dataset.labelled].tolist() if task in at]
    return judge(past, audited, truth, labelled=np.array(told, np.int64))


def _row(verdict: Verdict) -> Json:
    gain = verdict.gain
    return {
        "stop": verdict.stop,
        "reason": verdict.reason,
        "kappa": None if verdict.kappa is None else number(verdict.kappa),
        "gain": None
        if gain is None
        else {
            "labels": gain.labels,
            "expected": number(gain.expected),
            "low": number(gain.low),
            "high": number(gain.high),
        },
    }
