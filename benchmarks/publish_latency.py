"""A large project: seconds from the start of a learn run to the new head of the queue, and what annotators feel.

Every text has its embedding and the teacher's answer beforehand, as in a project that has run for a while.
An annotator asks for the next task and submits without a pause, in a process of its own, in three phases:
every learn run publishes the head of the queue; every learn run publishes all tasks; nothing is learnt.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.figures import load, percentiles, show
from benchmarks.pool import Filled, chosen, fill_project, is_quiet, read_pool
from benchmarks.stack import Stack, running_stack, say, wait_until
from ml_backend.store import projects, versions
from ml_backend.store.schema import Run, Version

TARGET_S = 15.0
STEPS = ("sync", "decide", "embeddings", "learn", "checkpoint", "publish", "review")


@dataclass(frozen=True, slots=True)
class Timed:
    """One request of the annotator: what, when it began and ended (seconds of the wall clock), its status."""

    what: str
    begun: float
    ended: float
    status: int


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


def annotate(url: str, token: str, project: int, labels: dict[int, str], seconds: float) -> list[Timed]:
    """Runs in a process of its own: next task, submit, and again."""
    found: list[Timed] = []
    deadline = time.time() + seconds
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:

        def call(what: str, method: str, path: str, body: object = None) -> httpx.Response:
            begun = time.time()
            answer = client.request(method, path, json=body)
            found.append(Timed(what, begun, time.time(), answer.status_code))
            return answer

        while time.time() < deadline:
            answer = call("next", "GET", f"/api/projects/{project}/next")
            if answer.status_code != httpx.codes.OK:
                continue
            task = answer.json()
            held = task.get("predictions") or [{}]
            body = {
                "result": chosen(labels[task["id"]]),
                "lead_time": 2.0,
                "parent_prediction": held[0].get("id"),
            }
            call("submit", "POST", f"/api/tasks/{task['id']}/annotations/", body)
    return found


class Phases:
    """Runs the annotator beside the worker, and gathers what was published meanwhile."""

    def __init__(self, stack: Stack, filled: Filled, client: ProcessPoolExecutor, seconds: float) -> None:
        self._stack = stack
        self._filled = filled
        self._client = client
        self._seconds = seconds
        self.requests: dict[str, list[Timed]] = {}
        self.published: dict[str, list[Publication]] = {}

    def run(self, name: str, *, whole: bool) -> None:
        """One phase; with `whole` every learn run publishes all tasks."""
        say(f"{name}: annotating for {self._seconds:.0f} s")
        key, db = self._filled.project.key, self._stack.services.db
        before = {run.run_id for run in versions.runs(db, key, 10_000)}
        stop = threading.Event()
        always = threading.Thread(target=self._always_whole, args=(stop,), daemon=True)
        if whole:
            always.start()
        future: Future[list[Timed]] = self._client.submit(
            annotate,
            self._stack.client.url,
            self._stack.account.token,
            self._filled.project.project_id,
            self._filled.labels,
            self._seconds,
        )
        self.requests[name] = future.result()
        stop.set()
        if whole:  # before waiting for quiet: what it asks for makes one more run due each time
            always.join()
        self._settle()
        self.published[name] = [
            Publication(run, version)
            for run in versions.runs(db, key, 10_000)
            if run.run_id not in before
            and run.outcome == "published"
            and bool(run.counts.get("whole")) == whole
            and (version := versions.find(db, key, run.version)) is not None
        ]

    def _settle(self) -> None:
        wait_until(
            "the worker is done", lambda: is_quiet(self._stack, self._filled.project.key), 600, every_s=0.5
        )

    def _always_whole(self, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            projects.change(self._stack.services.db, self._filled.project.key, full_publish_at=None)


def errors_in(log: Path) -> Counter[str]:
    """The last lines of the tracebacks in Label Studio's log."""
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
    """Print what the annotator felt, apart for requests that met a publication."""
    rows = []
    for name, requests in phases.requests.items():
        windows = [publication.window for publication in phases.published[name]]
        for met in (False, True):
            mine = [
                r for r in requests if any(r.begun < end and r.ended > start for start, end in windows) == met
            ]
            if not mine:
                continue
            cells: list[object] = []
            for what in ("submit", "next"):
                seconds = [r.ended - r.begun for r in mine if r.what == what]
                cells += [len(seconds), *percentiles(seconds)]
            failed = sum(not 200 <= r.status < 300 for r in mine)
            rows.append((f"{name}{', while publishing' if met else ''}", *cells, failed))
        for bad in (r for r in requests if not 200 <= r.status < 300):
            say(f"{name}: {bad.what} answered {bad.status} after {bad.ended - bad.begun:.1f} s")
    columns = ("phase", "submits", "p50 ms", "p99", "max", "nexts", "p50 ms", "p99", "max", "failed")
    show("What the annotator waits for", columns, rows)


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
        phases.run("head published", whole=False)
        phases.run("all tasks published", whole=True)
        # The webhook still arrives, and is refused within the same milliseconds.
        projects.change(stack.services.db, filled.project.key, status="disconnected")
        phases.run("nothing learnt", whole=False)
        errors = errors_in(stack.logs / "ls.log")
    met = step_table(phases)
    annotator_table(phases)
    for error, times in errors.most_common(5):
        print(f"Label Studio's log, {times} times: {error}")
    labels = len({text.label for text in pool})
    print(
        f"{args.tasks} tasks, {labels} labels, target {TARGET_S:.0f} s: {'met' if met else 'MISSED'}; {load()}"
    )
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
