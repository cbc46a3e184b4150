"""The demo's simulated annotator in fast motion: which wrong labels does review suspect in the end?

The sample project, the zero-shot teacher and the defaults, 108 labels (the demo's 120 but those that are audited) of
which 11 are wrong at random, a fit after every 11. No Label Studio, nobody reviews. The demo itself is one such run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ale.engine import Learned, LearnInput, learn
from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.encoder import resolve_encoder
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import DEFAULT_STUDENT, resolve_student
from ale.teachers import resolve_teacher
from ale.text import to_example
from ale.types import Indices
from benchmarks.figures import show
from benchmarks.sets import Set
from ml_backend.controls import find_control
from ml_backend.demo import sample

LABELS, WRONG, STEP = 108, 11, 11


def read_sample(cache: Path) -> Set:
    """The pool of the demo, and what the zero-shot teacher says of it."""
    raw = resolve_encoder()
    encoder = CachedEncoder(raw, EmbeddingCache(cache / "embeddings", raw.name, raw.dimensions))
    space, messages = find_control(sample.label_config()).label_space, sample.pool()
    examples = [
        example
        for place, message in enumerate(messages)
        if (example := to_example(place, message.text)) is not None
    ]
    teacher = resolve_teacher("zero-shot", encoder)
    return Set(
        name="sample project",
        labels=space,
        raw=encoder.encode([example.text for example in examples]),
        gold=np.array([space.labels.index(messages[example.id].label) for example in examples], np.int64),
        groups=np.unique([example.text_hash for example in examples], return_inverse=True)[1].astype(
            np.int64
        ),
        teacher=None if teacher is None else teacher.predict_proba(examples, space),
        texts=[example.text for example in examples],
    )


def play(data: Set, seed: int) -> tuple[int, int]:
    """How many labels are suspected at the end, and how many of these are wrong."""
    rng = np.random.default_rng(seed)
    planned = np.zeros(LABELS, bool)
    planned[rng.permutation(LABELS)[:WRONG]] = True
    waiting = np.ones(len(data.gold), bool)
    rows: Indices = np.zeros(0, np.int64)
    targets = rows.copy()
    stops = [0, STEP, *range(2 * STEP, LABELS, STEP), LABELS]
    for stop, following in pairwise(stops):
        asked = _learn(data, rows, targets, waiting, following - stop, seed).ranking.order[: following - stop]
        waiting[asked] = False
        answers = data.gold[asked].copy()
        wrong = planned[stop:following]
        answers[wrong] += rng.integers(1, len(data.labels), int(wrong.sum()))
        rows = np.concatenate([rows, asked])
        targets = np.concatenate([targets, answers % len(data.labels)])
    suspected = [issue.position for issue in _learn(data, rows, targets, waiting, 1, seed).issues]
    return len(suspected), int((targets != data.gold[rows])[suspected].sum())


def _learn(
    data: Set, rows: Indices, targets: Indices, waiting: NDArray[np.bool_], batch: int, seed: int
) -> Learned:
    return learn(
        LearnInput(
            raw=data.raw,
            labelled=rows,
            targets=targets,
            labels=data.labels,
            strategy=resolve_strategy(DEFAULT_STRATEGY),
            student=resolve_student(DEFAULT_STUDENT),
            groups=data.groups[rows],
            teacher=data.teacher,
            candidates=waiting.copy(),
            batch=batch,
            seed=seed,
            review=True,
        )
    )


def main(arguments: Sequence[str]) -> int:
    """Prints how many wrong labels were suspected, over all projects."""
    parser = argparse.ArgumentParser(prog="demo_review", description=__doc__)
    parser.add_argument("--projects", type=int, default=32)
    parser.add_argument("--cache", type=Path, default=user_cache_path("ale-label-studio"))
    options = parser.parse_args(arguments)
    data = read_sample(options.cache)
    found = np.array([play(data, seed) for seed in range(options.projects)])
    suspected, right = found.sum(axis=0)
    show(
        f"{options.projects} projects of {LABELS} labels, {WRONG} of them wrong",
        ["", "of all", "least", "median", "most"],
        [
            ("wrong labels suspected", f"{right / (WRONG * len(found)):.0%}", *_spread(found[:, 1])),
            ("suspected", f"{suspected}", *_spread(found[:, 0])),
            ("of these wrong", f"{right / suspected:.0%}", "", "", ""),
        ],
    )
    return 0


def _spread(numbers: NDArray[np.int64]) -> tuple[str, str, str]:
    return f"{numbers.min()}", f"{np.median(numbers):.0f}", f"{numbers.max()}"
