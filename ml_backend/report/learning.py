"""The sections on the student as a whole: its learning curve, and how honest its confidence is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ale.pages.document import paragraph, section, table
from ale.pages.line_chart import Point, Series, line_chart
from ml_backend.report.curve import Learnt
from ml_backend.report.facts import AUDITS, Facts
from ml_backend.teacher_screens import CALIBRATION_FROM

Json = dict[str, Any]

ROWS = 12
"""Of the table beneath a curve."""


def learning_section(facts: Facts) -> str:
    """Accuracy on audits with its interval, and cross-validated agreement, over the number of labels."""
    curve = facts.curve
    audited = [
        Point(one.labels, one.audit.share, *one.audit.interval, _audit_note(one))
        for one in curve
        if one.audit.of >= AUDITS
    ]
    agreement = [
        Point(one.labels, one.agreement, note=f"{one.labels} labels: {one.agreement:.1%} cross-validated")
        for one in curve
        if one.agreement is not None
    ]
    teachers = [
        Point(one.labels, one.teachers, note=f"{one.labels} labels: teachers {one.teachers:.1%} of audits")
        for one in curve
        if one.teachers is not None and one.audit.of >= AUDITS
    ]
    if not audited and not agreement:
        return section("Learning curve", paragraph(_no_curve(facts), kind="soft"))
    chart = line_chart(
        [
            Series("student on audits, with 95% interval", audited, "one"),
            Series("student on the labels it learns from, cross-validated", agreement, "three", dashed=True),
            Series("teachers together on audits", teachers, "two", dashed=True),
        ],
        title="Learning curve",
        across="people's labels",
        up=_percent,
        left=0,
        least=0.01,
        bounds=(0.0, 1.0),
    )
    return section(
        "Learning curve", chart, paragraph(_how_to_read(facts, audited), kind="soft"), _figures(curve)
    )


def calibration_section(facts: Facts) -> str:
    """Confidences against what was right on audits, and the calibration error over the number of labels."""
    audit = facts.entry["audit"] or {}
    bins: Sequence[Json] = audit.get("reliability") or []
    over = _errors(facts.curve)
    parts = [_reliability(bins)] if bins else []
    if over:
        parts += ["<h3>Calibration error</h3>", over]
    if not parts:
        parts = [paragraph(_no_calibration(facts), kind="soft")]
    elif audit.get("student") and audit["labels"] >= CALIBRATION_FROM and audit.get("ece") is not None:
        parts.append(
            paragraph(
                f"On {audit['labels']} audits the student's confidence lies {100 * audit['ece']:.0f} points from the share that "
                "is right, on average; 0 is honest, and some points are luck.",
                kind="soft",
            )
        )
    return section("Calibration", *parts)


def _audit_note(one: Learnt) -> str:
    low, high = one.audit.interval
    return f"{one.labels} labels: {one.audit.share:.1%} of {one.audit.of} audits ({100 * low:.0f}-{high:.0%})"


def _no_curve(facts: Facts) -> str:
    if facts.entry["kind"] == "student":
        return "The curve begins with the next version: none of those on record says how good it was."
    return "The curve begins with the first student, which needs people's labels of at least two kinds."


def _how_to_read(facts: Facts, audited: Sequence[Point]) -> str:
    if audited:
        return (
            "Only audits say how good the student is on all texts: they are drawn at random and answered without a "
            "suggestion. The labels it learns from were chosen for being hard, so there it usually looks worse."
        )
    if not facts.settings.audit_share:
        return "No audit measures the student: ALE_AUDIT_SHARE is 0. The labels it learns from are no random sample."
    return (
        f"An accuracy on all texts appears here from {AUDITS} audits on: {facts.settings.audit_share:.0%} of the tasks that "
        "are served, drawn at random and shown without a suggestion."
    )


def _figures(curve: Sequence[Learnt]) -> str:
    step = max(1, -(-len(curve) // ROWS))
    picked = list(curve)[::-1][::step]
    rows = [
        (
            f"{one.labels:,}",
            f"{one.audit.share:.1%} of {one.audit.of}" if one.audit.of else "–",
            "–" if one.agreement is None else f"{one.agreement:.1%}",
            "–" if one.teachers is None else f"{one.teachers:.1%}",
        )
        for one in picked
    ]
    head = ("labels", "on audits", "cross-validated", "teachers")
    return f"<details><summary>Figures</summary>{table(head, rows, numbers=range(4))}</details>"


def _no_calibration(facts: Facts) -> str:
    if not facts.settings.audit_share:
        return "Confidences can be checked on audits only, and there are none: ALE_AUDIT_SHARE is 0."
    return f"Confidences can be checked once a student has met {CALIBRATION_FROM} audits; with fewer it is mostly luck."


def _reliability(bins: Sequence[Json]) -> str:
    said = [
        Point(
            100 * one["confidence"],
            one["hits"] / one["of"],
            one["low"],
            one["high"],
            f"confidence {one['confidence']:.0%}: {one['hits']} of {one['of']} audits right",
        )
        for one in bins
    ]
    ends = (said[0].x, said[-1].x)
    honest = [Point(x, x / 100, note="honest") for x in ends]
    return line_chart(
        [
            Series("share of audits that is right, with 95% interval", said, "one", whiskers=True),
            Series("honest", honest, "five", dashed=True),
        ],
        title="Reliability",
        across="the student's confidence in %",
        up=_percent,
        least=0.01,
        bounds=(0.0, 1.0),
    )


def _errors(curve: Sequence[Learnt]) -> str:
    audited = [
        Point(
            one.labels,
            one.audited_ece,
            note=f"{one.labels} labels: {one.audited_ece:.3f} on {one.audit.of} audits",
        )
        for one in curve
        if one.audited_ece is not None and one.audit.of >= CALIBRATION_FROM
    ]
    held_out = [
        Point(one.labels, one.ece, note=f"{one.labels} labels: {one.ece:.3f} cross-validated")
        for one in curve
        if one.ece is not None and one.labels >= CALIBRATION_FROM
    ]
    if not audited and not held_out:
        return ""
    return line_chart(
        [
            Series("on audits", audited, "one"),
            Series("on the labels it learns from, cross-validated", held_out, "three", dashed=True),
        ],
        title="Calibration error",
        across="people's labels",
        up=lambda error: f"{error:.2f}",
        left=0,
        least=0.01,
        bounds=(0.0, 1.0),
    )


def _percent(share: float) -> str:
    return f"{share:.0%}"
