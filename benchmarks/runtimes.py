"""The embedded encoder by each runtime beside sentence-transformers' default on the same weights and texts.

By turns in one process; medians over the rounds. A cosine is the least over all texts and both halves of a row, to
float32. Exit code 1 when the quickest is less than 3 times sentence-transformers (1.3 where the processor does not
multiply bfloat16 by itself), or further than a cosine of .999 from float32.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ale.io.encoder import resolve_for
from ale.io.minilm import embedded_folder
from ale.io.runtime import Runtime, quickest
from ale.types import Embeddings
from benchmarks.figures import load, show

LEAST_COSINE = 0.999
PEER = "sentence-transformers default"


def main(arguments: Sequence[str]) -> int:
    """Prints one row per runtime."""
    parser = argparse.ArgumentParser(prog="runtimes", description=__doc__)
    parser.add_argument("--csv", type=Path, help="texts, in the column text")
    parser.add_argument("--limit", type=int, default=1_000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.csv is None:
        print("runtimes: nothing to read, name a file with --csv")
        return 0
    with options.csv.open(newline="", encoding="utf-8") as lines:
        texts = [row["text"] for row, _ in zip(csv.DictReader(lines), range(options.limit), strict=False)]
    ways: dict[str, Callable[[], Any]] = {
        runtime: _encoding(runtime, texts, options.threads) for runtime in Runtime
    }
    peer = _peer(texts)
    if peer is None:
        print(f"{PEER}: not installed, left out")
    else:
        ways[PEER] = peer
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows: dict[str, Embeddings] = {}
    for way in ways.values():
        way()  # warm
    for _ in range(options.rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            rows[name] = way()
            seconds[name].append(time.perf_counter() - started)
    took = {name: median(found) for name, found in seconds.items()}
    slowest = took[PEER if peer else Runtime.FLOAT32]
    cosines = {runtime: _cosine(rows[runtime], rows[Runtime.FLOAT32]) for runtime in Runtime}
    show(
        f"{len(texts)} texts of {options.csv.parent.name}, {options.threads} threads, median of {options.rounds}; {load()}",
        ["runtime", "documents/s", "times", "least cosine"],
        [
            (name, f"{len(texts) / took[name]:,.0f}", f"{slowest / took[name]:.2f}",
             f"{cosines[Runtime(name)]:.5f}" if name != PEER else "-")
            for name in ways
        ],
    )  # fmt: skip
    chosen = quickest()
    wanted = 1.3 if chosen is Runtime.FLOAT32 else 3.0
    print(f"chosen here: {chosen}")
    return int(cosines[chosen] < LEAST_COSINE or (peer is not None and slowest / took[chosen] < wanted))


def _encoding(runtime: Runtime, texts: list[str], threads: int) -> Callable[[], Embeddings]:
    encoder = resolve_for(runtime, threads=threads)
    return lambda: encoder.encode(texts)


def _peer(texts: list[str]) -> Callable[[], Any] | None:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    model = SentenceTransformer(str(embedded_folder()), device="cpu")
    return lambda: model.encode(texts, show_progress_bar=False)


def _cosine(rows: Embeddings, exact: Embeddings) -> float:
    halves = np.hsplit(rows * exact, 2)
    return float(min(half.sum(axis=1).min() for half in halves))
