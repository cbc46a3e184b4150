"""Where each task stands in the order, and the prediction rows that say so to Label Studio."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.audit.reserve import RESERVE
from ale.engine import Learned
from ale.io.checkpoints import load_checkpoint
from ale.predictor import Predictor
from ale.ranking import QUEUE_BELOW
from ale.types import Embeddings, LabelSpace, Probs
from ml_backend.controls import Control
from ml_backend.dataset import Dataset
from ml_backend.label_studio import Json
from ml_backend.payloads import to_prediction
from ml_backend.reserve import Reserve
from ml_backend.settings import Settings
from ml_backend.store.schema import Project, Task, Version


@dataclass(frozen=True, slots=True)
class Place:
    """One task in the order: its suggestion (a label's position, or None) and its published score."""

    task_id: int
    suggestion: int | None
    confidence: float | None
    score: float
    new: bool = False
    """It never stood in a published order before."""


def places(dataset: Dataset, learned: Learned) -> list[Place]:
    """All candidates, the one to ask first at the front."""
    audit = set(learned.ranking.audit.tolist())
    found = []
    for row in learned.ranking.order.tolist():
        task = dataset.tasks[row]
        suggestion, confidence = (None, None) if row in audit else suggest(learned.probs[row])
        found.append(
            Place(
                task.task_id, suggestion, confidence, float(learned.scores[row]), new=task.placed_in is None
            )
        )
    return found


def now_and_later(
    found: Sequence[Place], tasks: Sequence[Task], head: int, *, whole: bool, first: bool
) -> tuple[list[Place], list[Place]]:
    """What has to be there before the flip (the head of the order and what is new), and what may follow.

    Before the first flip all of it: a page that opens a task without any prediction asks /predict, and
    Label Studio would store a second row for it.
    """
    silent = [
        Place(t.task_id, None, None, 1.0, new=t.placed_in is None)
        for t in tasks
        if t.text_hash is None and not t.is_labeled
    ]
    everything = [*found, *silent]
    if first:
        return everything, []
    now = [p for i, p in enumerate(everything) if i < head or p.new]
    later = [p for i, p in enumerate(everything) if i >= head and not p.new] if whole else []
    return now, later


def suggest(probs: NDArray[np.float32]) -> tuple[int | None, float | None]:
    """The likeliest label and its probability; nothing where nobody has an opinion."""
    if not len(probs) or np.isnan(probs).any():
        return None, None
    best = int(probs.argmax())
    return best, float(probs[best])


def unranked_places(
    settings: Settings,
    project: Project,
    version: Version,
    new: Sequence[Task],
    dataset: Dataset,
    raw: Embeddings,
    teacher: Probs | None,
    reserve: Reserve | None,
) -> list[Place]:
    """Places for tasks that the version in force has not ranked: behind its queue, least confident first.

    Those of the audit reserve lie spread among the others, in their own order, without a suggestion. A task whose text has no embedding yet is left out (the teach job brings it back); one without any text
    goes to the end, so that it is served all the same.
    """
    rows = {task.task_id: i for i, task in enumerate(dataset.tasks)}
    probs = np.full((len(new), len(version.labels)), np.nan, dtype=np.float32)
    ready = [i for i, task in enumerate(new) if task.task_id in rows]
    where = [rows[new[i].task_id] for i in ready]
    if where and version.kind == "student":
        arrays, manifest = load_checkpoint(settings.checkpoints, project.key, version.version)
        probs[ready] = Predictor.from_state(arrays, manifest).predict_proba(raw[where])
    elif where and teacher is not None:
        probs[ready] = teacher[where]
    found, audits = [], set(dataset.audit.order.tolist())
    for i, task in enumerate(new):
        if task.text_hash is None:
            found.append(Place(task.task_id, None, None, 1.0, new=True))
        elif task.task_id in rows and rows[task.task_id] not in audits:
            suggestion, confidence = suggest(probs[i])
            score = QUEUE_BELOW + (1.0 - QUEUE_BELOW) * (confidence or 0.0)
            found.append(Place(task.task_id, suggestion, confidence, score, new=True))
    blind = [task for task in new if task.task_id in rows and rows[task.task_id] in audits]
    return found + _audit_places(blind, [place.score for place in found], reserve)


def _audit_places(blind: Sequence[Task], scores: Sequence[float], reserve: Reserve | None) -> list[Place]:
    """As far down among the scores of the others as the task stands in the reserve: by lot, not by its text."""
    if reserve is None:
        return []
    among = np.array(scores or [QUEUE_BELOW, 1.0])
    depths = reserve.places(blind) / RESERVE
    return [
        Place(task.task_id, None, None, float(np.quantile(among, depth)), new=True)
        for task, depth in zip(blind, depths, strict=True)
    ]


def rows_of(found: Sequence[Place], control: Control, space: LabelSpace, version: str) -> list[Json]:
    """The rows for Label Studio's import; every label is one of `space`."""
    return [
        to_prediction(
            place.task_id,
            control,
            None if place.suggestion is None else space.labels[place.suggestion],
            place.confidence,
            place.score,
            version,
        )
        for place in found
    ]


def head_fingerprint(head: Sequence[Place]) -> str:
    """Changes when the order or a suggestion at the head of the queue changes."""
    payload = json.dumps([[place.task_id, place.suggestion] for place in head])
    return hashlib.sha256(payload.encode()).hexdigest()
