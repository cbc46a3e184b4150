"""From evidence to a judgement of every label.

What was learnt from the given labels (the views) is held out row by row. Witnesses (teachers, other annotators)
have tables, first by the given labels, then once more by what is believed. A student that can be fitted again is
fitted without the surely wrong labels, which hide their neighbours' errors. The leave-one-out views are not: squared
loss hardly bends to a wrong label, and without them clean labels were doubted more (measured on two sets).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ale.review.channel import Judgement, Opinions, judge
from ale.review.evidence import Evidence
from ale.review.odds import chances, log_odds
from ale.review.ridge import held_out_by_ridge
from ale.review.witnesses import Truth, annotator_tables, other_annotators, teacher_opinions
from ale.review.words import MOST_ROWS, held_out_by_words
from ale.teachers.fuse import fuse
from ale.teachers.recorded import hard
from ale.types import Probs

SURE = 0.5  # from here on a label is left out of the second pass
_WITNESS = 0.5  # a witness's word before its worth was seen; several repeat each other
_COMMON = 0.25  # weight of the common belief
_GIVEN_RIGHT, _TEACHER_RIGHT = 0.9, 0.75
_LEAST = 1e-4  # of a probability, before its logarithm


def weigh(evidence: Evidence, labels: int) -> Judgement:
    """The judgement of every label. Deterministic."""
    return _with_common_belief(evidence, _weigh(evidence, labels), labels)


def _weigh(evidence: Evidence, labels: int) -> Judgement:
    given = evidence.targets
    student = _logs(evidence.held_out)
    views = _views(evidence, labels)
    found = _judge(evidence, [*student, *views], np.eye(labels)[given])
    sure = found.wrong > SURE
    again = evidence.refit is not None and len(np.unique(given[~sure])) > 1
    if not sure.any() or not (again or evidence.unheard or evidence.annotators is not None):
        return found
    if again and evidence.refit is not None:
        student = _logs(evidence.refit(np.where(sure, 0.0, 1.0)))
    return _judge(evidence, [*student, *views], found.truth)


def _with_common_belief(evidence: Evidence, found: Judgement, labels: int) -> Judgement:
    """The scores, moved a little by what all words together say, the given label being only one of them.

    The channel learns what a witness is worth from the given labels, and so trusts those who share their errors.
    From two teachers on, their agreement among each other is a second measure; alone it would be the worse one.
    """
    teachers = evidence.unheard
    if len(teachers) < 2 or labels < 2:
        return found
    given = hard(evidence.targets, labels)
    assumed = [_GIVEN_RIGHT, *[_TEACHER_RIGHT] * len(teachers)]
    together = fuse([given, *teachers], assumed=assumed).probs
    against = 1.0 - together[np.arange(len(given)), evidence.targets].astype(np.float64)
    moved = log_odds(found.score) + _COMMON * log_odds(against)
    return replace(found, score=chances(moved))


def _logs(probs: Probs | None) -> list[NDArray[np.float64]]:
    return [] if probs is None else [np.log(np.maximum(probs.astype(np.float64), _LEAST))]


def _views(evidence: Evidence, labels: int) -> list[NDArray[np.float64]]:
    """What the other rows say of each row: their features and their words.

    The votes of the closest rows are told to the reviewer, and not counted here: they repeat the noise of a
    region, and beside the others they made the counted number of errors unsteady (0 to 35 on clean labels).
    """
    given, groups = evidence.targets, evidence.groups
    views = []
    if evidence.features.any():
        views.append(held_out_by_ridge(evidence.features, given, labels, groups))
    if evidence.texts is not None and len(evidence.texts) <= MOST_ROWS:
        views.append(held_out_by_words(evidence.texts, given, labels, groups))
    return views


def _judge(evidence: Evidence, views: list[NDArray[np.float64]], truth: Truth) -> Judgement:
    heard = [opinion for teacher in evidence.unheard for opinion in teacher_opinions(teacher, truth)]
    who, groups = evidence.annotators, evidence.groups
    alone = (
        who is None
    )  # then nobody says who labelled: the labels of equal texts are words of one kind of person
    if groups is not None and (not alone or len(np.unique(groups)) < len(groups)):
        speakers = np.zeros(len(groups), np.int64) if who is None else who
        tables = annotator_tables(evidence.targets, speakers, groups, truth)
        heard.append(other_annotators(evidence.targets, speakers, groups, tables))
    else:
        alone = False
    # Most texts stand once: what the others say of theirs makes the teachers no weaker witnesses.
    power = _WITNESS / max(1.0, (len(heard) - alone) / 2)
    powers = [1.0 / max(1, len(views))] * len(views) + [power] * len(heard)
    stacked: Opinions = np.maximum(np.stack([*views, *heard]), np.log(_LEAST))
    return judge(stacked, evidence.targets, who, np.array(powers))
