"""Ask where two judges contradict each other: one of them has something to learn.

The judges are teacher and student, or the members of a committee: the candidates that a student is mixed of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.strategies.batch import distinct
from ale.strategies.margins import margin_clusters
from ale.strategies.uncertainty import margin_scores, ordered
from ale.types import Beliefs, Indices, Probs, Scores


def jensen_shannon_scores(left: Probs, right: Probs) -> Scores:
    """Jensen-Shannon divergence in bits (Lin, 1991): 0 = agree, 1 = exclude each other; higher = ask first.

    Where one of the two abstains (NaN) the score is 0: silence is no contradiction.
    """
    a, b = (np.clip(p.astype(np.float64), 1e-12, 1.0) for p in (left, right))
    middle = (a + b) / 2
    bits = 0.5 * (a * np.log2(a / middle) + b * np.log2(b / middle)).sum(axis=1)
    return np.asarray(np.clip(np.nan_to_num(bits, nan=0.0), 0.0, 1.0))


def consensus_scores(committee: NDArray[np.float32]) -> Scores:
    """Mean divergence of the members from their mean (McCallum and Nigam, 1998), over its greatest value.

    `committee` is (members, rows, labels); 0 = one opinion, 1 = as contrary as can be; higher = ask first.
    """
    most = min(len(committee), committee.shape[2])
    if most < 2:
        return np.zeros(committee.shape[1])
    mean = np.clip(committee.mean(axis=0, dtype=np.float64), 1e-12, 1.0)
    total = np.zeros(committee.shape[1])
    for member in committee:
        safe = np.clip(member.astype(np.float64), 1e-12, 1.0)
        total += (safe * np.log(safe / mean)).sum(axis=1)
    return np.asarray(np.clip(total / len(committee) / np.log(most), 0.0, 1.0))


def vote_entropy_scores(committee: NDArray[np.float32]) -> Scores:
    """Entropy of the members' votes (Dagan and Engelson, 1995), over its greatest value; higher = ask first.

    Unlike `consensus_scores` it does not hear how sure a member is, so a boastful one counts once.
    """
    members, rows, labels = committee.shape
    most = min(members, labels)
    if most < 2:
        return np.zeros(rows)
    votes = np.zeros((rows, labels))
    for member in committee:
        votes[np.arange(rows), member.argmax(axis=1)] += 1.0 / members
    spread = votes * np.log(np.maximum(votes, 1e-12))
    return np.asarray(np.clip(-spread.sum(axis=1) / np.log(most), 0.0, 1.0))


def disagreement(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The strongest contradictions between teacher and student; `margin_clusters` while one is missing."""
    if beliefs.student is None or beliefs.teacher is None:
        return margin_clusters(beliefs, batch, rng)
    return _most(
        jensen_shannon_scores(beliefs.student, beliefs.teacher), beliefs.student, beliefs, batch, rng
    )


def committee(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """Where the candidates are farthest from their consensus; `margin_clusters` without two of them."""
    if beliefs.committee is None or len(beliefs.committee) < 2:
        return margin_clusters(beliefs, batch, rng)
    mean = beliefs.committee.mean(axis=0)
    return _most(consensus_scores(beliefs.committee), mean, beliefs, batch, rng)


def vote_entropy(beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """Where the candidates' votes are most divided; `margin_clusters` without two of them."""
    if beliefs.committee is None or len(beliefs.committee) < 2:
        return margin_clusters(beliefs, batch, rng)
    mean = beliefs.committee.mean(axis=0)
    return _most(vote_entropy_scores(beliefs.committee), mean, beliefs, batch, rng)


def _most(scores: Scores, probs: Probs, beliefs: Beliefs, batch: int, rng: np.random.Generator) -> Indices:
    """The highest scores; where nobody contradicts, the smallest margin of `probs`."""
    return distinct(beliefs.embeddings, ordered(scores, rng, margin_scores(probs)), batch)
