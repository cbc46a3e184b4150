"""One tuning: the upper part of the encoder and its head learn from labelled texts, within a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ale.tuning.belief import Logits
from ale.tuning.bert import Upper, stacked
from ale.tuning.plan import Countdown, Plan

MARKS = 4
"""How often a tuning is judged on texts that it does not learn from."""

_WARM_UP = 0.1
_LAST_RATE = 0.02
_PARTS = 2
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is learnt: per text its hidden states from the lower part, the label, and how much it counts."""

    texts: Sequence[Tensor]
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]

    def part(self, rows: NDArray[np.integer]) -> Lesson:
        """Some of it."""
        return Lesson([self.texts[row] for row in rows], self.targets[rows], self.weights[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """The tuned part; `watched[m]` are the logits of the watched texts after (m + 1) / MARKS of the way."""

    upper: Upper
    watched: list[Logits]
    steps: int


def tune(
    start: Upper,
    lesson: Lesson,
    plan: Plan,
    time: Countdown,
    *,
    seed: int,
    watched: Sequence[Tensor] = (),
    until: float = 1.0,
) -> Tuning:
    """A copy of `start` that has learnt the lesson; `until` is the share of the way after which it stops.

    The rate falls with the steps or with the time, whichever is further: a tuning that runs out of time is
    a shorter one, not one that was cut off. Deterministic for a seed as long as time does not run out.
    """
    upper = copy.deepcopy(start)
    steps = plan.steps(len(lesson.targets))
    drawn = _Draws(lesson, plan, np.random.default_rng(seed))
    optimiser = torch.optim.AdamW(
        [
            {"params": list(upper.layers.parameters()), "lr": plan.rate, "weight_decay": plan.decay},
            {"params": list(upper.head.parameters()), "lr": plan.head_rate, "weight_decay": 0.0},
        ]
    )
    full = [group["lr"] for group in optimiser.param_groups]
    # Dropout draws from the global generator: seeded here, and given back as it was.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        logits: list[Logits] = []
        done, way = 0, 0.0
        total = max(time.left, 1e-9)
        while way < until:
            rate = min(1.0, (done + 1) / (_WARM_UP * steps)) * max(_LAST_RATE, 1.0 - way)
            for group, most in zip(optimiser.param_groups, full, strict=True):
                group["lr"] = rate * most
            _step(upper, optimiser, lesson.part(next(drawn)))
            done += 1
            way = max(done / steps, 1.0 - time.left / total)
            if watched and way * MARKS >= len(logits) + 1:
                found = believe(upper, watched)
                # One long step may pass several marks.
                logits.extend([found] * (min(MARKS, int(way * MARKS)) - len(logits)))
    return Tuning(upper.eval(), logits, done)


def believe(upper: Upper, texts: Sequence[Tensor]) -> Logits:
    """Logits of texts whose hidden states are given."""
    was = upper.training
    upper.eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    found = np.zeros((len(texts), upper.head.out_features), np.float32)
    with torch.no_grad():
        for first in range(0, len(order), _AT_ONCE):
            rows = order[first : first + _AT_ONCE]
            found[rows] = upper(*stacked([texts[row] for row in rows]))[1].float().cpu().numpy()
    upper.train(was)
    return found


def _step(upper: Upper, optimiser: torch.optim.Optimizer, lesson: Lesson) -> None:
    """One step on one batch; on a CPU the short texts and the long ones apart, so that little is padded."""
    upper.train()
    optimiser.zero_grad(set_to_none=True)
    everyone = max(float(lesson.weights.sum()), 1e-9)
    order = np.argsort([len(text) for text in lesson.texts], kind="stable")
    on_gpu = lesson.texts[0].is_cuda
    for rows in [order] if on_gpu else np.array_split(order, min(_PARTS, len(order))):
        part = lesson.part(rows)
        x, mask = stacked(part.texts)
        targets = torch.tensor(part.targets, device=x.device)
        weights = torch.tensor(part.weights / everyone, dtype=torch.float32, device=x.device)
        # bfloat16 is quick on a GPU only; its range needs no scaling of the loss.
        with torch.autocast(x.device.type, torch.bfloat16, enabled=on_gpu):
            logits = upper(x, mask)[1]
        losses = functional.cross_entropy(logits.float(), targets, reduction="none")
        torch.autograd.backward((weights * losses).sum())
    torch.nn.utils.clip_grad_norm_(upper.parameters(), 1.0)
    optimiser.step()


class _Draws:
    """Batches without end, labels more even than they were given; no text twice in a batch."""

    def __init__(self, lesson: Lesson, plan: Plan, rng: np.random.Generator) -> None:
        counts = np.bincount(lesson.targets)[lesson.targets].astype(np.float64)
        chance = counts**-plan.balance
        self._chance = chance / chance.sum()
        self._size = min(plan.batch, len(counts))
        self._rng = rng

    def __next__(self) -> NDArray[np.int64]:
        return self._rng.choice(len(self._chance), self._size, replace=False, p=self._chance).astype(np.int64)
