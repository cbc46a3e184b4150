"""The sections on people's work: the queue with its audits and second opinions, and the review of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from ale.chance import Rate
from ale.pages.document import cards, paragraph, section
from ale.pages.line_chart import Series, key
from ale.pages.strips import Part, parts_strip
from ml_backend.rates import rate_row
from ml_backend.report.facts import Facts
from ml_backend.screens import audit_line, review_line
from ml_backend.teacher_screens import share_of

Json = dict[str, Any]


def queue_section(facts: Facts) -> str:
    """Tasks by what became of them, the audit's progress, and who is asked once more."""
    entry = facts.entry
    if not entry["tasks"]:
        return section(
            "Queue", paragraph("No task has been read yet: import some into Label Studio.", kind="soft")
        )
    left = entry["tasks"] - entry["labeled_tasks"]
    figures = [
        (f"{entry['tasks']:,}", "tasks"),
        (f"{entry['labeled_tasks']:,}", "labelled"),
        (f"{left:,}", "wait for a label"),
        (f"{entry['skipped']:,}", "skipped answers"),
    ]
    parts = [Part("labelled", entry["labeled_tasks"], "one"), Part("wait for a label", left, "five")]
    return section(
        "Queue",
        cards(figures),
        _whole(parts),
        *(paragraph(line) for line in _queue_lines(facts)),
        "<h3>Second opinions</h3>",
        _second_opinions(facts),
    )


def _queue_lines(facts: Facts) -> Iterator[str]:
    entry = facts.entry
    audit = entry["audit"]
    if audit:
        yield f"Audit: {audit_line(audit)}."
    elif not facts.settings.audit_share:
        yield "Audit: none, ALE_AUDIT_SHARE is 0."
    else:
        yield "Audit: the first learn run sets its tasks aside."
    yield (
        f"Predictions: {entry['rows_in_force']:,} in force, {entry['rows_superseded']:,} superseded, "
        "which are deleted one by one."
    )
    if entry["due_in_s"] is not None:
        due = entry["due_in_s"]
        yield f"A learn run is due {f'in {due:.0f} s' if due >= 0 else f'since {-due:.0f} s'}."


def _second_opinions(facts: Facts) -> str:
    found = facts.entry["second_opinions"]
    if not found:
        share = facts.settings.second_opinion
        nothing = (
            "Nobody is asked once more: ALE_SECOND_OPINION is 0."
            if not share
            else "Nobody was asked yet: it takes two annotators, and an answer that is doubted."
        )
        return paragraph(nothing, kind="soft")
    hues = {"asked": "two", "answered": "one", "withdrawn": "five"}
    return _whole([Part(status, found.get(status, 0), hue) for status, hue in hues.items()])


def review_section(facts: Facts) -> str:
    """Suspected labels by what people said of them, how often the flags were right, and what the fixes brought."""
    found, payback = facts.entry["review"], facts.entry.get("payback")
    if not found and not payback and not facts.verdicts:
        nothing = (
            "No label is suspected; each learn run looks again."
            if facts.entry["kind"] == "student"
            else "The first student looks for labels that are probably wrong."
        )
        return section("Review", paragraph(nothing, kind="soft"))
    hues = {"suspect": "two", "fixed": "one", "confirmed": "three", "reported": "four", "withdrawn": "five"}
    parts = [Part(_STATUS[status], found.get(status, 0), hue) for status, hue in hues.items()]
    lines = [_so_far(found, payback), *_as_project(facts.verdicts)]
    return section("Review", _whole(parts), *(paragraph(line) for line in lines))


_STATUS = {
    "suspect": "to be reviewed",
    "fixed": "fixed",
    "confirmed": "confirmed as they were",
    "reported": "another label reported",
    "withdrawn": "withdrawn: the evidence is gone",
}


def _so_far(found: Json, payback: Json | None) -> str:
    """What people's decisions have brought; of flags alone how many of them were wrong labels indeed."""
    if payback and (told := review_line(payback)):
        return told
    wrong = found.get("fixed", 0) + found.get("reported", 0)
    decided = wrong + found.get("confirmed", 0)
    if not decided:
        return "How often the suspicions are right is told once people have decided on some."
    return f"{decided:,} suspicions reviewed, {share_of(rate_row(Rate(wrong, decided)))} of them right."


def _as_project(verdicts: dict[str, int]) -> Iterator[str]:
    if verdicts:
        told = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(verdicts.items()))
        yield f"In the review project: {told}."


def _whole(parts: Sequence[Part]) -> str:
    """The parts side by side, with their numbers."""
    named = [Part(f"{part.amount:,.0f} {part.name}", part.amount, part.hue) for part in parts if part.amount]
    told = ", ".join(part.name for part in named)
    legend = key([Series(part.name, (), part.hue) for part in named], block=True)
    return f"{parts_strip(named, told)}<div>{legend or escape('none')}</div>"
