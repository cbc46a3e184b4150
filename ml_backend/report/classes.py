"""The section on single labels: student and teachers against people, and how far people agree with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ale.pages.document import paragraph, section, table
from ale.pages.line_chart import Series, key
from ale.pages.strips import Row, share_strip, strip_table
from ml_backend.report.facts import Facts
from ml_backend.teacher_screens import LABELS_SHOWN, share_of

Json = dict[str, Any]

CONFUSED = 5
_HUES = ("two", "four", "three", "five")
"""Of teachers; the student is `one` wherever it stands."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Who is compared with people: overall and by label, as a learn run wrote it down."""

    name: str
    hue: str
    agreed: Json
    by_label: dict[str, Json]
    on: Json


def classes_section(facts: Facts) -> str:
    """A bar per label and judge: of the texts that people gave that label, how many the judge calls the same."""
    title = "Teacher, student and people, label by label"
    teachers = [one for one in (facts.entry["teaching"] or {"teachers": []})["teachers"] if one["trust"]]
    judges = [*_student(facts.entry.get("by_label")), *_teachers(teachers)]
    people = _people(facts.entry["people"])
    if not judges:
        waits = paragraph(_nothing(facts), kind="soft")
        return section(title, waits, people)
    legend = key([Series(judge.name, (), judge.hue) for judge in judges], block=True)
    return section(
        title,
        f"<div>{legend}</div>",
        _bars(judges),
        *(paragraph(line) for line in _verdicts(teachers)),
        paragraph(_basis(judges), kind="soft"),
        _figures(judges),
        *(_confusions(teacher) for teacher in teachers),
        people,
    )


def _student(found: Json | None) -> Iterator[Judge]:
    if found:
        yield Judge("student", "one", found["agreed"], _by_label(found), found["on"])


def _teachers(teachers: Sequence[Json]) -> Iterator[Judge]:
    for place, teacher in enumerate(teachers):
        trust = teacher["trust"]
        # Runs of an earlier ALE do not say on what.
        on = trust.get("on") or {"labels": trust["agreed"]["of"], "audit": 0}
        yield Judge(teacher["name"], _HUES[place % len(_HUES)], trust["agreed"], _by_label(trust), on)


def _by_label(found: Json) -> dict[str, Json]:
    return {row["label"]: row for row in found["per_label"]}


def _nothing(facts: Facts) -> str:
    if facts.entry["kind"] == "student":
        return "The next learn run writes down how often the student is right, label by label."
    return "Appears once people have labelled texts that a teacher has answered, or that a student can be tried on."


def _labels(judges: Sequence[Judge]) -> tuple[list[str], int]:
    """Those that people gave most often, and how many more there are."""
    given: dict[str, int] = {}
    for judge in judges:
        for label, row in judge.by_label.items():
            given[label] = max(given.get(label, 0), row["n"])
    ordered = sorted(given, key=lambda label: (-given[label], label))
    return ordered[:LABELS_SHOWN], len(ordered) - LABELS_SHOWN


def _bars(judges: Sequence[Judge]) -> str:
    labels, more = _labels(judges)
    rows = [_row("all labels", judges, [judge.agreed for judge in judges], whole=True)]
    rows += [
        _row(label, judges, [judge.by_label.get(label, {}).get("agreed") for judge in judges])
        for label in labels
    ]
    rest = f"And {more} labels more; `ale status --json` has all." if more > 0 else ""
    return strip_table(rows) + (paragraph(rest, kind="soft") if rest else "")


def _row(label: str, judges: Sequence[Judge], rates: Sequence[Json | None], *, whole: bool = False) -> Row:
    strips, said = [], []
    for judge, rate in zip(judges, rates, strict=True):
        share = rate["hits"] / rate["of"] if rate and rate["of"] else None
        interval = (rate["low"], rate["high"]) if rate and share is not None else None
        told = share_of(rate) if rate else "-"
        strips.append(share_strip(share or 0.0, interval, judge.hue, f"{label}, {judge.name}: {told}"))
        said.append(told)
    return Row(label, strips, said, whole)


def _verdicts(teachers: Sequence[Json]) -> Iterator[str]:
    for teacher in teachers:
        beside = teacher["trust"].get("against_student")
        if beside and beside["student"]["of"]:
            yield (
                f"Of the same {beside['student']['of']} texts the student has {_share(beside['student'])} right and "
                f"{teacher['name']} {_share(beside['teacher'])}: {beside['verdict']} (p = {beside['p_value']:.2g})."
            )


def _share(rate: Json) -> str:
    return f"{rate['hits'] / rate['of']:.0%}" if rate["of"] else "-"


def _basis(judges: Sequence[Judge]) -> str:
    told = "; ".join(f"{judge.name} on {_on(judge.on)}" for judge in judges)
    only_audits = all(not judge.on["labels"] for judge in judges)
    how = (
        "Audits are drawn at random and answered without a suggestion."
        if only_audits
        else "People are usually given the hardest texts first: on all texts together both do better than here."
    )
    return f"Share of the texts with people's label that get the same one: {told}. {how}"


def _on(on: Json) -> str:
    said = [f"{on['labels']:,} labels"] if on["labels"] else []
    said += [f"{on['audit']:,} audits"] if on["audit"] else []
    return " and ".join(said) or "nothing yet"


def _figures(judges: Sequence[Judge]) -> str:
    labels, _ = _labels(judges)
    rows = [
        (
            label,
            judge.name,
            f"{row['n']:,}",
            share_of(row["agreed"]),
            share_of(row["when_said"]),
            f"{row['abstained']:,}",
        )
        for label in labels
        for judge in judges
        if (row := judge.by_label.get(label))
    ]
    head = ("people said", "judge", "n", "agreed", "right when it said so", "silent")
    return f"<details><summary>Figures</summary>{table(head, rows, numbers=range(2, 6))}</details>"


def _confusions(teacher: Json) -> str:
    found = teacher["trust"].get("confusions") or []
    if not found:
        return ""
    told = "".join(
        f"<li>{one['n']:,} × people said {escape(one['people'])}, the teacher {escape(one['teacher'])}</li>"
        for one in found[:CONFUSED]
    )
    return f"<details><summary>Most frequent differences of {escape(teacher['name'])}</summary><ul>{told}</ul></details>"


def _people(people: Json | None) -> str:
    """How good each annotator is by all evidence, the least first."""
    if not people:
        return ""
    found = sorted(people["annotators"].items(), key=lambda item: float(item[1]["quality"]))
    rows = []
    for name, one in found:
        told = f"about {one['quality']:.0%} of {one['answers']:,} right"
        rows.append(Row(f"user {name}", [share_strip(one["quality"], None, "three", told)], [told]))
    differ = (
        f"{people['contradicted']} of {people['several']} texts with several answers have different ones."
    )
    return f"<h3>Annotators</h3>{strip_table(rows)}{paragraph(differ, kind='soft')}"
