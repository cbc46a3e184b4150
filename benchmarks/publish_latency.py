"""A large project: seconds from the start of a learn run to the new head of the queue, and what annotators feel.

Every text has its embedding and the teacher's answer beforehand, as in a project that has run for a while.
An annotator asks for the next task and submits without a pause, in a process of its own, in four phases:
every learn run publishes the head of the queue; every learn run publishes all tasks; nothing is learnt;
superseded predictions are deleted, nothing is learnt.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.annotator import Timed, annotate
from benchmarks.figures import load, percentiles, show
from benchmarks.pool import Filled, fill_project, is_quiet, read_pool
from benchmarks.stack import Stack, running_stack, say, wait_until
from benchmarks.superseded import Deleted, Deletion
from ml_backend.store import projects, versions
from ml_backend.store.schema import Run, Version

TARGET_S = 15.0
STEPS = ("sync", "decide", "embeddings", "learn", "checkpoint", "publish", "review")


@dataclass(frozen=True, slots=True)
class Publication:
    """One learn run that published, and its version; `accepted` is when the newest label before it was saved."""

    run: Run
    version: Version

    @property
    def to_head(self) -> float:
        """Seconds from the start of the run to the new version in force."""
        return _at(self.version.in_force_at) - _at(self.run.started_at)

    @property
    def window(self) -> tuple[float, float]:
        """When the predictions were written and the version put in force."""
        return _at(self.version.created_at), _at(self.version.in_force_at)


def _at(moment: object) -> float:
    return moment.timestamp()  # type: ignore[attr-defined, no-any-return]


class Phases:
    """Runs the annotator beside the worker, and gathers what was published meanwhile."""

    def __init__(self, stack: Stack, filled: Filled, client: ProcessPoolExecutor, seconds: float) -> None:
        self._stack = stack
        self._filled = filled
        self._client = client
        self._seconds = seconds
        self.requests: dict[str, list[Timed]] = {}
        self.published: dict[str, list[Publication]] = {}
        self.deleted: dict[str, Deleted] = {}
        self.errors: dict[str, Counter[str]] = {}

    def run(self, name: str, *, whole: bool = False, delete: bool = False) -> None:
        """One phase; with `whole` every learn run publishes all tasks, with `delete` superseded ones go."""
        say(f"{name}: annotating for {self._seconds:.0f} s")
        key, db = self._filled.project.key, self._stack.services.db
        before = {run.run_id for run in versions.runs(db, key, 10_000)}
        errors = errors_in(self._stack.label_studio_log)
        stop = threading.Event()
        always = threading.Thread(target=self._always_whole, args=(stop,), daemon=True)
        if whole:
            always.start()
        project_id = self._filled.project.project_id
        deletion = Deletion(self._stack, key, project_id) if delete else None
        if deletion:
            deletion.start()
        future: Future[list[Timed]] = self._client.submit(
            annotate,
            self._stack.client.url,
            self._stack.account.token,
            project_id,
            self._filled.labels,
            self._seconds,
        )
        self.requests[name] = future.result()
        if deletion:
            self.deleted[name] = deletion.stop()
        stop.set()
        if whole:  # before waiting for quiet: what it asks for makes one more run due each time
            always.join()
        self._settle()
        self.errors[name] = errors_in(self._stack.label_studio_log) - errors
        self.published[name] = [
            Publication(run, version)
            for run in versions.runs(db, key, 10_000)
            if run.run_id not in before
            and run.outcome == "published"
            and bool(run.counts.get("whole")) == whole
            and (version := versions.find(db, key, run.version)) is not None
        ]

    def windows(self, name: str) -> list[tuple[float, float]]:
        """When predictions were written, or deleted, in that phase."""
        deleted = [(found.begun, found.ended) for found in (self.deleted.get(name),) if found]
        return deleted + [publication.window for publication in self.published[name]]

    def _settle(self) -> None:
        wait_until(
            "the worker is done", lambda: is_quiet(self._stack, self._filled.project.key), 600, every_s=0.5
        )

    def _always_whole(self, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            projects.change(self._stack.services.db, self._filled.project.key, full_publish_at=None)


def errors_in(log: Path | None) -> Counter[str]:
    """The last lines of the tracebacks in Label Studio's log; none of a server that somebody else started."""
    if log is None:
        return Counter()
    lines = log.read_text(errors="replace").splitlines()
    return Counter(line[:160] for line in lines if re.match(r"[\w.]+(Error|Exception|DoesNotExist)\b", line))


