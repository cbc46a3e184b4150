"""The review of a data set as one HTML page: nothing is fetched, no script runs, every word is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ale.review.counted import counted
from ale.review.numbering import ROWS, Numbering
from ale.review.people import Quality
from ale.review.whole import RowReview, WholeReview

MOST_ROWS = 1_000  # flags on the page; the table has them all
_TEXT_CHARS = 600

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --line: #e4e7ec; --back: #f7f8fa;
  --card: #fff; --bad: #b42318; --good: #067647; --bar: #f79009; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2b3240;
  --back: #12151b; --card: #1a1f28; --bad: #f97066; --good: #47cd89; --bar: #f79009; } }
* { box-sizing: border-box } body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif } main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 18px; margin: 36px 0 12px } p { margin: 0 0 8px }
.soft { color: var(--soft) } .cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 18px; min-width: 130px }
.card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums } .card span { color: var(--soft) }
.flag { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; margin: 0 0 10px }
.flag header { display: flex; flex-wrap: wrap; gap: 6px 12px; align-items: center } .flag q { quotes: none; display: block;
  margin: 8px 0; overflow-wrap: anywhere; white-space: pre-wrap }
.pill { border-radius: 999px; padding: 1px 10px; border: 1px solid currentColor; font-weight: 600; overflow-wrap: anywhere }
.was { color: var(--bad); text-decoration: line-through } .new { color: var(--good) }
.bar { width: 72px; height: 8px; border-radius: 4px; background: var(--line); overflow: hidden }
.bar i { display: block; height: 100%; background: var(--bar) } .row { margin-left: auto; color: var(--soft) }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line) }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line) } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums } .wide { overflow-x: auto } li { margin: 4px 0 }
"""


def page_of(name: str, found: WholeReview, texts: Sequence[str], numbering: Numbering = ROWS) -> str:
    """The page; `texts` are those that were reviewed, row by row."""
    flagged = found.flagged
    shown = flagged[:MOST_ROWS]
    parts = [
        f"<h1>Labels to check in {escape(name)}</h1>",
        '<p class="soft">Worst first. A flag is a doubt, not a verdict: nothing was changed. Rows are counted from 0, without the header.</p>',
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
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Labels to check: {escape(name)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _cards(found: WholeReview, flagged: int) -> str:
    cards = [("rows", f"{len(found.rows):,}"), ("to check", f"{flagged:,}")]
    if math.isfinite(found.errors):
        cards.append(("wrong labels expected", f"about {found.errors:,.0f}"))
    if found.reviewed:
        cards += [("reviewed", f"{found.reviewed:,}"), ("of them wrong", f"{found.fixed:,}")]
    return (
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{value}</b><span>{what}</span></div>' for what, value in cards)
        + "</div>"
    )


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
    head = "".join(f'<th class="n">{escape(label)}</th>' for label in labels)
    body = "".join(
        f'<tr><td>{escape(one.name) or "(empty)"}</td><td class="n">{one.labels}</td><td class="n">{_share(one.right)}</td>'
        + "".join(f'<td class="n">{_share(one.per_label[label])}</td>' for label in labels)
        + "</tr>"
        for one in sorted(people, key=lambda one: one.right)[:100]
    )
    return (
        f'<h2>{title}</h2><p class="soft">Expected share of right labels, by all evidence together.</p>'
        f'<div class="wide"><table><tr><th>Who</th><th class="n">labels</th><th class="n">right</th>{head}</tr>'
        f"{body}</table></div>"
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"
