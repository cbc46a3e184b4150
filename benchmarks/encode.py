"""The embedded encoder on ONNX Runtime beside the same weights on torch: texts per second, memory, start.

Each engine runs in fresh processes, by turns, so that what else the machine does meets both alike. The figures
are medians over the rounds. CPU time per text is the steadier one on a busy machine. Exit code 1 when ONNX
Runtime is the slower one, needs more memory, or gives other rows.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from ale.io.encoder import EMBEDDED, preloads, resolve_encoder
from ale.io.minilm import embedded_folder
from benchmarks.figures import load, show

ENGINES = {"ONNX Runtime": EMBEDDED, "torch": str(embedded_folder())}
ALIKE = 1e-4


@dataclass(frozen=True, slots=True)
class Figures:
    """What one process saw: seconds, texts per second, CPU milliseconds per text, MiB."""

    imports: float
    first_text: float
    texts_per_second: float
    cpu_ms: float
    peak_mib: float


def read_texts(file: Path, limit: int) -> list[str]:
    """The first `limit` texts of the column `text`."""
    with file.open(newline="", encoding="utf-8") as lines:
        return [row["text"] for row, _ in zip(csv.DictReader(lines), range(limit), strict=False)]


def measure(source: str, texts: list[str], threads: int, rows: Path) -> Figures:
    """Import, make a session, encode; the rows go to a file for comparison."""
    started = time.perf_counter()
    for name in preloads(source):
        importlib.import_module(name)
    imported = time.perf_counter()
    encoder = resolve_encoder(source, threads)
    encoder.encode(texts[:1])
    ready, cpu = time.perf_counter(), time.process_time()
    encoded = encoder.encode(texts)
    took, cpu = time.perf_counter() - ready, time.process_time() - cpu
    peak = peak_mib()
    np.save(rows, encoded)
    return Figures(
        imports=imported - started,
        first_text=ready - imported,
        texts_per_second=len(texts) / took,
        cpu_ms=1000 * cpu / len(texts),
        peak_mib=peak,
    )


def peak_mib() -> float:
    """The most memory this process ever had; `getrusage` would count its parent's as well."""
    with Path("/proc/self/status").open(encoding="utf-8") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def in_own_process(engine: str, arguments: Sequence[str], rows: Path) -> Figures:
    """One engine's figures from a fresh interpreter."""
    command = [sys.executable, "-m", "benchmarks.encode", *arguments, "--engine", engine, "--rows", str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Figures(**json.loads(done.stdout))


def main(arguments: Sequence[str]) -> int:
    """Prints one row per engine, and what ONNX Runtime is to torch."""
    parser = argparse.ArgumentParser(prog="encode", description=__doc__)
    parser.add_argument("--csv", type=Path, help="texts, in the column text")
    parser.add_argument("--limit", type=int, default=1_000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=5, help="processes per engine")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.csv is None:
        print("encode: nothing to read, name a file with --csv")
        return 0
    texts = read_texts(options.csv, options.limit)
    if options.engine:
        found = measure(ENGINES[options.engine], texts, options.threads, options.rows)
        print(json.dumps(asdict(found)))
        return 0
    return compare(
        arguments, options.rounds, f"{len(texts)} texts of {options.csv}, {options.threads} threads"
    )


def compare(arguments: Sequence[str], rounds: int, what: str) -> int:
    """Both engines by turns; exit code 1 when a target is missed."""
    seen: dict[str, list[Figures]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        files = {engine: Path(folder) / f"{engine}.npy" for engine in ENGINES}
        for _ in range(rounds):
            for engine, figures in seen.items():
                figures.append(in_own_process(engine, arguments, files[engine]))
        ours, theirs = (np.load(files[engine]) for engine in ENGINES)
    apart = float(np.abs(ours - theirs).max())
    middle = {engine: _medians(figures) for engine, figures in seen.items()}
    onnx, torch = middle.values()
    show(
        f"{what}; {rounds} rounds; {load()}; rows differ by at most {apart:.0e}",
        ["engine", "texts/s", "CPU ms per text", "peak MiB", "imports s", "to the first text s"],
        [
            *(_row(engine, figures, ".0f", ".1f", ".0f", ".2f", ".2f") for engine, figures in middle.items()),
            _row("ratio", {name: onnx[name] / torch[name] for name in onnx}, *[".2f"] * 5),
        ],
    )
    worse = onnx["texts_per_second"] < torch["texts_per_second"] or onnx["peak_mib"] > torch["peak_mib"]
    return int(worse or apart > ALIKE)


def _medians(figures: list[Figures]) -> dict[str, float]:
    return {name: median(asdict(one)[name] for one in figures) for name in asdict(figures[0])}


def _row(name: str, figures: dict[str, float], *forms: str) -> list[str]:
    order = ("texts_per_second", "cpu_ms", "peak_mib", "imports", "first_text")
    return [name, *(format(figures[which], form) for which, form in zip(order, forms, strict=True))]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
