"""Are real errors found? Labels of a model or of people against the truth, which only the figures see.

`python -m benchmarks real_errors --data train.csv.gz --label-column gpt_label --truth-column label`. Average
precision over all rows, with no verdict and after a reviewer looked at the first flags; reviewed rows count with
their verdict, and beside it stands the figure of the rows that nobody looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.calibration import fit_temperature, softmax
from ale.commands.cache import cache_folder, cached_encoder
from ale.io.tables import read_table
from ale.io.tuner import MiniLMTuner
from ale.review.labelled import Columns, Labelled, read_columns
from ale.review.tuned import PLAN, with_tuned
from ale.review.whole import review_whole
from ale.students import HybridStudent


def main(arguments: Sequence[str]) -> int:
    """Prints the figures; the exit code is 0."""
    asked = _parse(arguments)
    if asked.data is None:
        print(
            "real_errors: nothing to read, name a file with --data, and its --label-column and --truth-column"
        )
        return 0
    table = read_table(asked.data)
    given, truth = table.column(asked.label_column), table.column(asked.truth_column)
    names = [name for name in asked.teacher_columns.split(",") if name]
    columns = Columns(
        table.column(asked.text_column), given, teachers={name: table.column(name) for name in names}
    )
    encoder = cached_encoder(asked.cache or cache_folder())
    data = read_columns(columns, encoder.encode)
    if asked.tune:
        data = with_tuned(data, MiniLMTuner(PLAN))
    with threadpool_limits(1, user_api="blas"):
        error = np.array([given[row] != truth[row] for row in data.rows])
        print(f"{len(error)} labels, {error.sum()} wrong")
        _beside(data, error)
        found = review_whole(data, list(given))
        scores = np.array([found.rows[row].score for row in data.rows])
        flagged = np.array([found.rows[row].flagged for row in data.rows])
        print(
            f"ours, no verdict: AP {average_precision_score(error, scores):.3f}; {_about(flagged, error)}; "
            f"about {found.errors:.0f} expected"
        )
        if asked.verdicts:
            first = np.argsort(-scores, kind="stable")[: asked.verdicts]
            verdicts = [""] * len(given)
            for row in data.rows[first]:
                verdicts[row] = truth[row]
            again = read_columns(
                Columns(columns.texts, given, teachers=columns.teachers, verdicts=verdicts), encoder.encode
            )
            # No verdict is learnt: a second tuning would come to the same.
            again = replace(again, evidence=replace(again.evidence, held_out=data.evidence.held_out))
            steered = review_whole(again, list(given))
            after = np.array([steered.rows[row].score for row in data.rows])
            rest = np.ones(len(error), bool)
            rest[first] = False
            placed = np.where(rest, scores, error)
            print(
                f"{asked.verdicts} verdicts, {error[first].mean():.2f} of them wrong; about {steered.errors:.0f} expected"
            )
            for name, score in (("verdicts placed only", placed), ("steered by them", after)):
                whole, left = (
                    average_precision_score(error[part], score[part]) for part in (slice(None), rest)
                )
                print(f"ours, {name}: AP {whole:.3f}; rows without a verdict alone: AP {left:.3f}")
    return 0


def _beside(data: Labelled, error: NDArray[np.bool_]) -> None:
    """What the default student alone would say, by self-confidence and by cleanlab."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    rows, given = np.arange(len(error)), data.given
    student = HybridStudent().fit(
        data.evidence.features, rows, given, labels=len(data.space), groups=data.evidence.groups
    )
    logits = student.out_of_fold_logits()
    probs = softmax(logits, fit_temperature(logits, given)).astype(np.float64)
    margin = get_label_quality_scores(given, probs, method="normalized_margin")
    flagged = np.asarray(find_label_issues(given, probs, n_jobs=1), bool)
    print(f"student, self-confidence: AP {average_precision_score(error, 1 - probs[rows, given]):.3f}")
    print(
        f"student, cleanlab: AP {average_precision_score(error, 1 - np.asarray(margin)):.3f}; {_about(flagged, error)}"
    )


def _about(flagged: NDArray[np.bool_], error: NDArray[np.bool_]) -> str:
    hits = int((flagged & error).sum())
    return f"{int(flagged.sum())} flags, precision {hits / max(1, int(flagged.sum())):.2f}, recall {hits / max(1, int(error.sum())):.2f}"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks real_errors", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column")
    parser.add_argument("--truth-column")
    parser.add_argument("--teacher-columns", default="")
    parser.add_argument("--verdicts", type=int, default=100)
    parser.add_argument("--tune", action="store_true", help="with a tuned encoder as a witness: minutes")
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args(arguments)
    if asked.data is not None and None in (asked.label_column, asked.truth_column):
        parser.error("--data needs --label-column and --truth-column")
    return asked
