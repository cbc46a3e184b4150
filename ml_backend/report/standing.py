"""Where a project stands and what to do next, in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ml_backend.report.facts import Facts

Json = dict[str, Any]


def standing(facts: Facts) -> str:
    """The first of these that can be said: it is not connected, it is stuck, it waits for its first version, for its
    first student; else how good the student is, and whether to label on.
    """
    found = (say(facts) for say in _IN_TURN)
    return next((said for said in found if said), _measured(facts))


def _not_connected(facts: Facts) -> str:
    number = facts.number
    return {
        "wished": f"Label Studio has named this project, and it is not connected yet: run `ale connect {number}`.",
        "disconnected": f"This project is disconnected, and all here is as it was then: `ale connect {number}` goes on.",
        "gone": "Label Studio has this project no more: all here is as it was last seen.",
    }.get(facts.entry["status"], "")


def _stuck(facts: Facts) -> str:
    problem = facts.entry["problem"]
    return (
        f"Nothing new is published just now: {_clause(problem)}. `ale doctor` names what to change."
        if problem
        else ""
    )


def _no_version(facts: Facts) -> str:
    if facts.entry["version"]:
        return ""
    return (
        "The first version is being made: texts are read, encoded and put in order; "
        "if none is here in some minutes, run `ale doctor`."
    )


def _no_student(facts: Facts) -> str:
    if facts.entry["kind"] == "student":
        return ""
    n = facts.labels
    so_far = (
        "Nobody has labelled anything yet" if not n else f"{n} {'label is' if n == 1 else 'labels are'} here"
    )
    teacher = (
        "what is suggested comes from the teacher"
        if facts.entry["kind"] == "teacher"
        else "nothing is suggested"
    )
    return f"{so_far} and {teacher}: label on, the student starts with labels of two kinds."


_IN_TURN: tuple[Callable[[Facts], str], ...] = (_not_connected, _stuck, _no_version, _no_student)


def _measured(facts: Facts) -> str:
    return f"{_how_good(facts)}; {_next(facts.entry, facts.number)}."


def _how_good(facts: Facts) -> str:
    if rate := facts.audited:
        share, high = rate["hits"] / rate["of"], rate["high"]
        return (
            f"The student is right on {share:.0%} of {rate['of']} audits ({100 * rate['low']:.0f}-{high:.0%})"
        )
    agreement = facts.entry["metrics"].get("oof_accuracy")
    agrees = "" if agreement is None else f", agrees with {agreement:.0%} of them when tested on the others"
    return f"The student has learnt from {facts.labels} labels{agrees}, and too few audits say how good it is on all texts"


def _next(entry: Json, number: int) -> str:
    suspects = entry["review"].get("suspect", 0)
    look = (
        f"look at the {suspects} suspected label {'error' if suspects == 1 else 'errors'}, then "
        if suspects
        else ""
    )
    if entry["tasks"] and entry["labeled_tasks"] >= entry["tasks"]:
        return f"all tasks are labelled: {look}`ale export {number}` writes the labels"
    stop = entry["stop"]
    if not stop:
        return "label on"
    if stop["stop"]:
        return f"more labels hardly pay: {look}`ale finish {number}` labels the rest"
    if gain := stop["gain"]:
        low, high = 100 * gain["low"], 100 * gain["high"]
        return (
            f"label on: the next {gain['labels']} labels are expected to bring "
            f"{100 * gain['expected']:+.1f} points ({low:+.1f} to {high:+.1f})"
        )
    return f"label on: {_clause(stop['reason'])}"


def _clause(text: str) -> str:
    """Fit to stand inside a sentence."""
    return " ".join(text.split()).rstrip(".")
