"""The answer to /predict: one slot per task, from what is known already.

Nothing is trained, embedded or asked here, and no network is used but SQL and Redis: an annotator waits for
this answer. A text comes from the version in force, else from a teacher's stored reply; else its slot
is `[]`, and the project is marked as changed so that the worker fills it.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from redis import RedisError

from ale.audit.reserve import RESERVE, place
from ale.ranking import Ranking, task_scores
from ale.text import text_hash
from ale.types import Abstention, LabelSpace
from ml_backend.beliefs import PublishedBeliefs
from ml_backend.controls import Json, UnsupportedConfig, find_control
from ml_backend.identity import ProjectKey
from ml_backend.payloads import Slot, task_text, to_slot
from ml_backend.store import projects, replies
from ml_backend.store.schema import Project
from ml_backend.wiring import Services

logger = logging.getLogger(__name__)

FIRST_VERSION = "ale-0"
"""What /setup says before anything was published."""

Answer = tuple[str, float, float]
"""Label, calibrated confidence, published score."""


def predict(
    services: Services, project_uid: str, label_config: str | None, tasks: Sequence[Json]
) -> list[Slot]:
    """Exactly one slot per task, in their order; `[]` is an abstention with a counted reason.

    `project_uid` is Label Studio's `<id>.<created_at>`. The request's config wins over the one that we last
    read; where its labels are not those of the version in force, nothing is answered.
    """
    key = ProjectKey.from_uid(services.settings.label_studio_url, project_uid)
    project = projects.find(services.db, key) if key else None
    slots: list[Slot] = [[] for _ in tasks]
    if project is None or project.status in {"disconnected", "gone"}:
        return _told(services, None, slots, dict.fromkeys(range(len(tasks)), Abstention.UNKNOWN_PROJECT))
    try:
        control = find_control(label_config or project.label_config)
    except UnsupportedConfig:
        return _told(
            services, project, slots, dict.fromkeys(range(len(tasks)), Abstention.UNSUPPORTED_CONFIG)
        )
    version = project.version or FIRST_VERSION
    published = services.beliefs.read(project.key, version) if project.version else None
    if published and published.labels_fingerprint != control.label_space.labels_fingerprint:
        return _told(
            services, project, slots, dict.fromkeys(range(len(tasks)), Abstention.LABEL_SPACE_CHANGED)
        )

    texts = [task_text(task.get("data"), control) for task in tasks]
    hashes = [None if text is None else text_hash(text) for text in texts]
    blind = _blind(services, project, tasks)
    answers, reasons = _answers(services, project, control.label_space, published, hashes, blind)
    for i, (label, confidence, score) in answers.items():
        slots[i] = to_slot(control, label, confidence, score, version)
    fallback = published is not None and published.version != version
    return _told(services, project, slots, reasons, fallback=fallback)


def _answers(
    services: Services,
    project: Project,
    labels: LabelSpace,
    published: PublishedBeliefs | None,
    hashes: Sequence[str | None],
    blind: Collection[int],
) -> tuple[dict[int, Answer], dict[int, Abstention]]:
    """What is known about each position, and why nothing is about the others, or is not told."""
    answers: dict[int, Answer] = {}
    reasons: dict[int, Abstention] = {}
    unknown: dict[int, str] = {}
    for i, name in enumerate(hashes):
        belief = published.find(name) if published and name else None
        if name is None:
            reasons[i] = Abstention.NO_TEXT
        elif belief is None:
            if i not in blind:
                unknown[i] = name
            reasons[i] = Abstention.NOT_EMBEDDED if published else Abstention.NO_MODEL
        elif i in blind:
            reasons[i] = Abstention.AUDIT
        elif np.isnan(belief.probs).any():
            reasons[i] = Abstention.TEACHER_UNAVAILABLE
        else:
            best = int(belief.probs.argmax())
            confidence = _unit(belief.probs[best])
            # A text that was labelled when the version was learnt has no place in its order.
            score = belief.score if math.isfinite(belief.score) else _score_outside_queue(confidence)
            answers[i] = labels.labels[best], confidence, score
    if unknown and services.settings.teacher != "none":
        question = replies.question_of(replace(labels, instructions=project.instructions))
        replied = replies.newest(services.db, question, sorted(set(unknown.values())), len(labels))
        for i in [i for i, name in unknown.items() if name in replied]:
            probs = replied[unknown[i]]
            best = int(probs.argmax())
            answers[i] = labels.labels[best], _unit(probs[best]), _score_outside_queue(_unit(probs[best]))
            del reasons[i]
    return answers, reasons


def _blind(services: Services, project: Project, tasks: Sequence[Json]) -> set[int]:
    """Positions of tasks that measure how often a suggestion is right: they are shown none, whatever their text.

    A task without an id is none of the project's: nothing can be measured by it.
    """
    if services.settings.audit_share == 0:
        return set()
    ids = {i: task["id"] for i, task in enumerate(tasks) if isinstance(task.get("id"), int)}
    places = place(project.key, ids.values())
    return {i for i, at in zip(ids, places, strict=True) if at < RESERVE}


def _unit(probability: float) -> float:
    """Float32 sums may pass 1 by a hair."""
    return min(1.0, max(0.0, round(float(probability), 6)))


def _score_outside_queue(confidence: float) -> float:
    ranking = Ranking(np.zeros(1, np.int64), 0)
    return float(task_scores(ranking, np.array([confidence]))[0])


_FILLABLE = {Abstention.NO_MODEL, Abstention.NOT_EMBEDDED, Abstention.LABEL_SPACE_CHANGED}
"""A learn run can mend these."""


def _told(
    services: Services,
    project: Project | None,
    slots: list[Slot],
    reasons: dict[int, Abstention],
    *,
    fallback: bool = False,
) -> list[Slot]:
    """The slots, after the abstentions were counted and, where a learn run helps, the project was marked."""
    counts = Counter(reason.value for reason in reasons.values())
    counts["answered"] = len(slots) - len(reasons)
    counts["older_version"] = int(fallback)
    try:
        if project is not None and project.status == "connected" and _FILLABLE.intersection(reasons.values()):
            services.marks.mark(project.key)
        for outcome, n in counts.items():
            if n:
                services.marks.count(f"predict:{outcome}", n)
    except RedisError as error:
        logger.warning("predict: not counted, Redis failed: %s", type(error).__name__)
    name = project.key if project else "unknown"
    logger.info("predict %s: %s", name, ", ".join(f"{n} {what}" for what, n in sorted(counts.items()) if n))
    return slots
