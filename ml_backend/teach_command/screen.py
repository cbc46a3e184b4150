"""What `ale teach` shows a person: the sample as a table, its costs, and the pass as a bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table

from ml_backend.store import spend
from ml_backend.store.spend import Budget
from ml_backend.teach_command.before import Before
from ml_backend.teach_command.ready import Ready
from ml_backend.teach_command.sample import Row, Sample, left_of_budget
from ml_backend.teach_command.whole import Ended, Progress
from ml_backend.teacher_screens import money, spend_line
from ml_backend.teachers import budget_of

LINE_S = 5.0
"""Without a terminal: seconds between two lines."""
TEXT_CHARS = 200


def announce_sample(console: Console, ready: Ready, n: int) -> None:
    """Before anything is paid."""
    names = " and ".join(teacher.name for teacher in ready.paid)
    console.print(
        f"Asking {escape(names)} about {n} texts. [bold]This is paid[/], within what is left of the budget: "
        f"{escape(_budget_left(ready))}."
    )


def show_sample(console: Console, ready: Ready, sample: Sample, *, again: bool) -> None:
    """The table, why some are silent, and what the whole would cost."""
    compared = any(row.before for row in sample.rows)
    table = Table(
        Column("text", ratio=1, no_wrap=True, overflow="ellipsis"),
        Column("answer", overflow="fold"),
        Column("sure", justify="right", no_wrap=True),
        title=f"{escape(sample.teacher)}, prompt {sample.fingerprint[:8]}",
        title_justify="left",
        expand=True,
    )
    if compared:
        table.add_column("before", overflow="fold")
    for row in sample.rows:
        cells = [escape(_one_line(row.text)), _answer(row), _confidence(row)]
        table.add_row(*cells, *([_before(row)] if compared else []))
    console.print(table)
    for line in _lines(sample):
        console.print(line)
    console.print(_estimate(ready, sample), highlight=False)
    if sample.problem:
        console.print(f"[yellow]{escape(sample.problem)}[/]")
        return
    if sample.outdated and not again:
        console.print(
            f"{sample.outdated:,} answers were given to other few-shot examples or hints than today's; "
            f"to compare: [bold]ale teach {ready.project.project_id} --again[/]"
        )
    if sample.whole.texts:
        options = "--again --yes" if again else "--yes"
        console.print(f"To ask them all: [bold]ale teach {ready.project.project_id} {options}[/]")


@contextmanager
def telling(console: Console, ready: Ready) -> Iterator[Callable[[Progress], None]]:
    """What `run_whole` tells, as a bar; as lines where there is no terminal."""
    if not console.is_terminal:
        yield _Lines(console, budget_of(ready.teaching.settings))
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[spend]}"),
        TextColumn("{task.fields[abstained]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("teach", total=None, rate="", spend="", abstained="")
        rate = _Rate()

        def tell(now: Progress) -> None:
            bar.update(
                task,
                completed=now.settled,
                total=now.total,
                rate=f"{rate.of(now.settled):.1f}/s",
                spend=_spend(now, budget_of(ready.teaching.settings)),
                abstained=f"{now.abstained} abstained",
            )

        yield tell


def show_end(console: Console, ready: Ready, ended: Ended) -> None:
    """What came of it, and what to do next."""
    now, number = ended.progress, ready.project.project_id
    budget = budget_of(ready.teaching.settings)
    account = {**_account(now), "budget_usd": budget.usd, "budget_tokens": budget.tokens}
    console.print(
        f"{now.settled:,} texts are settled, {now.abstained:,} of them abstained on.", highlight=False
    )
    console.print(escape(spend_line(account)), highlight=False)
    if ended.stopped:
        console.print(f"Stopped. Nothing of it is asked or paid again: [bold]ale teach {number}[/] goes on.")
    elif ended.problem:
        console.print(f"[yellow]{escape(ended.problem)}[/]")
        if now.left:
            console.print(f"{now.left:,} texts are left; once that is mended: [bold]ale teach {number}[/]")
    elif ended.in_files:
        console.print(
            f"{ended.in_files:,} texts are on their way in a batch; a running `ale worker` collects the answers.",
            highlight=False,
        )
    else:
        console.print("Nothing is left to ask. A running `ale worker` publishes it within seconds.")


class _Rate:
    """Texts per second since the first look."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def of(self, settled: int) -> float:
        """0 at the first look."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, settled
        return (settled - self._first[1]) / max(1e-3, now - self._first[0])


class _Lines:
    """For a log: a line now and then."""

    def __init__(self, console: Console, budget: Budget) -> None:
        self._console, self._budget = console, budget
        self._last = float("-inf")
        self._rate = _Rate()

    def __call__(self, now: Progress) -> None:
        rate = self._rate.of(now.settled)
        if time.monotonic() - self._last < LINE_S and now.left:
            return
        self._last = time.monotonic()
        self._console.print(
            f"{now.settled}/{now.total} texts, {rate:.1f}/s, {_spend(now, self._budget)}, {now.abstained} abstained",
            highlight=False,
            soft_wrap=True,
        )


def _answer(row: Row) -> str:
    if row.answer is None:
        return f"[yellow]{row.abstention or 'not asked'}[/]"
    return f"[bold]{escape(row.answer)}[/]" if row.changed else escape(row.answer)


def _confidence(row: Row) -> str:
    return "" if row.confidence is None else f"{row.confidence:.0%} [dim]{row.source}[/]"


def _before(row: Row) -> str:
    if row.before is None:
        return ""
    if not row.changed:
        return "[dim]same[/]"
    return f"[red]≠[/] {escape(row.before.answer or 'abstained')}"


def _lines(sample: Sample) -> Iterator[str]:
    reasons: dict[str, int] = {}
    for row in sample.rows:
        if row.abstention:
            reasons[row.abstention] = reasons.get(row.abstention, 0) + 1
    if reasons:
        yield "Abstentions: " + ", ".join(f"{name} {n}" for name, n in sorted(reasons.items()))
    compared: list[Before] = [row.before for row in sample.rows if row.before]
    if compared:
        changed = sum(row.changed for row in sample.rows)
        who = ", ".join(sorted({f"{before.teacher} {before.why_not_now}" for before in compared}))
        yield f"{changed} of {len(compared)} answers changed. Before: [dim]{escape(who)}[/]"


def _estimate(ready: Ready, sample: Sample) -> str:
    cost = (
        f"{sample.tokens:,} tokens, {money(sample.usd)}"
        if sample.asked
        else "nothing, its answers were there"
    )
    lines = [f"The sample cost {cost}."]
    whole = sample.whole
    if not whole.texts:
        return f"{lines[0]} No more texts are worth asking."
    at_most = "at most " if whole.at_most else ""
    about = "" if whole.tokens is None else f", about {whole.tokens:,} tokens, {money(whole.usd)}"
    lines.append(
        f"The rest: {at_most}{whole.texts:,} texts{about}. Left of the budget: {_budget_left(ready)}."
    )
    return " ".join(lines)


def _budget_left(ready: Ready) -> str:
    usd, tokens = left_of_budget(ready.teaching, spend.spent(ready.services.db, ready.project.key))
    parts = [money(usd)] if usd is not None else []
    return " and ".join([*parts, *([f"{tokens:,} tokens"] if tokens is not None else [])]) or "no limit"


def _spend(now: Progress, budget: Budget) -> str:
    limit = f" of {money(budget.usd)}" if budget.usd is not None else ""
    return f"{money(now.spent.usd)}{limit}, {now.spent.tokens:,} tokens"


def _account(now: Progress) -> dict[str, object]:
    spent = now.spent
    return {name: getattr(spent, name) for name in spent.__slots__}


def _one_line(text: str) -> str:
    return " ".join(text[:TEXT_CHARS].split())
