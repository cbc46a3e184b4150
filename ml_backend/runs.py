"""Writing down how each learn run ended."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from ale.errors import AleError, Superseded
from ml_backend.label_studio import Json
from ml_backend.learn import LearnRun
from ml_backend.store import projects, versions
from ml_backend.store.schema import Run

logger = logging.getLogger(__name__)


def recorded(run: LearnRun, theirs: Json, *, force: bool = False) -> str:
    """Run and write down how it ended, whatever the end; returns the outcome, lets errors through."""
    db, key = run.db, run.project.key
    run_id = versions.start_run(db, Run(project=key, fence=run.fence, started_at=datetime.now(UTC)))
    outcome, reason = "failed", ""
    try:
        outcome, reason = run.run(theirs, force=force)
    except Superseded as error:
        outcome, reason = "superseded", str(error)
    finally:
        failure = sys.exception()
        if isinstance(failure, AleError):
            reason = f"{type(failure).__name__}: {failure}"
        elif failure is not None:  # its text may hold what users wrote
            reason = f"{type(failure).__name__}, see the worker's log"
        versions.end_run(
            db,
            run_id,
            outcome=outcome,
            reason=reason,
            version=run.counts.get("version"),
            n_labels=run.counts.get("labels", 0),
            seconds=run.seconds,
            counts=run.counts,
        )
        problem = reason if outcome in {"failed", "not_ready"} else ""
        if outcome != "superseded":
            projects.change(db, key, problem=problem)
        logger.info("project %s: learn run %d %s %s %s", key, run.fence, outcome, reason, run.seconds)
    return outcome
