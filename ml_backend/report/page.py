"""The report as one HTML page: its head, then every section in turn. Nothing is fetched, no script runs."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from ale.pages.document import cards, document, paragraph
from ml_backend.report.classes import classes_section
from ml_backend.report.facts import Facts
from ml_backend.report.history import moment, problems_section, runs_section
from ml_backend.report.learning import calibration_section, learning_section
from ml_backend.report.money import money_section
from ml_backend.report.standing import standing
from ml_backend.report.work import queue_section, review_section
from ml_backend.teacher_screens import money
from ml_backend.tuning.seen import student_line

SECTIONS = (
    learning_section,
    calibration_section,
    classes_section,
    money_section,
    queue_section,
    review_section,
    runs_section,
    problems_section,
)
"""Top to bottom; each says what has to happen first while it has nothing to say."""


def report_page(facts: Facts) -> str:
    """The whole page."""
    entry = facts.entry
    title = entry["title"] or f"Project {facts.number}"
    student = student_line(entry["student"], entry["tuning"])
    head = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{_where(facts)}</p>',
        paragraph(standing(facts), kind="lead"),
        cards(_figures(facts)),
        paragraph(f"Student: {student}.", kind="soft") if student else "",
    ]
    body = [part for part in head if part] + [section(facts) for section in SECTIONS]
    return document(f"{title}: report", "\n".join(body))


def _where(facts: Facts) -> str:
    """Project, version, time, and the way to Label Studio where its address holds no password."""
    entry = facts.entry
    said = [
        f"Project {facts.number}",
        f"version {entry['version'] or 'none yet'}",
        f"as of {moment(facts.now)} UTC",
    ]
    address = facts.settings.browser_url
    link = f'<a href="{escape(f"{address}/projects/{facts.number}/data")}">Open in Label Studio</a>'
    return " · ".join([*(escape(one) for one in said), *([] if "@" in urlsplit(address).netloc else [link])])


def _figures(facts: Facts) -> list[tuple[str, str]]:
    entry = facts.entry
    figures = [(f"{facts.labels:,}", "labels by people"), (f"{entry['tasks']:,}", "tasks")]
    if rate := facts.audited:
        figures.append((f"{rate['hits'] / rate['of']:.0%}", f"right on {rate['of']:,} audits"))
    elif (agreement := entry["metrics"].get("oof_accuracy")) is not None:
        figures.append((f"{agreement:.0%}", "agreement, cross-validated"))
    figures.append((f"{entry['review'].get('suspect', 0):,}", "labels to review"))
    if entry["teaching"] and entry["teaching"]["spend"]:
        figures.append((money(entry["teaching"]["spend"]["usd"]), "spent"))
    return figures
