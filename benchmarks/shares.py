"""Do the intervals of the corrected class shares hold what they promise, and is the correction closer than counting?

Each draw parts a test file anew: some texts are the labelled ones that `ale index` corrects by, the corpus is all
others, or as many of them as there are for a mixture of labels drawn by chance (a Dirichlet around the file's, 10 in
all: a label with a quarter of the file has 12 to 38 % of the corpus). Exit code 1 when an interval at nominal 95 %
holds the truth less often than 93 times in 100, or counting is as close.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ale.calibration import softmax
from ale.loading import load
from ale.scanner.texts import Texts
from ale.shares import corrected_shares
from ale.text import normalise
from ale.types import Indices, Probs
from benchmarks.figures import show
from benchmarks.index_sets import Set, read_set

LEAST = 0.93
SPREAD = 10.0
LEAST_TEXTS = 50


@dataclass(slots=True)
class Tally:
    """Over draws and labels: whether the interval held the truth, its width, and the errors in points."""

    held: list[bool] = field(default_factory=list)
    width: list[float] = field(default_factory=list)
    corrected: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)


def play(probs: Probs, truth: NDArray[np.int64], labelled: int, draws: int, *, shifted: bool) -> Tally:
    """`draws` corpora, each of texts beside `labelled` labelled ones."""
    names = [str(label) for label in range(probs.shape[1])]
    said = probs.argmax(axis=1)
    found = Tally()
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        order = rng.permutation(len(truth))
        known, rest = order[:labelled], order[labelled:]
        corpus = _shifted(rest, truth[rest], rng) if shifted else rest
        counts = dict(zip(names, np.bincount(said[corpus], minlength=len(names)).tolist(), strict=True))
        shares = corrected_shares(counts, names, probs[known], truth[known], seed=draw)
        true = np.bincount(truth[corpus], minlength=len(names)) / len(corpus)
        for label, share in zip(names, shares.values(), strict=True):
            there = float(true[int(label)])
            found.held.append(share.low <= there <= share.high)
            found.width.append(share.high - share.low)
            found.corrected.append(abs(share.corrected - there))
            found.counted.append(abs(share.counted - there))
    return found


def _shifted(rest: Indices, truth: NDArray[np.int64], rng: np.random.Generator) -> Indices:
    """As many of the texts as there are for a mixture of labels drawn by chance; none stands there twice."""
    there = np.bincount(truth)
    for _ in range(100):
        mixture = np.where(there > 0, rng.dirichlet(SPREAD * there / len(rest) + 1e-3), 0.0)
        some = mixture > 0
        taken = np.floor(mixture * np.min(there[some] / mixture[some])).astype(np.int64)
        if taken.sum() >= LEAST_TEXTS:
            return np.concatenate([rest[truth == label][: taken[label]] for label in range(len(there))])
    raise SystemExit(f"shares: {len(rest)} texts are too few")


def main(arguments: Sequence[str]) -> int:
    """Prints a row per set, kind of corpus and number of labelled texts."""
    parser = argparse.ArgumentParser(prog="shares", description=__doc__)
    parser.add_argument(
        "--set", action="append", default=[], metavar="TRAIN,TEST[,LABEL COLUMN]", help="CSV; repeatable"
    )
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--labelled", default="100,300", help="how many labelled texts")
    parser.add_argument("--folder", type=Path, help="keeps models for the next run")
    parser.add_argument("--cache", type=Path, default=user_cache_path("ale-label-studio"))
    options = parser.parse_args(arguments)
    if not options.set:
        print("shares: nothing to read, name files with --set TRAIN,TEST")
        return 0
    rows: list[tuple[object, ...]] = []
    missed = False
    with tempfile.TemporaryDirectory() as temporary:
        for given in options.set:
            one = read_set(given, options.folder or Path(temporary), options.cache)
            probs, truth = _answers(one)
            for labelled in map(int, options.labelled.split(",")):
                for shifted in (False, True):
                    found = play(probs, truth, labelled, options.draws, shifted=shifted)
                    held, mine, counting = (
                        float(np.mean(each)) for each in (found.held, found.corrected, found.counted)
                    )
                    missed |= held < LEAST or (shifted and mine >= counting)
                    rows.append(
                        (one.name, labelled, "other labels" if shifted else "the file's labels", f"{100 * held:.1f}",
                         f"{100 * float(np.mean(found.width)):.1f}", f"{100 * mine:.2f}", f"{100 * counting:.2f}")
                    )  # fmt: skip
    show(
        f"{options.draws} draws; points of a label's share, mean over labels",
        ["set", "labelled", "corpus", "held the truth %", "width", "off, corrected", "off, counted"],
        rows,
    )
    return int(missed)


def _answers(one: Set) -> tuple[Probs, NDArray[np.int64]]:
    model = load(one.model)
    logits = model.scanner.logits(Texts.of([normalise(text) or "" for text in one.test_texts]))
    return softmax(logits), np.array([model.labels.index(label) for label in one.test_labels])
