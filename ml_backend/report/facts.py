"""All that the report tells of a project, read once: a handful of queries, none of which grows with its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from ml_backend.report.curve import Learnt, learning_curve
from ml_backend.settings import Settings
from ml_backend.status import entry_of
from ml_backend.store.schema import Project, ReviewVerdict, Run, TunedModel
from ml_backend.wiring import Services

Json = dict[str, Any]

AUDITS = 10
"""With fewer nobody is told how good the student is: the interval would be all there is."""
RUNS = 10
PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class PastRun:
    """One learn run: when it began, how it ended and why, labels that it saw, seconds by step."""

    started_at: datetime
    outcome: str
    reason: str
    labels: int
    seconds: Json


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known. `entry` is the project's entry of `/status`; what it lacks has not happened yet.

    `runs` are the last ones that found something to do, `problems` the last that could not, newest first. `verdicts`
    counts reviewers' answers in the review project by outcome. `tuned_usd` is what training teachers has cost; None
    where a price is not known.
    """

    entry: Json
    settings: Settings
    curve: Sequence[Learnt]
    runs: Sequence[PastRun]
    problems: Sequence[PastRun]
    verdicts: dict[str, int]
    tuned_usd: float | None
    now: datetime

    @property
    def number(self) -> int:
        """The project's number, as in its address."""
        return int(self.entry["project"])

    @property
    def labels(self) -> int:
        """People's labels that the newest run saw which came so far, audits included."""
        last = self.entry["last_run"] or {}
        return int(last.get("labels") or next((run.labels for run in self.runs if run.labels), 0))

    @property
    def audited(self) -> Json | None:
        """How often the student is right on audits, with its interval; None while there are too few."""
        rate: Json | None = (self.entry["audit"] or {}).get("student")
        return rate if rate and rate["of"] >= AUDITS else None


def gather(services: Services, row: Project) -> Facts:
    """The facts of one project; Redis being away is told, not raised."""
    entry = entry_of(services, row)
    with services.db.session() as session:
        return Facts(
            entry=entry,
            settings=services.settings,
            curve=learning_curve(session, row.key),
            runs=_runs(session, row.key, RUNS, or_(Run.outcome != "unchanged", Run.reason != "")),
            problems=_runs(session, row.key, PROBLEMS, Run.outcome.in_(("failed", "not_ready"))),
            verdicts=_verdicts(session, row.key),
            tuned_usd=_tuned_usd(session, row.key),
            now=datetime.now(UTC),
        )


def _runs(session: Session, project: str, most: int, which: ColumnElement[bool]) -> list[PastRun]:
    query = select(Run.started_at, Run.outcome, Run.reason, Run.n_labels, Run.seconds)
    newest = query.where(Run.project == project, which).order_by(Run.run_id.desc()).limit(most)
    return [PastRun(*row) for row in session.execute(newest)]


def _verdicts(session: Session, project: str) -> dict[str, int]:
    query = select(ReviewVerdict.outcome, func.count()).where(ReviewVerdict.project == project)
    return {outcome: int(n) for outcome, n in session.execute(query.group_by(ReviewVerdict.outcome))}


def _tuned_usd(session: Session, project: str) -> float | None:
    query = select(TunedModel.usd).where(TunedModel.project == project, TunedModel.state == "succeeded")
    costs = session.scalars(query).all()
    return None if None in costs else sum(cost for cost in costs if cost is not None)
