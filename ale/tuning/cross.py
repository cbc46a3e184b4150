"""Honest beliefs of a tuned encoder: cross-tunings for the texts it learns from, a last tuning for all others.

A tuned encoder knows the texts that it was tuned on by heart, so a head fitted on its rows cannot be
cross-validated: the rows themselves have seen the labels. Each labelled text is therefore judged by a tuning
without it. These tunings also say when to stop: the last one, on all labels, goes as far as was best for
them. One number in four, chosen on all held-out labels together, is no leak worth a further fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ale.calibration import fit_temperature, log_softmax
from ale.errors import NotEnoughLabels, OutOfTime
from ale.folds import assign_folds
from ale.tuning.belief import Logits, TunedBelief
from ale.tuning.bert import Lower, Upper, padded
from ale.tuning.plan import LEAST_LABELS, Countdown, Plan
from ale.tuning.tune import MARKS, Lesson, tune
from ale.types import Indices

_MOST_OF_TIME = 0.7  # that the pass over the pool may take
_SLACK = 1.3  # a pass is longer than its first texts promise

Tokens = Sequence[Sequence[int]]
Batches = Callable[[NDArray[np.int64]], list[NDArray[np.int64]]]


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """Both parts of an encoder: from token numbers to hidden states, and to logits."""

    lower: Lower
    upper: Upper
    batches: Batches

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self.lower.words.device)

    def hidden(self, tokens: Tokens) -> list[Tensor]:
        """Per text its hidden states from the lower part, (tokens, width)."""
        found: list[Tensor] = [torch.empty(0)] * len(tokens)
        with torch.no_grad():
            for rows in self.batches(_lengths(tokens)):
                x = self.lower(*padded([tokens[row] for row in rows], self.device))
                for row, text in zip(rows, x, strict=True):
                    found[row] = text[: len(tokens[row])].clone()
        return found

    def logits(self, tokens: Tokens) -> Logits:
        """Logits of any texts."""
        found = np.zeros((len(tokens), self.upper.head.out_features), np.float32)
        on_gpu = self.device.startswith("cuda")
        with torch.no_grad(), torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=on_gpu):
            for rows in self.batches(_lengths(tokens)):
                ids, mask = padded([tokens[row] for row in rows], self.device)
                found[rows] = self.upper(self.lower(ids, mask), mask)[1].float().cpu().numpy()
        return found


def tune_on(
    reader: Reader,
    tokens: Tokens,
    labelled: Indices,
    targets: NDArray[np.int64],
    *,
    plan: Plan,
    groups: NDArray[np.int64] | None = None,
    weights: NDArray[np.float64] | None = None,
    seed: int = 0,
    time: Countdown | None = None,
) -> tuple[Reader, TunedBelief]:
    """The tuned encoder and what it believes of the pool. See `ale.tuning.belief.Tuner`."""
    time = time or Countdown(plan.seconds)
    began = time.left
    mine = [tokens[row] for row in labelled]
    lesson, folds = _lesson(reader, mine, targets, plan, groups, weights)
    reserve = _reserve(began - time.left, mine, tokens, time)

    held_out, kept = _cross(reader.upper, lesson, folds, plan, time, reserve, seed)
    last = tune(reader.upper, lesson, plan, time.part(1.0, reserve), seed=seed, until=kept)
    tuned = Reader(reader.lower, last.upper, reader.batches)
    pool = tuned.logits(tokens)
    cut = last.steps < math.ceil(plan.steps(len(targets)) * kept)
    return tuned, TunedBelief(held_out, pool, last.steps, kept, time.used, cut)


def held_out_on(
    reader: Reader,
    tokens: Tokens,
    targets: NDArray[np.int64],
    *,
    plan: Plan,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Logits:
    """Logits of texts that all have a label, each from a tuning without its text; see `ale.tuning.belief.CrossTuner`."""
    time = Countdown(plan.seconds)
    lesson, folds = _lesson(reader, tokens, targets, plan, groups, None)
    return _cross(reader.upper, lesson, folds, plan, time, 0.0, seed)[0]


def _lesson(
    reader: Reader,
    mine: Tokens,
    targets: NDArray[np.int64],
    plan: Plan,
    groups: NDArray[np.int64] | None,
    weights: NDArray[np.float64] | None,
) -> tuple[Lesson, NDArray[np.int64]]:
    """What is learnt, and each text's fold. Raises NotEnoughLabels."""
    if len(np.unique(targets)) < 2:
        raise NotEnoughLabels("need_two_classes", "tuning needs labels of at least two classes")
    if len(targets) < LEAST_LABELS:
        raise NotEnoughLabels(
            "too_few_to_tune", f"tuning needs {LEAST_LABELS} labels, there are {len(targets)}"
        )
    folds = assign_folds(targets, groups, plan.folds)
    if len(np.unique(folds)) < 2:
        raise NotEnoughLabels("one_text", "all labels belong to one text: nothing can be held out")
    counted = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
    return Lesson(reader.hidden(mine), targets, counted), folds


def _cross(
    upper: Upper,
    lesson: Lesson,
    folds: NDArray[np.int64],
    plan: Plan,
    time: Countdown,
    reserve: float,
    seed: int,
) -> tuple[Logits, float]:
    """Logits of each labelled text from a tuning without its fold, and the share of the way that was best."""
    found = np.zeros((MARKS, len(folds), upper.head.out_features), np.float32)
    rest = np.unique(folds).tolist()
    for turn, fold in enumerate(rest):
        out = folds == fold
        # The tunings that are left, and the one on all labels, get the same time for each of their texts.
        work = [plan.steps(int(np.sum(folds != other))) for other in rest[turn:]]
        share = work[0] / (sum(work) + plan.steps(len(folds)))
        told = lesson.part(np.flatnonzero(~out))
        if len(np.unique(told.targets)) < 2:
            continue  # nothing to tell apart: these rows stay without an opinion
        tuning = tune(
            upper,
            told,
            plan,
            time.part(share, reserve),
            seed=seed + 1 + turn,
            watched=[lesson.texts[row] for row in np.flatnonzero(out)],
        )
        found[:, out] = np.stack(tuning.watched)
    losses = [_loss(one, lesson) for one in found]
    best = int(np.argmin(losses))
    return found[best], (best + 1) / MARKS


def _loss(logits: Logits, lesson: Lesson) -> float:
    """Of the held-out labels, after a temperature: what is asked is knowledge, not sureness."""
    temperature = fit_temperature(logits, lesson.targets, lesson.weights)
    rows = np.arange(len(lesson.targets))
    return -float((lesson.weights * log_softmax(logits, temperature)[rows, lesson.targets]).sum())


def _reserve(seconds: float, measured: Tokens, tokens: Tokens, time: Countdown) -> float:
    """Seconds that the pass over the pool will take, from what the lower part took for the labelled texts."""
    needed = 2.0 * _SLACK * seconds * sum(map(len, tokens)) / max(1, sum(map(len, measured)))
    if needed > _MOST_OF_TIME * time.left:
        raise OutOfTime(
            f"reading {len(tokens)} texts with a tuned encoder would take about {needed:.0f} of the "
            f"{max(0.0, time.left):.0f} seconds that are left; allow more time or use a GPU"
        )
    return needed


def _lengths(tokens: Tokens) -> NDArray[np.int64]:
    return np.array([len(text) for text in tokens], np.int64)
