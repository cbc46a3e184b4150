"""From evidence to a judgement of every label, in two passes.

The first pass says which labels are surely wrong; they also hide their neighbours' errors. The second judges
everything once more without them, and measures the witnesses by what is now believed instead of by what was given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement, Opinions, judge
from ale.review.evidence import Evidence
from ale.review.neighbours import held_out_by_neighbours
from ale.review.ridge import held_out_by_ridge
from ale.review.witnesses import Truth, annotator_tables, other_annotators, teacher_opinions
from ale.review.words import MOST_ROWS, held_out_by_words

SURE = 0.5  # from here on a label is left out of the second pass
_WITNESS = 0.5  # a witness's word before its worth was seen; several repeat each other
_LEAST = 1e-4  # of a probability, before its logarithm


def weigh(evidence: Evidence, labels: int) -> Judgement:
    """The judgement of every label. Deterministic."""
    given = evidence.targets
    views = _views(evidence, labels, None)
    found = _judge(evidence, views, np.eye(labels)[given])
    sure = found.wrong > SURE
    if not sure.any():
        return found
    kept = np.where(sure, 0.0, 1.0)
    if len(np.unique(given[kept > 0])) < 2:
        return found
    return _judge(evidence, _views(evidence, labels, kept), found.truth)


def _views(evidence: Evidence, labels: int, kept: NDArray[np.float64] | None) -> list[NDArray[np.float64]]:
    """What was learnt from the given labels, without each row's own."""
    given, groups = evidence.targets, evidence.groups
    views = []
    if evidence.held_out is not None:
        probs = evidence.held_out
        if kept is not None and evidence.refit is not None:
            probs = evidence.refit(kept)
        views.append(np.log(np.maximum(probs.astype(np.float64), _LEAST)))
    if evidence.features.any():
        views.append(held_out_by_ridge(evidence.features, given, labels, groups, kept))
        near = held_out_by_neighbours(evidence.features, given, labels, groups, kept)
        views.extend([] if near is None else [near])
    if evidence.texts is not None and len(evidence.texts) <= MOST_ROWS:
        views.append(held_out_by_words(evidence.texts, given, labels, groups, kept))
    return views


def _judge(evidence: Evidence, views: list[NDArray[np.float64]], truth: Truth) -> Judgement:
    heard = [opinion for teacher in evidence.teachers for opinion in teacher_opinions(teacher, truth)]
    who, groups = evidence.annotators, evidence.groups
    if who is not None and groups is not None:
        tables = annotator_tables(evidence.targets, who, groups, truth)
        heard.append(other_annotators(evidence.targets, who, groups, tables))
    powers = [1.0 / max(1, len(views))] * len(views) + [_WITNESS / max(1.0, len(heard) / 2)] * len(heard)
    stacked: Opinions = np.maximum(np.stack([*views, *heard]), np.log(_LEAST))
    return judge(stacked, evidence.targets, who, np.array(powers))
