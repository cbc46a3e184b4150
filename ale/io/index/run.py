"""An index run from plan to summary: parts in order, some at a time, what is done is not done again.

By default on threads, not processes: the scanner, Arrow's readers and its writers all work without the interpreter's
lock, and one table of weights serves all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from ale.io.index.answers import Answers, Classify, Counts
from ale.io.index.columns import name_columns, wanted
from ale.io.index.csv import CsvSource
from ale.io.index.engines import Engine, dask, threads
from ale.io.index.inputs import InputFile, find_inputs
from ale.io.index.jsonl import JsonlSource
from ale.io.index.output import Output
from ale.io.index.parquet import ParquetSource
from ale.io.index.source import Part, Source, Task
from ale.io.index.target import Target
from ale.io.places import reaching
from ale.scanner.texts import Texts


class Progress(Protocol):
    """Who is told how far a run is; called from several threads."""

    def begin(self, weight: int, unit: str) -> None:
        """Once, when the input is known: how much there is in all."""
        ...

    def rows(self, n: int) -> None:
        """So many more rows were labelled."""
        ...

    def part(self, weight: int, *, resumed: bool) -> None:
        """A part is done, or was done by an earlier run."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants. `options` is whatever else decides the output, as JSON: it is part of the plan."""

    source: str
    output: str
    text_column: str
    labels: tuple[str, ...]
    model_version: str
    options: dict[str, Any] = field(default_factory=dict)
    sets: bool = False
    workers: int = 2
    scheduler: str = ""
    """Of a Dask cluster that does the work; empty: threads of this process do."""
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to. `rows`, `deferred`, `bad` and `labels` are of the whole output, `seconds` of this run.

    `fresh_rows` are those that this run labelled; `resumed` counts the parts that were there before.
    """

    output: str
    columns: dict[str, str]
    model_version: str
    seconds: float
    fresh_rows: int
    parts: int
    resumed: int
    counts: Counts

    @property
    def rows_per_second(self) -> float:
        """Of this run."""
        return self.fresh_rows / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """What `ale index --json` prints."""
        counts = self.counts
        return {
            "output": self.output,
            "rows": counts.rows,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 1),
            "rows_of_this_run": self.fresh_rows,
            "deferred": counts.deferred,
            "deferred_share": round(counts.deferred / counts.rows, 6) if counts.rows else 0.0,
            "abstained": counts.abstained,
            "bad_rows": sum(counts.bad.values()),
            "bad_reasons": dict(sorted(counts.bad.items())),
            "labels": dict(sorted(counts.labels.items())),
            "model_version": self.model_version,
            "columns": self.columns,
            "parts": self.parts,
            "parts_resumed": self.resumed,
        }


Classifier = Callable[[Texts, Callable[[int], None]], Answers]
"""Answers for a batch of texts, and calls the other function now and then: it raises when the run is to stop."""


def run_index(wish: Wish, classify: Classifier, progress: Progress) -> Summary:
    """Labels every row of the input. May be stopped at any moment and run again: nothing is lost or doubled.

    An OUTPUT that ends like a file becomes one file; anything else a folder with a file per part.
    """
    started = time.perf_counter()
    files = find_inputs(wish.source)
    with reaching(wish.output):
        target = Target.of(wish.output, files[0].kind)
    files = target.apart(files)
    with reaching(wish.source):
        source = _source(files, wish.text_column, target)
        added = name_columns(source.columns(), sets=wish.sets)
    task = Task(wish.text_column, added, wish.labels, wish.model_version)
    plan = _plan(wish, files, source, task)
    with reaching(wish.output):
        done = target.begin(plan, restart=wish.restart)
    progress.begin(source.weight, source.unit)
    run = _Run(target.parts, classify, progress, done, away=bool(wish.scheduler))
    with dask(wish.scheduler) if wish.scheduler else threads(wish.workers) as engine:
        run.all(source.parts(task, done), engine)
    if wish.scheduler:
        target.parts.sweep()  # what workers left that were lost
    if target.file is not None:
        paths = [target.parts.part(name) for name in sorted(run.seen)]
        with reaching(wish.output):
            with target.parts.draft(target.file) as draft, draft.open("wb") as sink:
                source.merge(paths, target.parts.fs, task, sink)
            target.parts.fs.rm(target.parts.folder, recursive=True)
    return Summary(
        output=wish.output,
        columns=dict(zip(wanted(sets=wish.sets), added.names, strict=True)),
        model_version=wish.model_version,
        seconds=time.perf_counter() - started,
        fresh_rows=run.fresh,
        parts=len(run.seen),
        resumed=len(run.seen & done.keys()),
        counts=run.counts,
    )


def _source(files: list[InputFile], text_column: str, target: Target) -> Source:
    if target.kind.format == "parquet":
        return ParquetSource(files, text_column, one=target.file is not None)
    if target.kind.format == "csv":
        return CsvSource(files, text_column, target.kind.compression, bare=target.file is not None)
    return JsonlSource(files, text_column, target.kind.compression)


def _plan(wish: Wish, files: list[InputFile], source: Source, task: Task) -> dict[str, Any]:
    return {
        "format": 1,
        "input": [[file.path, file.size, file.stamp] for file in files],
        "text_column": task.text_column,
        "columns": list(task.added.names),
        "labels": list(task.labels),
        "model_version": task.model_version,
        "parts": source.plan(),
        **wish.options,
    }


class _Stopped(Exception):
    """Another part failed, or the user stopped the run."""


Write = Callable[[Classify, BinaryIO, Callable[[int], None]], Counts]


def write_part(
    output: Output, name: str, write: Write, classify: Classify, heard: Callable[[int], None]
) -> dict[str, Any]:
    """One part from input to store; its counts."""
    return output.commit(name, lambda sink: write(classify, sink, heard).as_json())


def _silent(_: int) -> None:
    """Whoever works on another machine tells nobody how far it is."""


@dataclass(frozen=True, slots=True)
class _Away:
    """A classifier for another process: what is sent is how to make one."""

    classify: Classifier

    def __call__(self, texts: Texts) -> Answers:
        return self.classify(texts, _silent)


class _Run:
    def __init__(
        self,
        output: Output,
        classify: Classifier,
        progress: Progress,
        done: dict[str, dict[str, Any]],
        *,
        away: bool,
    ) -> None:
        self._output = output
        self._classify = classify
        self._progress = progress
        self._done = done
        self._away = away
        self._stop = threading.Event()
        self.seen: set[str] = set()
        self.counts = Counts()
        self.fresh = 0

    def all(self, parts: Iterator[Part], engine: Engine) -> None:
        """Every part, some at a time; the first error stops the rest."""
        running: dict[Future[dict[str, Any]], Part] = {}
        try:
            for part in parts:
                self.seen.add(part.name)
                if part.write is None:
                    self.counts.add(self._done[part.name])
                    self._progress.part(part.weight, resumed=True)
                    continue
                running[self._submit(engine, part.name, part.write)] = part
                if len(running) >= engine.at_once:
                    self._collect(running)
            while running:
                self._collect(running)
        except BaseException:  # Ctrl+C too: nobody goes on writing, then it is raised as it was
            self._stop.set()
            engine.executor.shutdown(cancel_futures=True)
            raise

    def _submit(self, engine: Engine, name: str, write: Write) -> Future[dict[str, Any]]:
        if self._away:
            away = _Away(self._classify)
            return engine.executor.submit(write_part, self._output, name, write, away, _silent)
        return engine.executor.submit(self._here, name, write)

    def _collect(self, running: dict[Future[dict[str, Any]], Part]) -> None:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            part = running.pop(future)
            counts = future.result()
            self.counts.add(counts)
            self.fresh += counts["rows"]
            if self._away:
                self._progress.rows(counts["rows"])
            self._progress.part(part.weight, resumed=False)

    def _here(self, name: str, write: Write) -> dict[str, Any]:
        def check(_: int) -> None:
            if self._stop.is_set():
                raise _Stopped

        def heard(rows: int) -> None:
            self._progress.rows(rows)
            check(rows)

        def classify(texts: Texts) -> Answers:
            return self._classify(texts, check)

        return write_part(self._output, name, write, classify, heard)
