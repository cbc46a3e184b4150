"""What `ale fit` and `ale index` show on a terminal: a bar with documents per second and the time that is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from ale.io.index.run import Summary
    from ale.shares import Share

_SEEN = 0.0005  # of the documents: as much as the table can show
_ALIKE = 0.9  # from here on the scanner stands for the student
_FEW = 100  # labels: an accuracy is then known to ten points
_RARELY = 0.1  # seconds between two updates; more often would cost the workers their interpreter's lock


class Steps:
    """The steps of a fit. On standard error, so that --json stays clean."""

    def __init__(self, *, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
            transient=True,
        )
        self._console = Console(stderr=True, quiet=quiet)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def counting(self, what: str, total: int) -> Callable[[int], None]:
        """A bar; the function that is returned hears how many more are done."""
        task = self._progress.add_task(what, total=total)
        return lambda n: self._progress.update(task, advance=n)

    def now(self, what: str) -> None:
        """A step whose length is not known."""
        self._console.print(what)


class Bar:
    """How far an index run is; implements `ale.io.index.run.Progress`."""

    def __init__(self, *, quiet: bool) -> None:
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TextColumn("{task.fields[rows]:,} documents, {task.fields[speed]:,.0f}/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task: TaskID | None = None
        self._lock = threading.Lock()
        self._started = self._shown = time.monotonic()
        self._rows = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        self._progress.stop()

    def begin(self, weight: int, unit: str) -> None:
        """Once, when the input is known."""
        self._started = time.monotonic()
        self._task = self._progress.add_task(unit, total=max(1, weight), rows=0, speed=0.0)

    def rows(self, n: int) -> None:
        """So many more rows were labelled."""
        with self._lock:
            self._rows += n
            if time.monotonic() - self._shown < _RARELY:
                return
        self._show()

    def part(self, weight: int, *, resumed: bool) -> None:
        """A part is done."""
        if self._task is not None:
            self._progress.update(self._task, advance=weight)

    def _show(self) -> None:
        if self._task is not None:
            self._shown = time.monotonic()
            speed = self._rows / max(1e-9, self._shown - self._started)
            self._progress.update(self._task, rows=self._rows, speed=speed)


def show_fit(folder: Path, manifest: Mapping[str, Any]) -> None:
    """The model and how good it is."""
    told = manifest["metrics"]
    table = Table(
        title=f"{folder}: version {manifest['version']}, {len(manifest['labels'])} labels, "
        f"{told['labelled']:,.0f} labelled of {told['texts']:,.0f} texts",
        title_justify="left",
    )
    for name in ("on texts it had not seen", "accuracy", "macro F1", "calibration error"):
        table.add_column(name, justify="left" if name.startswith("on") else "right")
    for who in ("scanner", "student"):
        numbers = (told[f"{who}_{what}"] for what in ("accuracy", "macro_f1", "ece"))
        table.add_row(who, *(f"{number:.3f}" for number in numbers))
    console = Console()
    console.print(table)
    console.print(f"The scanner says what the student says for {told['agreement']:.1%} of the texts.")
    if told["agreement"] < _ALIKE:
        console.print(
            "More texts of the kind to be labelled, rows without a label among them, bring it nearer; "
            "`ale index --defer` and `--min-accuracy` leave the unsure ones to the student."
        )
    if told["labelled"] < _FEW:
        console.print(f"With {told['labelled']:,.0f} labels these figures can be far off.")
    if manifest["left_out"]:
        console.print(f"{manifest['left_out']:,} rows without a text were left out.")


def show_index(summary: Summary, shares: Mapping[str, Share], held_out: int, runtime: str) -> None:
    """What a run came to; `shares` are corrected by so many held-out texts, `runtime` computed deferred ones."""
    counts = summary.counts
    table = Table(title=f"{summary.output}: {counts.rows:,} documents", title_justify="left")
    table.add_column("label")
    table.add_column("documents", justify="right")
    table.add_column("share", justify="right")
    table.add_column("corrected", justify="right")
    table.add_column("95 % interval", justify="right")
    unseen = [label for label, share in shares.items() if label not in counts.labels and share.high >= _SEEN]
    for label in [*sorted(counts.labels, key=lambda label: -counts.labels[label]), *unseen]:
        n, true = counts.labels.get(label, 0), shares.get(label)
        more = () if true is None else (f"{true.corrected:.1%}", f"{true.low:.1%} to {true.high:.1%}")
        table.add_row(label, f"{n:,}", f"{n / counts.rows:.1%}", *more)
    for reason, n in sorted(counts.bad.items()):
        table.add_row(f"[dim]no label: {reason}[/dim]", f"{n:,}", f"{n / counts.rows:.1%}")
    console = Console()
    console.print(table)
    speed = f"{summary.fresh_rows:,} documents in {summary.seconds:.1f} s: {summary.rows_per_second:,.0f}/s"
    console.print(
        (speed if summary.fresh_rows else "Nothing was left to do")
        + (f"; {counts.deferred:,} left to the encoder student ({runtime})" if counts.deferred else "")
        + (f"; {summary.resumed} of {summary.parts} parts were there before" if summary.resumed else "")
    )
    if shares:
        console.print(
            f"Corrected: of the labelled documents, for errors as on {held_out:,} held-out texts, if each label is "
            "mistaken as often here as there."
        )
    if summary.counts.abstained:
        console.print(f"{summary.counts.abstained:,} documents abstain: more than one label may be right.")
    renamed = {name: column for name, column in summary.columns.items() if name != column}
    if renamed:
        console.print("Renamed: " + ", ".join(f"{name} is {column}" for name, column in renamed.items()))
