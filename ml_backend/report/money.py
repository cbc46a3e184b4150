"""The section on what teachers have cost: of the budget, by teacher, and by purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ale.pages.document import cards, paragraph, section, table
from ale.pages.line_chart import Series, key
from ale.pages.strips import Part, parts_strip
from ml_backend.report.facts import Facts
from ml_backend.teacher_screens import money, spend_line

Json = dict[str, Any]

_A_CENT = 0.01


def money_section(facts: Facts) -> str:
    """Money, tokens and calls; where nothing costs anything, what would have to be set."""
    teaching = facts.entry["teaching"]
    if not teaching:
        return section("Spend", paragraph("Not told while the project is not connected.", kind="soft"))
    spend = teaching["spend"]
    if spend is None:
        nothing = "No teacher that costs money is set (ALE_TEACHER): nothing is spent."
        return section("Spend", paragraph(nothing, kind="soft"), _teachers(teaching))
    if not spend["calls"] and not spend["reserved_tokens"]:
        nothing = f"Nothing is spent in this project yet: `ale teach {facts.number}` tries 20 texts and says what all would cost."
        return section("Spend", paragraph(nothing, kind="soft"), *_notes(teaching), _teachers(teaching))
    return section(
        "Spend",
        _cards(spend),
        _of_budget(spend),
        *_notes(teaching),
        _teachers(teaching),
        _purposes(facts, spend),
    )


def _cards(spend: Json) -> str:
    budget = (
        "no limit in dollars" if spend["budget_usd"] is None else f"of {money(spend['budget_usd'])} spent"
    )
    return cards(
        [(money(spend["usd"]), budget), (f"{spend['tokens']:,}", "tokens"), (f"{spend['calls']:,}", "calls")]
    )


def _of_budget(spend: Json) -> str:
    budget, told = spend["budget_usd"], spend_line(spend)
    if not budget:
        return paragraph(told)
    parts = [
        Part(f"spent: {money(spend['usd'])}", spend["usd"], "two"),
        Part(f"reserved for calls under way: {money(spend['reserved_usd'])}", spend["reserved_usd"], "four"),
    ]
    legend = key([Series(part.name, (), part.hue) for part in parts if part.amount], block=True)
    return f"{parts_strip(parts, told, of=budget)}<div>{legend}</div>" + paragraph(told, kind="soft")


def _notes(teaching: Json) -> Iterator[str]:
    if teaching["stopped"]:
        yield paragraph(f"The student beats the teacher, so nothing more is asked: {teaching['beaten']}")
    elif teaching["beaten"]:
        yield paragraph(f"The student beats the teacher, which is asked all the same: {teaching['beaten']}")
    if not teaching["agreed_to_pay"]:
        yield paragraph("Nobody has agreed to pay for this project: nothing is asked.")


def _teachers(teaching: Json) -> str:
    rows = [
        (
            one["name"],
            f"{one['answers']:,}",
            _silent(one["abstentions"]),
            f"{one['tokens']:,}" if one["paid"] else "–",
            money(one["usd"]) if one["paid"] else "free",
        )
        for one in teaching["teachers"]
    ]
    return (
        table(("teacher", "answers", "silent", "tokens", "cost of answers"), rows, numbers=(1, 3, 4))
        if rows
        else ""
    )


def _silent(abstentions: Json) -> str:
    total = sum(abstentions.values())
    why = ", ".join(f"{reason} {n:,}" for reason, n in abstentions.items())
    return f"{total:,} ({why})" if total else "0"


def _purposes(facts: Facts, spend: Json) -> str:
    """What the money was for, as far as it is kept; the rest is the difference."""
    paid = [one["usd"] for one in facts.entry["teaching"]["teachers"] if one["paid"]]
    known: list[tuple[str, float]] = []
    if None not in paid:
        known.append(("answers to today's question on the texts that are there", sum(paid)))
    if facts.tuned_usd:
        known.append(("training teachers on people's labels", facts.tuned_usd))
    if spend["lost_calls"]:
        known.append(("calls of unknown fate, counted at their most", spend["lost_usd"]))
    rest = spend["usd"] - sum(usd for _, usd in known)
    if None not in paid and facts.tuned_usd is not None and rest >= _A_CENT:
        known.append(("earlier questions, samples, tries of hints, texts that are gone", rest))
    rows = [(what, money(usd)) for what, usd in known]
    return table(("for", "cost"), rows, numbers=(1,)) if rows else ""
