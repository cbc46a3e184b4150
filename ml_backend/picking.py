"""Which texts a paid teacher is asked about, and in which order: where its answer changes something.

Texts that people may still be shown come first, those that are believed least at the front. A student that is
sure is not second-guessed. Of what people have labelled only gold texts are asked, and only so many as the trust in
the teacher rests on; they are mixed in, so that it is known early.

Whether a text is in the audit's reserve has no say in it, and neither has any audit label. The order in which
people are served has: its front holds the next audits. A teacher that had read all of these, but a part of the
other texts only, would make the audit promise more than the pool keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ale.teachers.fuse import ask_next
from ale.types import Probs
from ml_backend.beliefs import PublishedBeliefs
from ml_backend.store.schema import Task

SURE = 0.95
"""A student this sure of a text needs no teacher for it (calibrated: one in twenty is wrong at most)."""
UNSURE = 0.9
"""A single cheap teacher less sure than this contradicts itself, so to say."""
GOLD_TEXTS = 200
"""Labelled texts that a teacher is asked about for the sake of trust: the interval is then under 7 points."""
GOLD_EVERY = 5


def believed(hashes: Sequence[str], beliefs: PublishedBeliefs | None) -> Probs | None:
    """What the version in force believes of these texts without the audit, NaN = nothing; None without a version."""
    if beliefs is None or not hashes:
        return None
    probs = np.full((len(hashes), len(beliefs.labels)), np.nan, np.float32)
    wanted = np.frombuffer(bytes.fromhex("".join(hashes)), dtype="S16")
    if len(beliefs.hashes):
        at = np.minimum(np.searchsorted(beliefs.hashes, wanted), len(beliefs.hashes) - 1)
        found = beliefs.hashes[at] == wanted
        probs[found] = beliefs.unaided[at[found]]
    return probs


def worth_asking(
    tasks: Sequence[Task],
    asked: Collection[str],
    gold: Collection[str],
    beliefs: PublishedBeliefs | None,
    *,
    student: bool,
    only: Collection[str] | None = None,
    blind: Collection[str] = (),
) -> list[str]:
    """Hashes of the texts to ask about, the most useful first; none that is in `asked`.

    `gold` are texts that people have labelled and no teacher is shown. `only` leaves the choice among open
    texts to somebody else: those where cheaper teachers contradict each other, in their order.

    `blind` are texts of the audit. They are asked about as if nobody had answered them, no sooner and no later:
    a model that knew more of them than of the texts that wait would do better on the audit than on the pool.
    """
    done = {task.text_hash for task in tasks if task.is_labeled} - set(blind)
    known = done | set(gold)
    texts = {t.text_hash for t in tasks if t.text_hash}
    if only is None:
        open_texts = _open(sorted(texts - known - set(asked)), beliefs, student=student)
    else:
        open_texts = [name for name in only if name in texts and name not in known and name not in asked]
    measured = sum(name in asked for name in gold)
    pending = sorted(name for name in gold if name not in asked)[: max(0, GOLD_TEXTS - measured)]
    return _mixed(open_texts, pending)


def contested(hashes: Sequence[str], voices: Sequence[Probs]) -> list[str]:
    """The texts for which a dearer teacher is wanted, the most doubtful first: the cheaper voices contradict
    each other there, or are silent. A single voice contradicts nobody: then where it is unsure.
    """
    if not voices or not hashes:
        return []
    if len(voices) > 1:
        return [hashes[i] for i in ask_next(voices)]
    best = np.nan_to_num(voices[0], nan=-1.0).max(axis=1)  # silence comes first
    return [hashes[i] for i in np.argsort(best, kind="stable") if best[i] < UNSURE]


def _open(hashes: list[str], beliefs: PublishedBeliefs | None, *, student: bool) -> list[str]:
    """Without the sure ones, the least believed first; what nothing is known of comes last, in the order of hashes:
    at random, so that a budget that ends early has bought answers from all over the pool.
    """
    probs = believed(hashes, beliefs)
    if probs is None:
        return hashes
    confidence = np.nan_to_num(probs.max(axis=1), nan=np.inf)
    sure = np.isfinite(confidence) & (confidence >= SURE) if student else np.zeros(len(hashes), bool)
    return [hashes[i] for i in np.argsort(confidence, kind="stable") if not sure[i]]


def _mixed(open_texts: list[str], pending: list[str]) -> list[str]:
    mixed: list[str] = []
    rest = iter(pending)
    for i, name in enumerate(open_texts, start=1):
        mixed.append(name)
        if i % (GOLD_EVERY - 1) == 0:
            mixed.extend(name for name in (next(rest, None),) if name is not None)
    return [*mixed, *rest]
