"""`ale index` end to end, what its parts cost, and how accurate the scanner is beside the encoder student.

The texts are those of the first set, written over and over with a share of words replaced by unseen ones: repetition
alone would warm the caches. Everything runs in one process, one after the other; compare figures of one run only.
Exit code 1 below 500,000 documents a second, or where the cascade is less than 8 times as fast as the encoder.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from platformdirs import user_cache_path
from pyarrow import parquet

from ale.cascade import Cascade
from ale.io.index.run import Summary, Wish, run_index
from ale.io.minilm import embedded_folder
from ale.io.runtime import quickest
from ale.loading import load
from ale.model import Model
from ale.scanner.texts import Texts
from benchmarks.figures import load as machine
from benchmarks.figures import show
from benchmarks.index_peers import fasttext_rate, model2vec_rate
from benchmarks.index_sets import DEFERRED, Set, accuracies, read_set
from benchmarks.index_texts import write_texts

TIMES_ENCODER = 8.0
LEAST_PER_SECOND = 500_000


class Silent:
    """Hears and says nothing."""

    def begin(self, weight: int, unit: str) -> None:
        """Nothing."""

    def rows(self, n: int) -> None:
        """Nothing."""

    def part(self, weight: int, *, resumed: bool) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds by the clock and of the processor: the latter hang less on what else the machine does."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Span:
    """How long it took, all threads together."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return Span(time.perf_counter() - started, time.process_time() - cpu)


def middle(spans: Sequence[Span]) -> Span:
    """The medians."""
    return Span(median(span.wall for span in spans), median(span.cpu for span in spans))


def indexed(model: Model, source: Path, out: Path, workers: int, share: float = 0.0) -> Summary:
    """One whole run of `ale index`; what it wrote is removed."""
    cascade = Cascade(share)
    wish = Wish(str(source), str(out), "text", model.labels, model.version, workers=workers)
    found = run_index(wish, lambda texts, heard: model.classify(texts, cascade, heard), Silent())
    shutil.rmtree(out)
    return found


def read_through(source: Path, workers: int) -> None:
    """Every row group read and decoded, and nothing more: what no indexer can undercut."""

    def read(group: int) -> None:
        with parquet.ParquetFile(source, pre_buffer=False) as file:
            file.read_row_group(group, use_threads=False)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(read, range(parquet.read_metadata(source).num_row_groups)))


