"""What `ale capture` does: the served texts that are worth an annotator's time become tasks of a project, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ale.features import FeatureSpace
from ale.io.traces import Trace
from ale.protocols import Encoder
from ale.scanner.texts import BadRow
from ale.text import normalise
from ale.usefulness import Chosen, Why, choose, novelty
from ml_backend.controls import Control
from ml_backend.importing import InPool, Screen
from ml_backend.label_studio import Json
from ml_backend.store import served
from ml_backend.store.database import Database
from ml_backend.store.schema import Feedback, Served
from ml_backend.store.served import Kept
from ml_backend.task_import import Import, NewTask, Pool

START = "captured/"
"""How the names of tasks begin that were made of served texts."""
MOST = 5_000
"""Served texts that are looked at in one run: the newest, those with feedback first."""
POOL = 5_000
"""Texts of the project that new ones are compared with; of more, a sample."""
TRACES = "traces"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for."""

    service: str | None
    below: float
    limit: int
    near: float


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of the served texts."""

    looked_at: int
    in_project: int
    tasks: int
    why: dict[str, int]


def keep_traces(db: Database, traces: Iterable[Trace | BadRow]) -> tuple[int, int, int]:
    """New traces, those that were known, and lines that are none."""
    rows: list[tuple[Served, Feedback | None]] = []
    bad = 0
    for one in traces:
        if isinstance(one, BadRow):
            bad += 1
            continue
        row = Served(
            request_id=one.name,
            item=0,
            service=TRACES,
            served_at=one.time or datetime.now(UTC),
            label=one.output,
            drawn=one.time is not None,
            text=one.text,
        )
        said = None
        if one.thumbs or one.label or one.comment:
            said = Feedback(
                request_id=one.name, item=0, given_at=one.time or datetime.now(UTC), thumbs=one.thumbs,
                label=one.label, comment=one.comment,
            )  # fmt: skip
        rows.append((row, said))
    new = served.keep_missing(db, rows)
    return new, len(rows) - new, bad


def capture(
    db: Database, job: Import, key: str, control: Control, encoder: Encoder | None, wish: Wish, screen: Screen
) -> Captured:
    """Choose, compare with the project, send, and remember what was taken. Killed, the next run goes on."""
    pool = job.read_pool(screen.waits)
    candidates = [one for one in served.waiting(db, wish.service, MOST) if normalise(one.text)]
    # What a run sent that was killed before it could say so.
    served.take(db, key, "task", (_id(one) for one in candidates if _name(one) in pool.named))
    candidates = [one for one in candidates if _name(one) not in pool.named]
    known = InPool.of(_everything(pool), control, wish.near, screen.compared)
    fresh, there = _once(candidates, known)
    served.take(db, key, "in_project", map(_id, there))
    chosen = _choose(fresh, pool, control, encoder, wish)
    tasks = [_task(fresh[one.place], one.why, control) for one in chosen]
    screen.begin(len(tasks), 0)
    job.send(tasks, pool, screen.heard)
    served.take(db, key, "task", (_id(fresh[one.place]) for one in chosen))
    return Captured(len(candidates), len(there), len(tasks), dict(Counter(str(one.why) for one in chosen)))


def objected(one: Kept) -> bool:
    """Whether somebody said that the prediction is wrong."""
    return one.thumbs == "down" or (one.right_label is not None and one.right_label != one.label)


def _once(candidates: Sequence[Kept], known: InPool) -> tuple[list[Kept], list[Kept]]:
    """Each text once, the one with an objection before the others; and those that the project has."""
    fresh: list[Kept] = []
    there: list[Kept] = []
    for one in sorted(candidates, key=lambda one: not objected(one)):
        if one.text in known:
            there.append(one)
        else:
            fresh.append(one)
            known.add(one.text)
    return fresh, there


def _everything(pool: Pool) -> Pool:
    """Tasks of earlier captures are part of the project like all others."""
    return Pool({}, [*pool.others, *pool.mine])


def _choose(
    fresh: Sequence[Kept], pool: Pool, control: Control, encoder: Encoder | None, wish: Wish
) -> list[Chosen]:
    return choose(
        [objected(one) for one in fresh],
        [one.confidence for one in fresh],
        _novelty(fresh, _everything(pool), control, encoder) if encoder and fresh else None,
        below=wish.below,
        limit=wish.limit,
    )


def _novelty(
    fresh: Sequence[Kept], pool: Pool, control: Control, encoder: Encoder
) -> NDArray[np.float64] | None:
    texts = sorted({text for data in pool.others if (text := normalise(control.text(data)))})
    if len(texts) < 2:
        return None
    if len(texts) > POOL:
        texts = [texts[i] for i in np.random.default_rng(0).choice(len(texts), POOL, replace=False)]
    raw = encoder.encode(texts)
    space = FeatureSpace.fit(raw)
    return novelty(
        space.transform(encoder.encode([normalise(one.text) or "" for one in fresh])), space.transform(raw)
    )


def _task(one: Kept, why: Why, control: Control) -> NewTask:
    first, *below = control.field.split(".")
    text: object = one.text
    for part in reversed(below):
        text = {part: text}
    data: Json = {first: text, "ale_capture_reason": str(why)}
    told = {"ale_served_label": one.label, "ale_user_label": one.right_label, "ale_user_comment": one.comment}
    return NewTask(_name(one), data | {name: value for name, value in told.items() if value})


def _name(one: Kept) -> str:
    return f"{START}{one.request_id}-{one.item}"


def _id(one: Kept) -> tuple[str, int]:
    return one.request_id, one.item
