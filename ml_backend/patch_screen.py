"""What `ale patch` shows a person: patches, what their trials would cost, and how they ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ml_backend.patching import Patching, Plan, Tried
from ml_backend.store import spend
from ml_backend.store.schema import PromptPatch
from ml_backend.teach_command.ready import Ready
from ml_backend.teach_command.sample import left_of_budget
from ml_backend.teacher_screens import money
from ml_backend.trial import Outcome

Json = dict[str, Any]

VERDICTS = {
    "proposed": "not judged",
    "shipped": "[green]shipped[/]",
    "rolled_back": "[yellow]rolled back[/]",
    "undone": "[yellow]undone[/]",
}


def show_plan(console: Console, ready: Ready, patching: Patching, plan: Plan) -> None:
    """What would be tried, and what that would cost; nothing has been paid."""
    console.print(f"Patches for the prompt of [bold]{escape(patching.teacher.name)}[/]:", highlight=False)
    for patch in plan.proposals.patches:
        console.print(f"- {escape(described(patch))}{_because(patch.seen)}", highlight=False)
    for label, other in plan.proposals.unwritten:
        console.print(
            f'- a hint for "{escape(label)}" that the model is to write: it said "{escape(other)}"',
            highlight=False,
        )
    if plan.problem:
        console.print(f"[yellow]{escape(plan.problem)}[/]", highlight=False)
        return
    cost = f", about {plan.tokens:,} tokens, {money(plan.usd)}"
    usd, tokens = left_of_budget(ready.teaching, spend.spent(ready.services.db, ready.project.key))
    left = [money(usd)] if usd is not None else []
    left += [f"{tokens:,} tokens"] if tokens is not None else []
    console.print(
        f"They would be judged on {plan.gold} gold texts: {plan.calls:,} calls{cost}. "
        f"Left of the budget: {' and '.join(left) or 'no limit'}.",
        highlight=False,
    )
    if plan.calls:
        console.print("Nothing was asked. To pay and try them: the same with [bold]--yes[/]")
    else:
        console.print("All answers are there. To judge them: the same with [bold]--yes[/]")


def show_tried(console: Console, ready: Ready, patching: Patching, tried: Tried) -> None:
    """How each trial ended, and what to do next."""
    if tried.outcomes:
        table = Table(
            Column("patch", ratio=1, overflow="fold"),
            Column("gold", justify="right"),
            Column("right", no_wrap=True),
            Column("fixed/\nbroken", justify="right", no_wrap=True),
            Column("p", justify="right", no_wrap=True),
            Column("verdict", overflow="fold"),
            Column("cost", justify="right"),
            title=escape(patching.teacher.name),
            title_justify="left",
            expand=True,
        )
        for one in tried.outcomes:
            cost = money(one.usd) if one.tokens else "-"
            table.add_row(escape(_numbered(one.patch)), *_figures(one), cost)
        console.print(table)
    for one in tried.outcomes:
        if one.reason:
            console.print(f"[yellow]{escape(f'{_numbered(one.patch)}: {one.reason}')}[/]", highlight=False)
    if tried.problem:
        console.print(f"[yellow]{escape(tried.problem)}[/]", highlight=False)
    total = spend.spent(ready.services.db, ready.project.key)
    console.print(
        f"The project has cost {money(total.usd)} so far, {total.tokens:,} tokens.", highlight=False
    )
    number = ready.project.project_id
    if any(one.judgement and one.judgement.ships for one in tried.outcomes):
        console.print(
            "What shipped is told from now on. What was answered before stays as it is; to ask it anew: "
            f"[bold]ale teach {number} --again[/]. To take one back: [bold]ale patch {number} --undo ID[/]",
            highlight=False,
        )


def show_patches(console: Console, patches: Iterable[PromptPatch], off: Mapping[int, str]) -> None:
    """All patches of a project, oldest first; `off` says which of the shipped ones do not apply, and why."""
    table = Table(
        Column("", justify="right"),
        Column("patch", ratio=1, overflow="fold"),
        Column("right", no_wrap=True),
        Column("p", justify="right", no_wrap=True),
        Column("state", overflow="fold"),
        expand=True,
    )
    for patch in patches:
        right = f"{patch.old_right}→{patch.new_right} of {patch.gold}" if patch.gold else ""
        state = VERDICTS[patch.state]
        if off.get(patch.id):
            state = f"[yellow]off: {escape(off[patch.id])}[/]"
        table.add_row(str(patch.id), escape(described(patch)), right, _p(patch.p_value), state)
    console.print(table if table.row_count else "No patch yet. Look for one: [bold]ale patch PROJECT[/]")


def described(patch: PromptPatch) -> str:
    """The patch in words."""
    if patch.kind == "hint":
        return f'hint "{patch.label}": {patch.text}'
    return f'{len(patch.examples)} contrast examples of "{patch.label}", not "{patch.other}"'


def as_row(patch: PromptPatch) -> Json:
    """A patch for a script."""
    names = [column.key for column in PromptPatch.__table__.columns if column.key != "project"]
    row = {name: getattr(patch, name) for name in names}
    return row | {name: row[name] and row[name].isoformat() for name in ("made_at", "decided_at")}


def outcome_row(outcome: Outcome) -> Json:
    """A trial for a script."""
    judged = outcome.judgement is not None
    cost = {"texts": outcome.texts, "tokens": outcome.tokens, "usd": outcome.usd}
    return as_row(outcome.patch) | {"judged": judged, "reason": outcome.reason, "cost": cost}


def _figures(one: Outcome) -> tuple[str, str, str, str, str]:
    found = one.judgement
    if found is None:
        return "", "", "", "", "not judged"
    return (
        str(found.n),
        f"{found.old_right}→{found.new_right}",
        f"{found.fixed}/{found.broken}",
        f"{_p(found.p_value)}\n{'<' if found.ships else '≥'} {found.level:.2g}",
        VERDICTS[one.patch.state],
    )


def _numbered(patch: PromptPatch) -> str:
    return f"#{patch.id} {described(patch)}" if patch.id else described(patch)


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _because(seen: int) -> str:
    return f" [dim](from {seen} settled disagreements)[/]" if seen else ""
