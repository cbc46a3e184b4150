"""How good is each annotator of a live project? By agreement with others and with the student's belief (CROWDLAB).

Goh, Tkachenko and Mueller (2022): annotators are weighed by how often they agree with others, the student by how
often it agrees with them; where few texts have several answers the student carries most of it.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass

import numpy as np

from ale.relabel import Answers, decided, table_of


@dataclass(frozen=True, slots=True)
class Annotator:
    """`quality` in [0, 1] is the estimated share of right answers; `shared` answers are on rows of several."""

    annotator: int
    answers: int
    shared: int
    quality: float


def crowdlab_quality(answers: Answers) -> list[Annotator]:
    """One per annotator, by their numbers; none where no row has two answers: nothing tells them apart.

    Its consensus labels are not used: on simulated annotators they were worse than the majority's vote.
    """
    _, first, table = table_of(answers)
    several = (~np.isnan(table)).sum(axis=1) > 1
    if not several.any() or answers.held_out.shape[1] < 2:
        return []
    from cleanlab.multiannotator import get_label_quality_multiannotator

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # It warns and prints where annotators never agree or a label loses every vote: both are fine here.
        warnings.simplefilter("ignore", UserWarning)
        found = get_label_quality_multiannotator(table, decided(answers.held_out[first]), verbose=False)
    quality = found["annotator_stats"]["annotator_quality"]
    names = np.unique(answers.annotators)
    return [
        Annotator(
            int(name),
            int((~np.isnan(table[:, column])).sum()),
            int((~np.isnan(table[several, column])).sum()),
            float(quality.loc[column]),
        )
        for column, name in enumerate(names)
    ]
