"""What `ale import` shows: bars on standard error, then a table of what became of the rows."""

from __future__ import annotations

from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ml_backend.importing import Screen, Sent

Json = dict[str, Any]

WORDS = {
    "null": "no text (null)",
    "no_text": "no text (blank)",
    "not_text": "not a text",
    "broken_utf8": "broken UTF-8",
    "not_json": "not JSON",
    "not_an_object": "not a JSON object",
    "wrong_number_of_cells": "wrong number of cells",
    "exact_duplicate": "the same text as an earlier row",
    "near_duplicate": "nearly the same text as an earlier row",
}


class _HowFar(ProgressColumn):
    """Done, and of how many where that is known."""

    def render(self, task: Task) -> Text:
        of = "" if task.total is None else f"/{task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{of} {task.fields['unit']}")


class Bars(Screen):
    """One bar per step."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _HowFar(),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet,
        )
        self._sending: TaskID | None = None
        self._comparing: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def reading(self, size: int) -> Any:
        """The function that is returned hears how many more bytes are read."""
        task = self._progress.add_task("read and clean", total=max(1, size), unit="bytes")
        return lambda n: self._progress.update(task, advance=n)

    def waits(self, seconds: float) -> None:
        """Once a second."""
        self._console.print(
            f"An import was killed while Label Studio stored a chunk: looking whether it arrives, {seconds:.0f} s more",
            highlight=False,
        )

    def compared(self, n: int) -> None:
        """The number of all is not known beforehand."""
        if self._comparing is None:
            self._comparing = self._progress.add_task("compare with the project", total=None, unit="tasks")
        self._progress.update(self._comparing, advance=n)

    def begin(self, tasks: int, done: int) -> None:
        """Sending starts."""
        if self._comparing is not None:
            self._progress.remove_task(self._comparing)
        self._sending = self._progress.add_task("import", total=max(1, tasks), completed=done, unit="tasks")

    def heard(self, n: int) -> None:
        """A chunk is there."""
        if self._sending is not None:
            self._progress.update(self._sending, advance=n)


def show_prepared(console: Console, told: Json) -> None:
    """What became of the rows of the file."""
    table = Table(title=f"{escape(told['file'])}: snapshot {told['snapshot']}", title_justify="left")
    table.add_column("rows")
    table.add_column("", justify="right")
    for reason, n in sorted(told["left_out"].items(), key=lambda item: -item[1]):
        table.add_row(WORDS.get(reason, reason), f"{n:,}")
    table.add_row("held out", f"{told['held_out']:,}")
    table.add_row("to import", f"{told['kept']:,}", style="bold")
    console.print(table)
    if told["repeated_with_another_label"]:
        console.print(
            f"[yellow]{told['repeated_with_another_label']:,} rows repeat a text under another label: see "
            "left-out.jsonl, `other_label`.[/]"
        )


def show_sent(console: Console, project: int, sent: Sent, folder: object) -> None:
    """What became of the tasks."""
    there = f", {sent.there_before:,} were there from an earlier run" if sent.there_before else ""
    same = f", {sent.in_project:,} texts were in the project already" if sent.in_project else ""
    console.print(f"{sent.made:,} tasks imported into project {project}{there}{same}.", highlight=False)
    if sent.held_out_in_project:
        console.print(
            f"[yellow]{sent.held_out_in_project:,} of the held-out texts are in the project: what is measured on "
            "them is too good.[/]"
        )
    console.print(f"The report, and what was held out: {folder}", highlight=False)
