"""The report on a terminal: who finds the wrong labels, how many it takes them for, and what cleaning brings."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ale.benchmark.noise.detectors import Figures
from ale.benchmark.noise.run import NoiseReport
from ale.benchmark.screen import narrow_table, roomy_console

_COLUMNS = {
    "auroc": "AUROC",
    "p@k": "precision\nat k",
    "ap": "AP",
    "flagged": "flagged",
    "precision": "precision\nat cut",
    "recall": "recall\nat cut",
}


def show_noise(report: NoiseReport, console: Console | None = None) -> None:
    """A table of detectors for each noise, the simulated reviewer's work in a sentence, and every note."""
    out = console or roomy_console()
    settings = report.settings
    seeds = settings["seeds"]
    out.print(
        f"[bold]{escape(report.dataset)}[/]: {settings['rows']} gold labels, {len(settings['labels'])} different ones, "
        f"some made wrong on purpose; mean over {seeds} seed{'s' if seeds != 1 else ''}."
    )
    for noise, found in report.summary.items():
        out.print(f"\n[bold]{noise}[/]: {found['errors']:.0f} wrong labels")
        out.print(_detectors(found["detectors"]))
        out.print(_cleaning(found["cleaning"]))
    if report.runs:
        out.print(
            "\nk is the number of wrong labels; the cut is each detector's default. `estimated` counts natural "
            "errors of the gold labels, too: compare it with that of uniform:0."
        )
    for note in report.notes:
        out.print(f"Note: {note}.", markup=False)


def _detectors(detectors: Mapping[str, Figures]) -> Table:
    table = narrow_table(["detector", *_COLUMNS.values(), "estimated"])
    for name, figures in sorted(detectors.items(), key=lambda item: -item[1].get("p@k", 0.0)):
        cells = [f"{figures[column]:.3f}" if column in figures else "" for column in _COLUMNS]
        table.add_row(name, *cells, f"{figures['estimated']:.0f}" if "estimated" in figures else "")
    return table


def _cleaning(told: Mapping[str, object]) -> str:
    return (
        "A simulated reviewer who gives the gold label to the {reviewed:.1%} that {by} flags: labels right "
        "{labels_before:.1%} → {labels_after:.1%}, student on the test split {student_before:.1%} → "
        "{student_after:.1%} (gold labels: {student_gold:.1%})."
    ).format_map(told)
