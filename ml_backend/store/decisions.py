"""What people decided about doubted labels. Kept for good: it corrects later doubts, and shows what reviews brought."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ml_backend.store.database import Database
from ml_backend.store.schema import ReviewDecision, ReviewFlag


def note(session: Session, flag: ReviewFlag, answer: str) -> None:
    """Write down that `answer` is the right label, where the flag doubted another or the same one.

    Of two decisions about the same label of the same text the later one stands.
    """
    forget(session, flag)
    session.add(
        ReviewDecision(
            project=flag.project,
            task_id=flag.task_id,
            text_hash=flag.text_hash,
            given=flag.given,
            answer=answer,
            doubt=flag.doubt,
            applied=flag.status != "reported",
            decided_at=flag.decided_at or datetime.now(UTC),
            decided_by=flag.decided_by,
        )
    )


def forget(session: Session, flag: ReviewFlag) -> None:
    """Take back what was decided about this label of this text."""
    session.execute(
        delete(ReviewDecision).where(
            ReviewDecision.project == flag.project,
            ReviewDecision.task_id == flag.task_id,
            ReviewDecision.text_hash == flag.text_hash,
            ReviewDecision.given == flag.given,
        )
    )


def every(db: Database, project: str) -> Sequence[ReviewDecision]:
    """All decisions, in the order in which they were made."""
    with db.session() as session:
        return session.scalars(
            select(ReviewDecision).where(ReviewDecision.project == project).order_by(ReviewDecision.id)
        ).all()
