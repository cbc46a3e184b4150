"""One page that says what a finished data set promises, by what evidence, and under which assumptions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ale.audit.finish import Finish, Look
from ale.audit.intervals import clopper_pearson
from ale.chance import Rate
from ml_backend.finishing import AUTO, NONE, percent

HOLDS = (
    "The bound counts errors in a random draw without replacement (hypergeometric). It holds over a path of "
    "thresholds that is fixed before its test (learn then test), and over all looks at this promise together "
    "(declared looks, alpha spending): how often one tried does not weaken it. Trying costs all the same: each try "
    "with a changed model spends part of the risk, so later ones may meet fewer errors and accept less. It holds "
    "for each promise (largest error and confidence) by itself: over k promises with the same risk the confidence "
    "that none is broken is 1 - k * risk (union bound)."
)

ASSUMES = (
    "Blind labels by people are taken for the truth. A skipped audit task counts as an error.",
    "The audit is a random order of these tasks, fixed beforehand. No label of it that is judged has helped the model.",
    "Tasks that people took out by labelling them are counted as right: all errors are among those that remain.",
    "The model errs no more often on tasks outside the audit's reserve than on those inside it.",
    "Nobody waited for a model that looks good on the audit before trying: which model is judged was left to chance.",
    "It speaks of these very tasks with these very texts, not of texts that are imported later.",
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a certificate names besides the outcome. `looks` are those at this promise, this one included.

    `promises` are all that were tried in this project: largest error, confidence, number of looks.
    """

    project: int
    title: str
    version: str
    recipe: Mapping[str, str]
    snapshot: str
    at: datetime
    audited: int
    skipped: int
    newer: int
    fitted: int
    looks: Sequence[Look]
    promises: Sequence[tuple[float, float, int]]


def promise(found: Finish) -> str:
    """The promise in one sentence."""
    n = len(found.rows)
    return (
        f"Of the {n:,} tasks that were labelled automatically, at most {percent(found.max_error)} "
        f"({int(found.max_error * n + 1e-9):,} tasks) carry a wrong label, with a confidence of "
        f"{percent(found.confidence)}."
    )


def tried(before: Sequence[Look]) -> str:
    """What was tried at this promise, and what that costs: told before a try."""
    counts = ", ".join(f"{n:,}" for n in sorted({look.audited for look in before}))
    return (
        f"Looks at this promise so far: {len(before):,} (at {counts} audit labels). They do not weaken it, but each "
        "try with a changed model spends part of the risk, and makes the later ones harder."
    )


def joint_confidence(promises: Sequence[tuple[float, float, int]]) -> float | None:
    """How sure it is that none of these promises is broken: 1 less their risks (union bound); None without any."""
    if not promises:
        return None
    return max(0.0, round(1.0 - sum(1.0 - sure for _, sure, _ in promises), 9))


def taken_together(confidence: float) -> str:
    """What holds for whoever tries several promises until one succeeds."""
    return (
        "Each promise that was tried in this project has a risk of its own: that none of them is broken, also when "
        f"only the successful one is kept, has a confidence of {percent(confidence)} (union bound)."
    )


def certificate(found: Finish, counts: Mapping[str, int], made: Made) -> str:
    """The page, as Markdown. `counts` are the finished data set's rows by provenance."""
    judged = Rate(found.wrong, found.audited)
    upper = clopper_pearson(judged)[1]
    tasks = sum(counts.values())
    by_people = tasks - counts[AUTO] - counts[NONE]
    looks = ", ".join(str(n) for n in sorted({look.audited for look in made.looks}))
    promises = "; ".join(f"{percent(error)} at {percent(sure)} ({n})" for error, sure, n in made.promises)
    together = joint_confidence(made.promises)
    facts = {
        "project": f"{made.project}, {made.title}" if made.title else str(made.project),
        "labelled automatically": f"{counts[AUTO]:,} of {tasks:,} tasks ({counts[AUTO] / tasks:.1%})",
        "labelled by people": f"{by_people:,}, {counts.get('audit', 0):,} of them blind, for the audit",
        "without a label, for people to go on with": f"{counts[NONE]:,}",
        "threshold": f"a confidence of {found.threshold:.6g} or more",
        "audit": f"{made.audited:,} tasks in their order, {made.skipped:,} of them skipped"
        + (f"; the first {made.fitted} only taught which suggestions are surest" if made.fitted else ""),
        "newer tasks": f"{made.newer:,} came after the audit had begun to measure, and are not covered by it yet: "
        "none of them was labelled automatically",
        "evidence": f"{judged.of:,} audit tasks stand at or above the threshold, {judged.hits:,} with a wrong "
        f"suggestion ({judged.share:.2%}; for a single look at most {upper:.2%}, Clopper-Pearson, 95 %)",
        "looks at this promise": f"{len({look.audited for look in made.looks})}, at {looks} audit labels",
        "promises tried in this project": f"{promises} (largest error at confidence, looks)"
        + ("" if len(made.promises) < 2 or together is None else f". {taken_together(together)}"),
        "version": made.version,
        "recipe": ", ".join(f"{name} {value}" for name, value in sorted(made.recipe.items())),
        "snapshot of people's labels": made.snapshot,
        "date": made.at.isoformat(timespec="seconds"),
    }
    if not made.newer:
        del facts["newer tasks"]
    lines = ["# Certificate", "", promise(found), "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    lines += [
        "",
        HOLDS,
        "",
        "What it assumes:",
        "",
    ]
    lines += [f"{i}. {line}" for i, line in enumerate(ASSUMES, 1)]
    return "\n".join(lines) + "\n"


def _cell(value: str) -> str:
    """Titles are written by users."""
    return " ".join(value.split()).replace("|", "\\|")
