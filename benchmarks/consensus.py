"""What is the consensus of few annotators worth? Against the majority of those who were not asked.

`python -m benchmarks consensus FILE...`: each row a text with comma lists of its annotators and their answers, as
MD-Agreement has them. Of each text two annotators, then three, are drawn; the truth is what most of the others say.
Texts without such a majority are labelled like the rest, but measure nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.commands.cache import cache_folder, cached_encoder
from ale.io.tables import read_table
from ale.relabel import decided
from ale.review.consensus import consensus
from ale.review.labelled import Columns, read_columns
from ale.review.ridge import held_out_by_ridge
from ale.review.settled import settle
from ale.review.weighing import weigh
from ale.text import normalise
from ale.types import Embeddings
from benchmarks.figures import show

Encode = Callable[[Sequence[str]], Embeddings]
Labels = NDArray[np.int64]


def main(arguments: Sequence[str]) -> int:
    """Prints the figures; the exit code is 0."""
    asked = _parse(arguments)
    if not asked.files:
        print(
            "consensus: nothing to read, name files with texts and lists of annotators and answers; --help names the columns"
        )
        return 0
    encoder = cached_encoder(asked.cache or cache_folder())
    rows = []
    with threadpool_limits(1, user_api="blas"):
        for file in asked.files:
            texts, who, said = _read(file, asked.text_column, asked.annotators_column, asked.answers_column)
            for count in asked.annotators:
                runs = np.array(
                    [_run(texts, who, said, count, seed, encoder.encode) for seed in range(asked.seeds)]
                )
                means, spread = runs.mean(axis=0), runs[:, 1:].std(axis=0)
                told = (f"{m:.3f} ± {s:.3f}" for m, s in zip(means[1:], spread, strict=True))
                rows.append((f"{file.parent.name}/{file.stem}", count, round(means[0]), *told))
    show(
        f"Agreement with the majority of the annotators who were not asked, {asked.seeds} seeds",
        ("file", "asked per text", "texts that count", "majority", "cleanlab", "ours"),
        rows,
    )
    return 0


def _read(
    file: Path, text: str, annotators: str, answers: str
) -> tuple[list[str], list[Labels], list[Labels]]:
    """Texts that stand there once, and by text the numbers of its annotators and of their answers."""
    table = read_table(file)
    seen: dict[str, tuple[list[str], list[str]]] = {}
    lists = (table.column(annotators), table.column(answers))
    for words, who, said in zip(table.column(text), *lists, strict=True):
        if normalise(words) is not None:
            seen.setdefault(words, (who.split(","), said.split(",")))
    people = sorted({one for who, _ in seen.values() for one in who})
    labels = sorted({one for _, said in seen.values() for one in said})
    return (
        list(seen),
        [np.array([people.index(one) for one in who]) for who, _ in seen.values()],
        [np.array([labels.index(one) for one in said]) for _, said in seen.values()],
    )


def _run(
    texts: Sequence[str], who: list[Labels], said: list[Labels], count: int, seed: int, encode: Encode
) -> tuple[float, float, float, float]:
    """How many texts count, and the agreement of the majority's vote, cleanlab's consensus and ours."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(len(one)) for one in who]
    kept = [one[:count] for one in drawn]
    labels = 1 + max(int(one.max()) for one in said)
    votes = np.stack([np.bincount(s[k], minlength=labels) for s, k in zip(said, kept, strict=True)])
    others = np.stack([np.bincount(s[d[count:]], minlength=labels) for s, d in zip(said, drawn, strict=True)])
    clear = (others == others.max(axis=1, keepdims=True)).sum(axis=1) == 1
    majority = (votes + rng.random(votes.shape)).argmax(axis=1)  # a tie falls by lot
    text = np.repeat(np.arange(len(texts)), [len(one) for one in kept])
    people = np.concatenate([w[k] for w, k in zip(who, kept, strict=True)])
    given = np.concatenate([s[k] for s, k in zip(said, kept, strict=True)])
    data = read_columns(
        Columns(
            texts=[texts[t] for t in text],
            labels=[f"{label:04d}" for label in given],
            annotators=[str(one) for one in people],
        ),
        encode,
    )
    ours = np.full(len(texts), -1)
    agreed = consensus(data, weigh(data.evidence, len(data.space)), settle(data))
    ours[text[data.rows]] = [int(data.space.labels[label]) for label in agreed.labels]
    first = np.searchsorted(text, np.arange(len(texts)))
    theirs = _cleanlab(data.evidence.features[first], majority, text, people, given, labels)
    truth = others.argmax(axis=1)[clear]
    return (
        float(clear.sum()),
        *(float(np.mean(label[clear] == truth)) for label in (majority, theirs, ours)),
    )  # type: ignore[return-value]


def _cleanlab(
    features: Embeddings, majority: Labels, text: Labels, people: Labels, given: Labels, labels: int
) -> Labels:
    """CROWDLAB on the same features, with held-out probabilities that were learnt from the majority's votes."""
    from cleanlab.multiannotator import get_label_quality_multiannotator

    table = np.full((len(majority), int(people.max()) + 1), np.nan)
    table[text, people] = given
    heard = np.flatnonzero(~np.isnan(table).all(axis=0))
    probs = np.exp(held_out_by_ridge(features, majority, labels))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", UserWarning)
        found = get_label_quality_multiannotator(
            table[:, heard],
            decided(probs),
            verbose=False,
            return_detailed_quality=False,
            return_annotator_stats=False,
        )
    return np.asarray(found["label_quality"]["consensus_label"], np.int64)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks consensus", description=__doc__)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--annotators-column", default="annotators")
    parser.add_argument("--answers-column", default="annotations")
    parser.add_argument("--annotators", type=int, nargs="+", default=[2, 3], help="drawn per text")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path)
    return parser.parse_args(arguments)
