"""The review of a data set as one HTML page: nothing is fetched, no script runs, every word is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ale.pages.document import cards, document, table
from ale.review.counted import counted
from ale.review.numbering import ROWS, Numbering
from ale.review.people import Quality
from ale.review.whole import RowReview, WholeReview

MOST_ROWS = 1_000  # flags on the page; the table has them all
_TEXT_CHARS = 600

_STYLE = """
.flag { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; margin: 0 0 10px }
.flag header { display: flex; flex-wrap: wrap; gap: 6px 12px; align-items: center } .flag q { quotes: none; display: block;
  margin: 8px 0; overflow-wrap: anywhere; white-space: pre-wrap }
.pill { border-radius: 999px; padding: 1px 10px; border: 1px solid currentColor; font-weight: 600; overflow-wrap: anywhere }
.was { color: var(--bad); text-decoration: line-through } .new { color: var(--good) }
.bar { width: 72px; height: 8px; border-radius: 4px; background: var(--line); overflow: hidden }
.bar i { display: block; height: 100%; background: var(--bar) } .row { margin-left: auto; color: var(--soft) }
"""


def page_of(name: str, found: WholeReview, texts: Sequence[str], numbering: Numbering = ROWS) -> str:
    """The page; `texts` are those that were reviewed, row by row."""
    flagged = found.flagged
    shown = flagged[:MOST_ROWS]
    counting = " Rows are counted from 0, without the header." if numbering.numbers is None else ""
    parts = [
        f"<h1>Labels to check in {escape(name)}</h1>",
        f'<p class="soft">Worst first. A flag is a doubt, not a verdict: nothing was changed.{counting}</p>',
        _cards(found, len(flagged)),
        *_list("Notes", found.notes),
        *_list("About the whole data set", [tip.text for tip in found.tips]),
        "<h2>Flags</h2>",
        *(_flag(one, texts[one.row], f"{numbering.unit} {numbering.of(one.row)}") for one in shown),
    ]
    if not flagged:
        parts.append(f"<p>{escape(found.why_no_flags)}</p>")
    if len(flagged) > len(shown):
        parts.append(
            f'<p class="soft">{counted(len(flagged) - len(shown), "more flag")} in the table (--out FILE.csv).</p>'
        )
    parts += [_people("Annotators", found.annotators), _people("Teachers", found.teachers)]
    body = "\n".join(part for part in parts if part)
    return document(f"Labels to check: {name}", body, style=_STYLE)


def _cards(found: WholeReview, flagged: int) -> str:
    figures = [(f"{len(found.rows):,}", "rows"), (f"{flagged:,}", "to check")]
    if math.isfinite(found.errors):
        figures.append((f"about {found.errors:,.0f}", "wrong labels expected"))
    if found.reviewed:
        figures += [(f"{found.reviewed:,}", "reviewed"), (f"{found.fixed:,}", "of them wrong")]
    return cards(figures)


def _list(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    return [f"<h2>{title}</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"]


def _flag(one: RowReview, text: str, number: str) -> str:
    cut = text if len(text) <= _TEXT_CHARS else text[:_TEXT_CHARS] + "…"
    return (
        '<article class="flag"><header>'
        f'<span class="pill was">{escape(one.given_label)}</span><span aria-label="better">→</span>'
        f'<span class="pill new">{escape(one.suggested_label)}</span>'
        f'<span class="bar" title="{one.score:.3f}"><i style="width:{100 * one.score:.0f}%"></i></span>'
        f'<span>{one.score:.2f}</span><span class="row">{escape(number)}</span></header>'
        f'<q>{escape(cut)}</q><p class="soft">{escape(one.reason)}{_consensus(one)}</p></article>'
    )


def _consensus(one: RowReview) -> str:
    return f" · consensus of this text: {escape(one.consensus_label)}" if one.consensus_label else ""


def _people(title: str, people: Sequence[Quality]) -> str:
    if not people:
        return ""
    labels = list(people[0].per_label)[:12]
    rows = [
        (
            one.name or "(empty)",
            str(one.labels),
            _share(one.right),
            *(_share(one.per_label[label]) for label in labels),
        )
        for one in sorted(people, key=lambda one: one.right)[:100]
    ]
    head = ("Who", "labels", "right", *labels)
    return (
        f'<h2>{title}</h2><p class="soft">Expected share of right labels, by all evidence together.</p>'
        + table(head, rows, numbers=range(1, len(head)))
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"
