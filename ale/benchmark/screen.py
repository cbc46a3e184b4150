"""The report on a terminal: progress bars while it runs, two tables at the end."""

from __future__ import annotations

from typing import Self

import numpy as np
from rich import box
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

from ale.benchmark.curves import DEFAULT
from ale.benchmark.report import Report
from ale.benchmark.summary import MeanCurve, summarise

_WORDS = {
    "encode": "Texts encoded",
    "ask": "Teacher asked",
    "full data": "Fit on all labels",
    "label": "Labels given",
    "noise": "Labels spoilt and searched",
}


class Bars:
    """A bar per step, on the error stream, so that the tables can be piped.

    The bar of the curves counts labels over all of them and names the one that is run at the moment.
    """

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),  # leaves room for a method's name in 80 columns
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
        name, _, now = step.partition(":")
        if name not in self._steps:
            self._steps[name] = self._bars.add_task(_WORDS[name], total=total)
        self._bars.update(self._steps[name], description=now or _WORDS[name], advance=more)


def show(report: Report, console: Console | None = None) -> None:
    """The teacher, the tables of methods, the peers in a sentence each, and every note."""
    out = console or roomy_console()
    settings = report.settings
    out.print(
        f"[bold]{report.dataset}[/]: {settings['pool']} texts to label, {settings['test']} to test, "
        f"{len(settings['labels'])} labels, {settings['seeds']} seed{'s' if settings['seeds'] != 1 else ''}. "
        f"The {report.yardstick} student of all labels gets {report.full_data_accuracy:.3f} "
        f"(standard error of this test split: {report.standard_error:.3f})."
    )
    if report.teacher is not None:
        told = report.teacher
        low, high = told["accuracy_interval"]
        why = ", ".join(f"{reason} {n}" for reason, n in told["abstained_why"].items())
        out.print(
            f"Teacher {told['name']}: {told['accuracy']:.3f} right of {told['answered']} answers "
            f"({low:.3f} to {high:.3f}), {told['abstained']} abstentions{f' ({why})' if why else ''}."
        )
    out.print("\n[bold]Accuracy on the test split after n human labels[/] (mean over seeds)")
    out.print(_accuracies(report))
    out.print("[bold]Labels to 90 and 95 % of full data, calibration, seconds of the slowest budget[/]")
    out.print(_needs(report))
    for peer, ratio in report.ratios.items():
        said = ", ".join(f"{need} {_times(value)}" for need, value in ratio.items())
        out.print(f"{peer} needs, times the labels of {DEFAULT}: {said}.")
    if DEFAULT in report.curves:
        out.print(_luck(report))
    if settings["audit"]:
        held, of = report.covered
        out.print(
            f"{settings['audit']} audit labels per run came on top of n; nothing was trained on them. Their 95 % "
            f"interval held the accuracy on the test split in {held} of {of} points of {DEFAULT}."
        )
    for note in report.all_notes:
        out.print(f"Note: {note}.")


def _luck(report: Report) -> str:
    curve = report.curves[DEFAULT]
    parts = [
        f"{luck:.3f} after {n} labels{report.stands_for(n)}"
        for n, luck in zip(curve.labels, curve.ece_by_luck, strict=True)
        if n in report.judged
    ]
    return (
        f"A perfectly calibrated student with the confidences of {DEFAULT} would show an ECE of "
        f"{' and '.join(parts)}: the luck of a test split of this size."
    )


def roomy_console() -> Console:
    """The terminal; a pipe or a file has no width of its own and gets room for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _accuracies(report: Report) -> Table:
    """Mean accuracy on the test split by number of human labels, over the seeds."""
    curves = report.curves
    labels = sorted({int(n) for curve in curves.values() for n in curve.labels})
    table = narrow_table(["method", *map(str, labels)])
    for name, curve in curves.items():
        accuracy = dict(zip(curve.labels.tolist(), curve.accuracy.tolist(), strict=True))
        table.add_row(name, *(f"{accuracy[n]:.3f}" if n in accuracy else "" for n in labels))
    return table


def _needs(report: Report) -> Table:
    """What a method costs in labels and seconds, and how honest it is."""
    audited = report.settings["audit"] > 0
    at = report.judged
    headings = ["method", "n90", "n95", "n95\nby seed", "area"]
    headings += [f"ECE {n}" for n in at]
    headings += [f"audited\nECE {n}" for n in at if audited]
    headings += ["fit s", "learn s"]
    table = narrow_table(headings)
    for name, curve in report.curves.items():
        table.add_row(name, *_cells(curve, at, report.full_data_accuracy, audited=audited))
    return table


def _cells(curve: MeanCurve, at: list[int], full: float, *, audited: bool) -> list[str]:
    summary = summarise(curve, full)
    needed = [_labels(summary[name]) for name in ("n90", "n95")]
    columns = [curve.ece, *([curve.audited_ece] if audited else [])]
    places = [int(np.flatnonzero(curve.labels == n)[0]) for n in at]
    honest = [f"{column[place]:.3f}" for column in columns for place in places]
    seconds = [_number(summary[name], 2) for name in ("fit_seconds", "learn_seconds")]
    return [*needed, _range(summary["n95_by_seed"]), _number(summary["auc"], 3), *honest, *seconds]


def _range(needed: list[float | str]) -> str:
    """The least and the most that a seed needed."""
    ordered = sorted(needed, key=lambda n: (isinstance(n, str), n))
    first, last = _labels(ordered[0]), _labels(ordered[-1])
    return first if first == last else f"{first} to {last}"


def _labels(needed: float | str) -> str:
    return needed.replace(" ", "") if isinstance(needed, str) else f"{needed:.0f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _times(ratio: float | str | None) -> str:
    return "cannot be said" if ratio is None else str(ratio)


def narrow_table(headings: list[str]) -> Table:
    """Narrow, since ten budgets have to fit; where there is no room, a name is broken, a figure never."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
