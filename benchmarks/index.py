"""`ale index` end to end, what its parts cost, and how accurate the scanner is beside the encoder student.

The texts are those of the first set, written over and over with a share of words replaced by unseen ones: repetition
alone would warm the caches. Everything runs in one process, one after the other; compare figures of one run only.
Exit code 1 when a target is missed.
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
import pyarrow as pa
from numpy.typing import NDArray
from platformdirs import user_cache_path
from pyarrow import parquet
from typer.testing import CliRunner

from ale.cascade import Cascade
from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.encoder import resolve_encoder
from ale.io.index.run import Summary, Wish, run_index
from ale.io.minilm import embedded_folder
from ale.io.runtime import quickest
from ale.io.tables import read_table
from ale.loading import load
from ale.model import Model
from ale.scanner.compiled import compiled
from ale.scanner.texts import Texts
from ale.text import normalise
from benchmarks.figures import load as machine
from benchmarks.figures import show
from benchmarks.index_peers import fasttext_rate, model2vec_rate
from ml_backend.cli import app

GROUP = 100_000
DEFERRED = 0.1
TIMES_ENCODER = 8.0
LEAST_PER_SECOND = 500_000


@compiled
def perturb(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    picked: NDArray[np.int64],
    share: float,
    seed: int,
    starts: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """The picked texts one behind the other; each word is, with chance `share`, replaced by random letters."""
    out = np.empty(starts[-1], np.uint8)
    np.random.seed(seed)  # noqa: NPY002 (the only generator that compiled loops have)
    for row in range(len(picked)):
        replaced, gap = False, True
        for k in range(starts[row + 1] - starts[row]):
            byte = data[offsets[picked[row]] + k]
            letter = 97 <= (byte | 32) <= 122
            if letter and gap:
                replaced = np.random.random() < share  # noqa: NPY002
            gap = not letter
            out[starts[row] + k] = 97 + np.random.randint(26) if letter and replaced else byte  # noqa: NPY002
    return out


def write_texts(
    path: Path, texts: Sequence[str], rows: int, share: float, compression: str = "snappy"
) -> None:
    """Parquet with an id and a text, in row groups of 100,000."""
    given = Texts.of(texts)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    draft = path.with_suffix(".part")
    with parquet.ParquetWriter(draft, schema, use_dictionary=False, compression=compression) as writer:
        for first in range(0, rows, GROUP):
            n = min(GROUP, rows - first)
            picked = np.random.default_rng(first).integers(0, len(texts), n)
            starts = np.zeros(n + 1, np.int64)
            np.cumsum(np.diff(given.offsets)[picked], out=starts[1:])
            data = perturb(given.data, given.offsets, picked, share, first, starts)
            column = pa.StringArray.from_buffers(n, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(data))
            writer.write_table(pa.table([pa.array(range(first, first + n)), column], schema), n)
    draft.replace(path)


class Silent:
    """Hears and says nothing."""

    def begin(self, weight: int, unit: str) -> None:
        """Nothing."""

    def rows(self, n: int) -> None:
        """Nothing."""

    def part(self, weight: int, *, resumed: bool) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Set:
    """A train and a test file, and the model of the former."""

    name: str
    model: Path
    texts: list[str]
    labels: list[str]
    test_texts: list[str]
    test_labels: list[str]


def read_set(given: str, folder: Path, cache: Path) -> Set:
    """TRAIN,TEST[,COLUMN of the labels]; the model is made by `ale fit` unless the folder has it."""
    train, test = (Path(part) for part in given.split(",")[:2])
    label = (*given.split(","), "label")[2]
    name = train.parent.name
    model = folder / f"m-{name}"
    if not model.exists():
        done = CliRunner().invoke(
            app,
            [
                "fit",
                str(train),
                "--label-column",
                label,
                "--out",
                str(model),
                "--cache",
                str(cache),
                "--json",
            ],
        )
        if done.exit_code:
            raise SystemExit(f"index: {done.output}")
    columns = [read_table(path).column(column) for path in (train, test) for column in ("text", label)]
    return Set(name, model, *columns)


def accuracies(one: Set, cache: Path) -> list[object]:
    """Of the scanner, the student, and the two together, on the test file."""
    model = load(one.model)
    raw = resolve_encoder()
    encoder = CachedEncoder(raw, EmbeddingCache(cache / "embeddings", raw.name, raw.dimensions))
    texts = [normalise(text) or "" for text in one.test_texts]
    truth = np.array([model.labels.index(label) for label in one.test_labels])
    scanned = model.scanner.predict(Texts.of(texts))
    student = model.predictor.predict_proba(encoder.encode(texts)).argmax(axis=1)
    later = Cascade(DEFERRED).deferred(scanned.confidence, scanned.bad == 0)
    both = scanned.best.copy()
    both[later] = student[later]
    mine, theirs, joint = (float((said == truth).mean()) for said in (scanned.best, student, both))
    return [
        one.name, len(texts), *(f"{100 * share:.1f}" for share in (mine, theirs)), f"{100 * (mine - theirs):+.1f}",
        f"{100 * float((scanned.best == student).mean()):.1f}", f"{100 * joint:.1f}",
        f"{100 * (joint - theirs):+.1f}",
    ]  # fmt: skip


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
