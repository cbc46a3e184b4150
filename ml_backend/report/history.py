"""The section on learn runs: how they ended, how long each step took, and what went wrong last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Any

from ale.pages.document import paragraph, section, table
from ale.pages.strips import Row, share_strip, strip_table
from ml_backend.report.facts import Facts, PastRun

Json = dict[str, Any]

_LONGEST = 300
"""Characters of a reason."""


def runs_section(facts: Facts) -> str:
    """The last runs that found something to do, and the seconds of the last one that learnt."""
    if not facts.entry["runs"]:
        nothing = "No learn run yet: the worker (`ale worker`) starts one within a minute of connecting."
        return section("Runs", paragraph(nothing, kind="soft"))
    counts = ", ".join(f"{n:,} {outcome.replace('_', ' ')}" for outcome, n in facts.entry["runs"].items())
    rows = [(moment(run.started_at), f"{run.labels:,}", _total(run), _ended(run)) for run in facts.runs]
    head = ("began (UTC)", "labels", "seconds", "ended")
    learnt = next((run for run in facts.runs if "learn" in run.seconds), None)
    return section(
        "Runs",
        paragraph(f"On record: {counts}."),
        "<h3>The last ones that found something to do</h3>" if rows else "",
        table(head, rows, numbers=(1, 2)) if rows else "",
        *(() if learnt is None else _steps(learnt)),
    )


def problems_section(facts: Facts) -> str:
    """What is wrong now, and the last runs that failed or had to wait."""
    now = list(_now(facts))
    rows = [(moment(run.started_at), _ended(run)) for run in facts.problems]
    if not now and not rows:
        return section("Last problems", paragraph("None on record.", kind="soft"))
    past = table(("began (UTC)", "ended"), rows) if rows else ""
    return section(
        "Last problems",
        *(paragraph(line, kind="bad") for line in now),
        "" if now else paragraph("All is well now; what is listed is past.", kind="soft"),
        past,
    )


def moment(at: datetime) -> str:
    """Day and minute, in UTC; a line may break between the two only."""
    return f"{at:%d\N{NO-BREAK SPACE}%b\N{NO-BREAK SPACE}%Y} {at:%H:%M}"


def _now(facts: Facts) -> Iterator[str]:
    entry = facts.entry
    if entry["redis"] != "ok":
        yield "Redis does not answer: changes are found by the next look, and what it would tell is missing here."
    if entry["problem"]:
        yield str(entry["problem"])
    if entry["teaching"] and entry["teaching"]["problem"]:
        yield f"Teacher: {entry['teaching']['problem']}"
    if entry["tuning"] and entry["tuning"]["problem"]:
        yield f"The last tuning failed: {entry['tuning']['problem']}"


def _steps(run: PastRun) -> Sequence[str]:
    """Where the time of one run went."""
    total = sum(run.seconds.values())
    rows = []
    for step, spent in run.seconds.items():
        told = f"{spent:.2f} s"
        rows.append(Row(step, [share_strip(spent / total if total else 0.0, None, "one", told)], [told]))
    title = f"Seconds of the last one that learnt ({moment(run.started_at)}, {total:.1f} s)"
    return f"<h3>{escape(title)}</h3>", strip_table(rows)


def _total(run: PastRun) -> str:
    return f"{sum(run.seconds.values()):.1f}" if run.seconds else "–"


def _ended(run: PastRun) -> str:
    reason = run.reason if len(run.reason) <= _LONGEST else f"{run.reason[:_LONGEST]}…"
    return f"{run.outcome.replace('_', ' ')}{f': {reason}' if reason else ''}"
