"""The part of `ale status` about teachers: cost, abstentions, trust, and what keeps one from answering."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table

Json = dict[str, Any]

LABELS_SHOWN = 12
"""Of a project with more labels, those that people gave most often; `--json` has all."""
PROMPT_DIGITS = 8
CALIBRATION_FROM = 50
"""Answers; with fewer the calibration error is mostly luck."""


def teaching_panel(teaching: Json) -> RenderableType:
    """All teachers of one project, the money first."""
    parts: list[RenderableType] = [Padding(markup, (0, 0, 0, 1)) for markup in _notes(teaching)]
    for teacher in teaching["teachers"]:
        parts.append(_teacher_table(teacher, teaching["project_id"]))
        if teacher["trust"]:
            parts.append(Padding(_trust_table(teacher["trust"]), (0, 0, 0, 2)))
    return Group(*parts)


def spend_line(spend: Json) -> str:
    """What was spent of what may be; reserved and lost money only where there is some."""
    parts = [_of_budget(spend), f"{spend['calls']:,} calls"]
    if spend["reserved_tokens"]:
        parts.append(f"{money(spend['reserved_usd'])} reserved for calls under way")
    if spend["lost_calls"]:
        fate = "call of unknown fate" if spend["lost_calls"] == 1 else "calls of unknown fate"
        parts.append(f"{money(spend['lost_usd'])} of it counted for {spend['lost_calls']} {fate}")
    return ", ".join(parts)


def money(usd: float | None) -> str:
    """Dollars, with as many digits as small sums need."""
    if usd is None:
        return "unknown cost"
    return f"${usd:,.2f}" if usd == 0 or usd >= 1 else f"${usd:.4f}"


def share_of(rate: Json) -> str:
    """A share with its 95 % interval, e.g. `83% of 65 (72-90%)`."""
    if not rate["of"]:
        return "-"
    return f"{rate['hits'] / rate['of']:.0%} of {rate['of']} ({100 * rate['low']:.0f}-{rate['high']:.0%})"


def capabilities_line(found: Json) -> str:
    """What an endpoint understands, for a person."""
    forms = {"schema": "JSON schema", "json": "JSON mode", "plain": "plain text"}
    said = [forms[found["structured"]]]
    said.append("log-probabilities" if found["logprobs"] else "no log-probabilities")
    said.append("temperature" if found["temperature"] else "no temperature (reasons first)")
    return ", ".join(said)


def breaker_line(found: Json) -> str:
    """Why nobody is asked just now."""
    who = "a person must act" if found["for_good"] else "it is tried again by itself"
    return f"open after {found['reason']}; {who}, the next try is in {found['seconds']:.0f} s"


def _notes(teaching: Json) -> Iterator[str]:
    if teaching["spend"]:
        yield f"[bold]paid teachers[/]  {escape(spend_line(teaching['spend']))}"
        if not teaching["agreed_to_pay"]:
            yield "[yellow]nobody has agreed to pay for this project: nothing is asked[/]"
        for teacher in teaching["teachers"] if teaching["agreed_to_pay"] else []:
            if teacher["not_agreed"] not in ("", teaching["problem"]):
                yield f"[yellow]teacher: {escape(teacher['not_agreed'])}[/]"
    if teaching["stopped"]:
        yield (
            "[green]The student beats the teacher: nothing more is asked[/] (ALE_STOP_PAYING): "
            + escape(teaching["beaten"])
        )
    elif teaching["beaten"]:
        yield "[green]The student beats the teacher[/], which is asked all the same: " + escape(
            teaching["beaten"]
        )
    if teaching["patches"]["states"]:
        states = teaching["patches"]["states"].items()
        yield "[bold]prompt patches[/]  " + ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in states)
    for number, why in teaching["patches"]["off"].items():
        yield f"[yellow]patch {number} is off: {escape(why)}[/]"
    if teaching["problem"]:
        yield f"[yellow]teacher: {escape(teaching['problem'])}[/]"


def _teacher_table(teacher: Json, project: int) -> Table:
    table = Table(
        title=f"Teacher {escape(teacher['name'])}", title_justify="left", show_header=False, box=None
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in _teacher_rows(teacher, project):
        if value:
            table.add_row(name, escape(value))
    return table


def _teacher_rows(teacher: Json, project: int) -> Iterator[tuple[str, str]]:
    yield "answers", _counted(teacher["answers"], teacher["confidence"])
    yield "abstentions", _counted(sum(teacher["abstentions"].values()), teacher["abstentions"])
    if not teacher["paid"]:
        return
    yield "cost", f"{teacher['tokens']:,} tokens, {money(teacher['usd'])}" if teacher["tokens"] else ""
    in_files, unsent = teacher["in_files"], teacher["unsent"]
    yield "on their way", f"{in_files:,} texts in a batch, within a day" if in_files else ""
    yield (
        "not sent yet",
        f"{unsent:,} texts in a batch; if nobody is sending it: `ale teach {project} --batch --yes`"
        if unsent
        else "",
    )
    yield "prompt", _prompts(teacher)
    yield "endpoint", _endpoint_line(teacher)
    yield "breaker", breaker_line(teacher["breaker"]) if teacher["breaker"] else ""
    yield "problem", teacher["problem"]


def _endpoint_line(teacher: Json) -> str:
    if teacher["capabilities"]:
        return capabilities_line(teacher["capabilities"])
    return "not asked yet" if teacher["endpoint_known"] else "not known while Redis is away"


def _trust_table(trust: Json) -> Group:
    table = Table(
        Column("people said", overflow="fold"),
        Column("n", justify="right"),
        Column("teacher agreed", no_wrap=True),
        Column("right when it said so", no_wrap=True),
        Column("silent", justify="right"),
        box=None,
        header_style="dim",
    )
    rows = sorted(trust["per_label"], key=lambda row: (-row["n"], row["label"]))
    for row in rows[:LABELS_SHOWN]:
        table.add_row(
            escape(row["label"]),
            str(row["n"]),
            share_of(row["agreed"]),
            share_of(row["when_said"]),
            str(row["abstained"]),
        )
    more = len(rows) - LABELS_SHOWN
    rest = [f"[dim]and {more} labels more, see --json[/]"] if more > 0 else []
    return Group(*_against_people(trust), table, *rest)


def _against_people(trust: Json) -> Iterator[str]:
    line = f"against people: [bold]{share_of(trust['agreed'])}[/] agreed"
    if trust["mean_confidence"] is not None:
        line += f"; its confidence {trust['mean_confidence']:.0%}"
    if trust["agreed"]["of"] >= CALIBRATION_FROM:
        line += f", calibration error {trust['ece']:.2f}"
    yield line
    beside = trust.get("against_student")
    if beside and beside["student"]["of"]:
        student, teacher = (beside[name]["hits"] / beside[name]["of"] for name in ("student", "teacher"))
        yield (
            f"of the same {beside['student']['of']} texts the student has {student:.0%} right, the teacher "
            f"{teacher:.0%}: [bold]{beside['verdict']}[/] (p = {beside['p_value']:.2g})"
        )
    on = trust.get("on", {"labels": trust["agreed"]["of"], "audit": 0})  # runs of an earlier ALE say nothing
    if not on["labels"]:
        yield f"[dim]On {on['audit']} audit tasks: drawn at random, labelled without a suggestion.[/]"
    else:
        yield "[dim]People are usually given the hardest texts first: on the whole pool both then do better than here.[/]"


def _of_budget(spend: Json) -> str:
    usd, tokens = spend["budget_usd"], spend["budget_tokens"]
    said = [
        f"{money(spend['usd'])} of {money(usd)} spent" if usd is not None else f"{money(spend['usd'])} spent"
    ]
    said.append(
        f"{spend['tokens']:,} of {tokens:,} tokens" if tokens is not None else f"{spend['tokens']:,} tokens"
    )
    return ", ".join(said)


def _counted(total: int, parts: Json) -> str:
    named = ", ".join(f"{name} {n:,}" for name, n in parts.items())
    return f"{total:,} ({named})" if named and total else f"{total:,}" if total else ""


def _prompts(teacher: Json) -> str:
    """The version, and the fingerprints that answers carry: the newest, and how many are older."""
    prints = list(teacher["prompts"].items())
    if not prints:
        return str(teacher["prompt"])
    (newest, n), older = prints[0], sum(count for _, count in prints[1:])
    line = f"{teacher['prompt']}, fingerprint {newest[:PROMPT_DIGITS]} ({n:,})"
    return f"{line}; {older:,} under older ones" if older else line