def step_table(phases: Phases) -> bool:
    """Print seconds by step; whether every new head came in time."""
    rows = []
    met = True
    for name, found in phases.published.items():
        if not found:
            continue
        total = [publication.to_head for publication in found]
        cells = [f"{np.median([p.run.seconds.get(step, 0.0) for p in found]):.2f}" for step in STEPS]
        met &= max(total) <= TARGET_S
        rows.append((name, len(found), *cells, f"{np.median(total):.1f}", f"{max(total):.1f}"))
        worst = max(found, key=lambda publication: publication.to_head)
        say(f"{name}, slowest run: {worst.to_head:.1f} s to the new head, steps {worst.run.seconds}")
    columns = ("median seconds", "runs", *STEPS, "to new head", "slowest")
    show("From the start of a learn run to the new head of the queue", columns, rows)
    return met


def annotator_table(phases: Phases) -> None:
    """Print what the annotator felt, apart for requests that met a publication or the deleting."""
    rows = []
    for name, requests in phases.requests.items():
        windows, deleted = phases.windows(name), phases.deleted.get(name)
        beside = ("", ", while publishing") if not deleted else (", none left", "")
        for met in (False, True):
            mine = [
                r for r in requests if any(r.begun < end and r.ended > start for start, end in windows) == met
            ]
            if not mine:
                continue
            cells: list[object] = []
            for what in ("submit", "next"):
                seconds = [r.seconds for r in mine if r.what == what]
                cells += [len(seconds), *percentiles(seconds)]
            server = sum(r.server_failed for r in mine)
            other = sum(r.failed for r in mine) - server
            rate = f"{deleted.per_second:.1f}" if deleted and met else "-"
            rows.append((name + beside[met], *cells, server, other, rate))
        for (what, status), times in Counter((r.what, r.status) for r in requests if r.failed).items():
            slowest = max(r.seconds for r in requests if (r.what, r.status) == (what, status))
            say(f"{name}: {what} answered {status or 'nothing'} {times} times, at most after {slowest:.1f} s")
        if deleted:
            say(f"{name}: {deleted}")
    waits = ("p50 ms", "p99", "max")
    columns = ("phase", "submits", *waits, "nexts", *waits, "5xx", "other", "rows/s")
    title = "What the annotator waits for; failed with 5xx, and otherwise; rows deleted per second"
    show(title, columns, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 1 when a new head of the queue took longer than the target."""
    parser = argparse.ArgumentParser("python -m benchmarks publish_latency", description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="size of the pool")
    parser.add_argument("--labelled", type=int, default=400, help="labels that are there from the start")
    parser.add_argument(
        "--csv", type=Path, help="texts with the columns text and label instead of made-up ones"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each phase")
    args = parser.parse_args(argv)
    pool = read_pool(args.csv, args.tasks)
    spawn = multiprocessing.get_context("spawn")
    slices = {"full_publish_s": 86_400.0}
    with running_stack(**slices) as stack, ProcessPoolExecutor(1, mp_context=spawn) as client:
        filled = fill_project(stack, pool, args.labelled)
        phases = Phases(stack, filled, client, args.seconds)
        phases.run("head published")
        phases.run("all tasks published", whole=True)
        # The webhook still arrives, and is refused within the same milliseconds.
        projects.change(stack.services.db, filled.project.key, status="disconnected")
        phases.run("nothing learnt")
        phases.run("superseded deleted", delete=True)
    met = step_table(phases)
    annotator_table(phases)
    for name, errors in phases.errors.items():
        for error, times in errors.most_common(5):
            print(f"Label Studio's log, {name}, {times} times: {error}")
    labels = len({text.label for text in pool})
    print(
        f"{args.tasks} tasks, {labels} labels, target {TARGET_S:.0f} s: {'met' if met else 'MISSED'}; {load()}"
    )
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
