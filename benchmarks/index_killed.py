"""`ale index` over more text than the memory holds, killed again and again: the same bytes as an undisturbed run?

Writes texts as `index` does (a fifth of the words unseen), labels them once without disturbance, then again with
SIGKILL at moments spread over the parts, each time going on by the same command. Compared is the SHA-256 of every part;
those of the first run are removed once they are known. Needs disk for two copies. Exit code 1 when a byte differs, or
a run takes more than 2 GB of memory.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from ale.scanner.texts import Texts
from benchmarks.figures import load, show
from benchmarks.index_sets import read_set
from benchmarks.index_texts import write_texts

MOST_BYTES = 2e9


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every part by its name."""
    found = {}
    for path in sorted(folder.glob("part-*")):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def run(model: Path, source: Path, out: Path, kill_at: int | None = None) -> tuple[float, int]:
    """Seconds and peak memory in bytes of one run of the command; it is killed once so many parts are there."""
    command = [
        sys.executable,
        "-m",
        "ml_backend.cli",
        "index",
        str(source),
        str(out),
        "--model",
        str(model),
        "--json",
    ]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            if kill_at is not None and len(list(out.glob("part-*"))) >= kill_at:
                process.kill()
                break
            time.sleep(0.05)
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"index_killed: ale index ended with {process.returncode}")
    return time.perf_counter() - started, peak


def peak_of(pid: int) -> int:
    """The most memory that a process ever had, in bytes; `getrusage` would count its parent's as well."""
    with Path(f"/proc/{pid}/status").open(encoding="utf-8") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def main(arguments: Sequence[str]) -> int:
    """Prints a row per run."""
    parser = argparse.ArgumentParser(prog="index_killed", description=__doc__)
    parser.add_argument("--set", metavar="TRAIN,TEST[,LABEL COLUMN]", help="CSV")
    parser.add_argument("--gigabytes", type=float, default=20.0, help="of text")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where there is room; what is written there is removed")
    parser.add_argument("--cache", type=Path, default=user_cache_path("ale-label-studio"))
    options = parser.parse_args(arguments)
    if options.set is None:
        print("index_killed: nothing to read, name files with --set TRAIN,TEST")
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        one = read_set(options.set, folder, options.cache)
        texts = Texts.of(one.texts)
        rows = int(options.gigabytes * 1e9 * len(texts) / texts.offsets[-1])
        source, out = folder / "texts.parquet", folder / "out"
        write_texts(source, one.texts, rows, share=0.2, compression="zstd")
        size = source.stat().st_size
        found = [("undisturbed", *run(one.model, source, out))]
        whole = sums(out)
        shutil.rmtree(out)
        for kill in range(options.kills):
            at = len(whole) * (kill + 1) // (options.kills + 1)
            found.append((f"killed with {at} parts written", *run(one.model, source, out, at)))
        found.append(("to the end", *run(one.model, source, out)))
        same = sums(out) == whole
    show(
        f"{options.gigabytes:g} GB of text, {rows:,} rows of {one.name}, {size / 1e9:.1f} GB of Parquet (zstd), "
        f"{len(whole)} parts; {load()}",
        ["run", "seconds", "peak memory, MB"],
        [(what, f"{seconds:,.0f}", f"{peak / 1e6:,.0f}") for what, seconds, peak in found],
    )
    print("every part is the same, byte for byte" if same else "the outputs differ")
    return int(not same or max(peak for *_, peak in found) > MOST_BYTES)
