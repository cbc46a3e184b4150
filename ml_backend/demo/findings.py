"""What the simulated session showed, and whether the loop closed. Pure: from records to numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

from ml_backend.demo.annotator import Answer, Ranking
from ml_backend.demo.yardstick import Measured
from ml_backend.store.schema import Run, Version

_COMPARED = 20
_LABELS_PER_RETRAIN = 20
_RETRAINS = 3


@dataclass(frozen=True, slots=True)
class Findings:
    """All numbers of the report. Seconds are from an accepted annotation to a version that knows it."""

    labels: int
    retrains: int
    student_accuracy: float | None
    teacher_accuracy: float | None
    planted: int
    flagged: int
    planted_found: int
    order_changes: int
    served_in_order: int
    served_out_of_order: int
    median_s: float | None
    max_s: float | None
    not_in_force: int
    curve: list[Measured]
    audit: dict[str, Any] | None = None
    """What the blind random sample says, as the last learn run wrote it down."""

    @property
    def recall(self) -> float | None:
        """Share of the planted errors that stand in the review tab."""
        return self.planted_found / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        """Share of the review tab that was planted."""
        return self.planted_found / self.flagged if self.flagged else None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        conditions = [asdict(condition) for condition in loop_closed(self)]
        closed = all(condition["holds"] for condition in conditions)
        numbers = asdict(self) | {"recall": self.recall, "precision": self.precision}
        return numbers | {"conditions": conditions, "loop_closed": closed}


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold for the loop to be closed."""

    name: str
    holds: bool
    seen: str


def loop_closed(found: Findings) -> list[Condition]:
    """The conditions, each with what was seen. The number of retrains is scaled down for short sessions."""
    retrains = max(1, min(_RETRAINS, found.labels // _LABELS_PER_RETRAIN))
    student, teacher = found.student_accuracy, found.teacher_accuracy
    better = student is not None and (teacher is None or student > teacher)
    return [
        Condition(f"at least {retrains} retrains", found.retrains >= retrains, f"{found.retrains}"),
        Condition(
            "the student beats the teacher on held-out messages",
            better,
            f"{_share(student)} against {_share(teacher)}",
        ),
        Condition(
            "the order changed after a retrain", found.order_changes > 0, f"{found.order_changes} times"
        ),
        Condition(
            "tasks were served as the published ranking says",
            found.served_in_order > 0 and found.served_out_of_order == 0,
            f"{found.served_in_order} as ranked, {found.served_out_of_order} not",
        ),
        Condition(
            "a planted error came back in the review tab",
            found.planted_found > 0,
            f"{found.planted_found} of {found.planted} among {found.flagged}",
        ),
        Condition("every answer is in force", found.not_in_force == 0, f"{found.not_in_force} are not"),
    ]


def summarise(
    answers: Sequence[Answer],
    curve: Sequence[Measured],
    teacher: float | None,
    suspects: set[int],
    planted: set[int],
    rankings: Mapping[str, Ranking],
    runs: Sequence[Run],
    versions: Mapping[str, Version],
) -> Findings:
    """From what was recorded to the report's numbers.

    `suspects` are the tasks in the review tab,
    `planted` all tasks with a wrong label that may come there, those of earlier sessions included.
    """
    by_start = sorted(runs, key=lambda run: run.started_at)
    waits = [seconds_to_force(answer.created_at, runs, versions) for answer in answers]
    known = [wait for wait in waits if wait is not None]
    return Findings(
        labels=len(answers),
        retrains=len(curve),
        student_accuracy=curve[-1].accuracy if curve else None,
        teacher_accuracy=teacher,
        planted=len(planted),
        flagged=len(suspects),
        planted_found=len(suspects & planted),
        order_changes=order_changes(list(rankings.values()), {answer.task_id for answer in answers}),
        served_in_order=sum(answer.in_order is True for answer in answers),
        served_out_of_order=sum(answer.in_order is False for answer in answers),
        median_s=round(median(known), 2) if known else None,
        max_s=round(max(known), 2) if known else None,
        not_in_force=len(waits) - len(known),
        curve=list(curve),
        audit=next(
            (run.counts["audit"] for run in reversed(by_start) if (run.counts or {}).get("audit")), None
        ),
    )


def order_changes(rankings: Sequence[Ranking], labelled: set[int]) -> int:
    """How often a version put the tasks that were left in another order than the version before."""
    changes = 0
    for before, after in pairwise(rankings):
        both = set(before.scores) & set(after.scores)
        skip = labelled | (set(before.scores) ^ set(after.scores))
        changes += bool(both) and before.head(skip)[:_COMPARED] != after.head(skip)[:_COMPARED]
    return changes


def seconds_to_force(created: datetime, runs: Sequence[Run], versions: Mapping[str, Version]) -> float | None:
    """From an annotation to the end of the first run that started after it; None when there is none yet.

    A run that published counts from the moment its version was in force; one that found the order unchanged
    counts from its end.
    """
    for run in sorted(runs, key=lambda run: run.started_at):
        if run.started_at < created or run.outcome not in {"published", "unchanged", "filled"}:
            continue
        version = versions.get(run.version or "") if run.outcome == "published" else None
        end = version.in_force_at if version is not None else run.finished_at
        if end is not None:
            return (end - created).total_seconds()
    return None


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
