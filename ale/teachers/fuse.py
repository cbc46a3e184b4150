"""Several teachers as noisy annotators: whose word counts how much, learnt from where they contradict.

The model is that of Dawid and Skene (1979): each teacher has a table of what it says when the truth is k,
and tables and truths are estimated in turn (EM). Three things make it fit for a few dozen texts and two
teachers: a prior behind every table, human labels as known truths, and teachers that may be silent. That the
dear teacher was asked only where the cheap ones disagree does no harm: who is asked depends on answers that
the model sees. What it does not see is that two teachers may share their errors; then it is too sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices, Probs

ASSUMED = 0.8
"""How often a teacher is taken to be right before anything was seen."""

_STRENGTH = 10.0  # texts that stand behind each row of a teacher's table
_ROUNDS = 100
_STILL = 1e-5  # largest change of a belief at which EM stops
_MOST = 2.0  # times the usual weight that a very certain word may have


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What several teachers say together. `probs`: NaN where all were silent and no human spoke.

    `reliability[t, k, l]` is the chance that teacher t says l when the truth is k; rows sum to 1.
    """

    probs: Probs
    reliability: NDArray[np.float64]

    def accuracy(self) -> NDArray[np.float64]:
        """The expected share of right answers of each teacher over these texts; higher is better."""
        known = ~np.isnan(self.probs).any(axis=1)
        labels = self.probs.shape[1]
        share = self.probs[known].mean(axis=0) if known.any() else np.full(labels, 1.0 / max(1, labels))
        return np.asarray(np.einsum("tkk,k->t", self.reliability, share), np.float64)


def fuse(
    answers: Sequence[Probs],
    human: NDArray[np.int64] | None = None,
    assumed: Sequence[float] | float = ASSUMED,
) -> Fused:
    """The teachers' common belief. Each of `answers` has a row per text, NaN = silent.

    A teacher's word is its likeliest label. It weighs by how certain the teacher was of it, compared with how
    certain it usually is: what its certainty is worth on the whole is for the table to say.
    `human` are people's labels, -1 where there is none: these rows are settled, and measure the teachers.
    `assumed` is the accuracy that each teacher is taken to have at first (in order of `answers`).

    With two teachers and no human label nothing in their answers tells whom to follow where they differ: the
    result can be worse than the better of them. Some 50 human labels, or a third teacher, settle that.
    Deterministic.
    """
    teachers, (texts, labels) = len(answers), answers[0].shape
    votes = np.stack([_votes(one) for one in answers])
    weights = np.stack([_weights(one) for one in answers])
    known = np.full(texts, -1, np.int64) if human is None else human
    if len(known) != texts:
        raise ValueError(f"{len(known)} human labels for {texts} texts")
    prior = _prior(np.broadcast_to(np.asarray(assumed, np.float64), (teachers,)), labels)
    evidence = votes * weights[:, :, None]
    settled = known >= 0
    truth = np.eye(labels)[np.maximum(known, 0)]

    reliability = prior / prior.sum(axis=2, keepdims=True)
    shares: NDArray[np.float64] = np.full(labels, 1.0 / max(1, labels))
    heard = votes.any(axis=(0, 2)) | settled
    beliefs = _beliefs(evidence, reliability, shares, settled, truth)
    for _ in range(_ROUNDS):
        reliability, shares = _tables(votes, beliefs, heard, prior)
        new = _beliefs(evidence, reliability, shares, settled, truth)
        change = float(np.abs(new - beliefs).max(initial=0.0))
        beliefs = new
        if change < _STILL:
            break
    beliefs[~heard] = np.nan
    return Fused(beliefs.astype(np.float32), reliability)


def ask_next(cheap: Sequence[Probs], human: NDArray[np.int64] | None = None) -> Indices:
    """The texts that need the dear teacher, the most doubtful first, so that a budget may cut the list.

    Those where the cheap teachers that spoke contradict each other, or where all are silent; never one that a
    person has labelled. Doubt is the margin of the cheap ones' common belief; silence comes last, because
    what several teachers cannot answer the dear one often cannot either.
    """
    said = np.stack([np.where(v.any(axis=1), v.argmax(axis=1), -1) for v in map(_votes, cheap)])
    loudest = said.max(axis=0)
    contradict = ((said >= 0) & (said != loudest)).any(axis=0)
    silent = loudest < 0
    wanted = contradict | silent
    if human is not None:
        wanted &= human < 0
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return rows.astype(np.int64)
    top2 = np.partition(np.nan_to_num(fuse(cheap, human).probs[rows]), -2, axis=1)[:, -2:]
    margin = np.where(silent[rows], 2.0, top2[:, 1] - top2[:, 0])
    return rows[np.argsort(margin, kind="stable")].astype(np.int64)


def _votes(probs: Probs) -> NDArray[np.float64]:
    """Shape (texts, labels): 1 at the word that was said; a silent row is all 0."""
    said: NDArray[np.float64] = np.eye(probs.shape[1])[np.nan_to_num(probs).argmax(axis=1)]
    said[np.isnan(probs).any(axis=1)] = 0.0
    return said


def _weights(probs: Probs) -> NDArray[np.float64]:
    """How certain the teacher was of each word, by its mean: 1 = as usual, 0 = it could not tell."""
    spoke = ~np.isnan(probs).any(axis=1)
    above = np.where(spoke, np.nan_to_num(probs).max(axis=1) - 1.0 / probs.shape[1], 0.0)
    usual = above[spoke].mean() if spoke.any() else 0.0
    return np.ones(len(probs)) if usual <= 0 else np.clip(above / usual, 0.0, _MOST)


def _prior(assumed: NDArray[np.float64], labels: int) -> NDArray[np.float64]:
    """Pseudo-counts of every table: `assumed` on the diagonal, the rest spread over the other labels."""
    if labels < 2:
        return np.full((len(assumed), labels, labels), _STRENGTH)
    off = (1.0 - assumed) / (labels - 1)
    same = np.eye(labels)
    return _STRENGTH * (assumed[:, None, None] * same + off[:, None, None] * (1.0 - same))


def _tables(
    votes: NDArray[np.float64],
    beliefs: NDArray[np.float64],
    heard: NDArray[np.bool_],
    prior: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The teachers' tables and the labels' shares, given what is believed of each text."""
    counts = np.einsum("ik,til->tkl", beliefs, votes) + prior
    shares = beliefs[heard].sum(axis=0) + 1.0
    return counts / counts.sum(axis=2, keepdims=True), shares / shares.sum()


def _beliefs(
    evidence: NDArray[np.float64],
    reliability: NDArray[np.float64],
    shares: NDArray[np.float64],
    settled: NDArray[np.bool_],
    truth: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What to believe of each text, given the teachers' tables; a silent teacher's row of zeros says nothing."""
    logs = np.log(shares) + np.einsum("til,tkl->ik", evidence, np.log(reliability))
    logs -= logs.max(axis=1, keepdims=True)
    beliefs = np.exp(logs)
    beliefs /= beliefs.sum(axis=1, keepdims=True)
    return np.where(settled[:, None], truth, beliefs)
