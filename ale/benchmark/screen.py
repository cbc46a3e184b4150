"""The report on a terminal: progress bars while it runs, one table at the end."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ale.benchmark.report import MeanCurve, Report, summarise

_WORDS = {
    "encode": "Texts encoded",
    "ask": "Teacher asked",
    "label": "Labels given",
    "full data": "Fit on all labels",
}


class Bars:
    """A bar per step, on the error stream, so that the table can be piped."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._steps: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def heard(self, step: str, more: int, total: int) -> None:
        """Move the bar of a step on; see `ale.benchmark.run.Progress`."""
        if step not in self._steps:
            self._steps[step] = self._bars.add_task(_WORDS[step], total=total)
        self._bars.advance(self._steps[step], more)


def show(report: Report, console: Console | None = None) -> None:
    """The teacher, the table of methods, and every note."""
    out = console or _console()
    settings = report.settings
    out.print(
        f"[bold]{report.dataset}[/]: {settings['pool']} texts to label, {settings['test']} to test, "
        f"{len(settings['labels'])} labels, {settings['seeds']} seeds. "
        f"The student of all labels gets {report.full_data_accuracy:.3f}."
    )
    if report.teacher is not None:
        told = report.teacher
        low, high = told["accuracy_interval"]
        why = ", ".join(f"{reason} {n}" for reason, n in told["abstained_why"].items())
        out.print(
            f"Teacher {told['name']}: {told['accuracy']:.3f} right of {told['answered']} answers "
            f"({low:.3f} to {high:.3f}), {told['abstained']} abstentions{f' ({why})' if why else ''}."
        )
    out.print(_table(report))
    for note in report.all_notes:
        out.print(f"Note: {note}.")


def _console() -> Console:
    """The terminal; a pipe or a file has no width of its own and gets room for the table."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _table(report: Report) -> Table:
    """Mean accuracy on the test split by number of human labels, over the seeds."""
    curves = report.curves
    labels = sorted({int(n) for curve in curves.values() for n in curve.labels})
    table = Table(title="Accuracy after n human labels (mean over seeds)")
    for heading in ("method", *map(str, labels), "n90", "n95", "auc", "ECE", "fit s"):
        table.add_column(heading, justify="left" if heading == "method" else "right", overflow="fold")
    for name, curve in curves.items():
        table.add_row(name, *_cells(curve, labels, report.full_data_accuracy))
    return table


def _cells(curve: MeanCurve, labels: list[int], full: float) -> list[str]:
    accuracy = dict(zip(curve.labels.tolist(), curve.accuracy.tolist(), strict=True))
    summary = summarise(curve, full)
    needed = [n if isinstance(n, str) else f"{n:.0f}" for n in (summary["n90"], summary["n95"])]
    last = (f"{summary['auc']:.3f}", f"{curve.ece[-1]:.3f}", f"{curve.fit_seconds.mean():.2f}")
    return [*(f"{accuracy[n]:.3f}" if n in accuracy else "" for n in labels), *needed, *last]