def scanned_only(model: Model, texts: Texts, workers: int) -> None:
    """The scanner alone, the texts in memory."""
    threads = [threading.Thread(target=model.scanner.predict, args=(texts,)) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def sentence_transformer(texts: list[str]) -> Span | None:
    """The library's default on the same weights; None where it is not installed."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    model = SentenceTransformer(str(embedded_folder()), device="cpu")
    model.encode(texts[:32], show_progress_bar=False)
    return timed(lambda: model.encode(texts, show_progress_bar=False))


def main(arguments: Sequence[str]) -> int:
    """Prints throughput and accuracy tables."""
    parser = argparse.ArgumentParser(prog="index", description=__doc__)
    parser.add_argument(
        "--set", action="append", default=[], metavar="TRAIN,TEST[,LABEL COLUMN]", help="CSV; repeatable"
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--perturbed", type=float, default=0.2, help="share of words replaced by unseen ones")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoded", type=int, default=1_000, help="texts for the encoder's figures")
    parser.add_argument("--deferred-rows", type=int, default=20_000, help="rows for the cascade's figure")
    parser.add_argument("--folder", type=Path, help="keeps texts and models for the next run")
    parser.add_argument("--cache", type=Path, default=user_cache_path("ale-label-studio"))
    parser.add_argument("--peer", action="store_true", help="sentence-transformers, fastText and model2vec")
    parser.add_argument("--peer-texts", type=int, default=100_000, help="texts for fastText and model2vec")
    parser.add_argument("--no-accuracy", action="store_true", help="leave out the first table")
    options = parser.parse_args(arguments)
    if not options.set:
        print("index: nothing to read, name files with --set TRAIN,TEST")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sets = [read_set(given, folder, options.cache) for given in options.set]
        if not options.no_accuracy:
            show(
                "test accuracy; never tuned on",
                [
                    "set",
                    "texts",
                    "scanner %",
                    "student %",
                    "apart",
                    "agree %",
                    f"defer {DEFERRED:.0%}: %",
                    "apart",
                ],
                [accuracies(one, options.cache) for one in sets],
            )
        return throughput(sets[0], folder, options)


def main_throughput(arguments: Sequence[str]) -> int:
    """The whole comparison by one command: `index_throughput FOLDER`, which holds agnews/train.csv and test.csv."""
    if not arguments or arguments[0].startswith("-"):
        print(
            "index_throughput: nothing to read, name the folder that holds agnews/train.csv and agnews/test.csv"
        )
        return 0
    folder, *more = arguments
    return main(
        ["--set", f"{folder}/agnews/train.csv,{folder}/agnews/test.csv", "--peer", "--no-accuracy", *more]
    )


def throughput(one: Set, folder: Path, options: argparse.Namespace) -> int:
    """The first set's texts, from file to file."""
    model = load(one.model, threads=options.workers)
    source = folder / f"texts-{one.name}-{options.rows}-{options.perturbed}.parquet"
    small = folder / f"texts-{one.name}-{options.deferred_rows}-{options.perturbed}.parquet"
    for path, rows in ((source, options.rows), (small, options.deferred_rows)):
        if not path.exists():
            write_texts(path, one.texts, rows, options.perturbed)
    texts = parquet.ParquetFile(source).read_row_group(0)["text"].to_pylist()
    some = Texts.of(texts)
    out = folder / "indexed"
    indexed(model, small, out, options.workers)  # warm: compiled, read into the page cache
    model.student_probs(texts[:64])
    spans: dict[str, list[Span]] = {"index": [], "read": [], "scan": [], "copy": []}
    content = np.frombuffer(source.read_bytes(), np.uint8)
    for _ in range(options.rounds):
        spans["copy"].append(timed(content.copy))
        spans["read"].append(timed(lambda: read_through(source, options.workers)))
        spans["scan"].append(timed(lambda: scanned_only(model, some, options.workers)))
        spans["index"].append(timed(lambda: indexed(model, source, out, options.workers)))
    took = {name: middle(found) for name, found in spans.items()}
    few = texts[: options.encoded]
    fast = load(one.model, options.workers, quickest())
    fast.student_probs(texts[:64])
    exact = timed(lambda: model.student_probs(few))
    encoder = timed(lambda: fast.student_probs(few))
    cascade = timed(lambda: indexed(fast, small, out, options.workers, DEFERRED))
    peer = sentence_transformer(few) if options.peer else None
    some_texts = texts[: options.peer_texts]
    peers = (
        {
            "fastText, two processes": fasttext_rate(one.texts, one.labels, some_texts, 2),
            "model2vec + LogisticRegression": model2vec_rate(one.texts, one.labels, some_texts),
        }
        if options.peer
        else {}
    )
    size = source.stat().st_size
    lines: list[tuple[str, int, int, Span]] = [
        ("ale index, file to file", options.rows, size, took["index"]),
        ("  reading the file, no more", options.rows, size, took["read"]),
        ("  the scanner alone, in memory", options.workers * len(texts),
         options.workers * int(some.offsets[-1]), took["scan"]),
        ("  copying the file's bytes", options.rows, size, took["copy"]),
        (f"ale index --defer {DEFERRED}", options.deferred_rows, small.stat().st_size, cascade),
        (f"encoder student, {quickest()}", len(few), 0, encoder),
        ("encoder student, float32", len(few), 0, exact),
    ]  # fmt: skip
    if peer is not None:
        lines.append(("sentence-transformers default", len(few), 0, peer))
    for what, rate in peers.items():
        if rate is None:
            print(f"{what}: not installed, left out")
        else:
            lines.append((what, len(some_texts), 0, Span(len(some_texts) / rate, float("nan"))))
    best = options.rows / took["index"].wall
    cheapest = took["index"].cpu / options.rows
    show(
        f"{options.rows:,} texts of {one.name}, {options.perturbed:.0%} of words unseen, {size / 1e6:.0f} MB; "
        f"{options.workers} threads, median of {options.rounds}; {machine()}; "
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB",
        ["what", "documents/s", "MB/s", "CPU µs per document", "ale index is ... times it", "by CPU"],
        [
            (
                what,
                f"{n / span.wall:,.0f}",
                f"{weight / span.wall / 1e6:,.0f}" if weight else "-",
                f"{1e6 * span.cpu / n:,.2f}",
                f"{best * span.wall / n:,.2f}",
                f"{span.cpu / n / cheapest:,.2f}",
            )
            for what, n, weight, span in lines
        ],
    )
    times_encoder = (options.deferred_rows / cascade.wall) / (len(few) / encoder.wall)
    return 0 if best >= LEAST_PER_SECOND and times_encoder >= TIMES_ENCODER else 1
