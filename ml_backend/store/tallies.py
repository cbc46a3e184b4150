"""What a project's teachers have said so far, in numbers: answers, abstentions by reason, tokens, cost, prompts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from ml_backend.store.database import Database
from ml_backend.store.schema import Reply, Task


@dataclass(frozen=True, slots=True)
class Tally:
    """One teacher's answers to the project's texts, as its question is now.

    `confidence` counts answers by where their probabilities come from, `prompts` answers by the fingerprint of
    all that was said besides the text, the newest first. `usd` is None when one of them has no known price.
    """

    answers: int
    abstentions: dict[str, int]
    confidence: dict[str, int]
    prompts: dict[str, int]
    tokens: int
    usd: float | None


def tally(db: Database, project: str, teacher: str, question: str) -> Tally:
    """Counted over the texts that the project has now; equal texts count once."""
    texts = select(Task.text_hash).where(Task.project == project, Task.text_hash.is_not(None))
    mine = (Reply.teacher == teacher, Reply.question == question, Reply.text_hash.in_(texts))
    answered = Reply.abstention.is_(None)
    with db.session() as session:
        reasons = session.execute(
            select(Reply.abstention, func.count()).where(*mine).group_by(Reply.abstention)
        ).all()
        sources = session.execute(
            select(Reply.confidence, func.count()).where(*mine, answered).group_by(Reply.confidence)
        ).all()
        prompts = session.execute(
            select(Reply.prompt, func.count())
            .where(*mine, Reply.prompt != "")
            .group_by(Reply.prompt)
            .order_by(func.max(Reply.answered_at).desc())
        ).all()
        tokens, usd, unpriced = session.execute(
            select(
                func.sum(Reply.prompt_tokens + Reply.completion_tokens),
                func.sum(Reply.usd),
                func.count().filter(Reply.usd.is_(None)),
            ).where(*mine)
        ).one()
    silent = {str(reason): int(n) for reason, n in reasons if reason is not None}
    return Tally(
        answers=sum(int(n) for reason, n in reasons if reason is None),
        abstentions=dict(sorted(silent.items())),
        confidence={str(name): int(n) for name, n in sorted(sources, key=lambda row: -row[1])},
        prompts={str(name): int(n) for name, n in prompts},
        tokens=int(tokens or 0),
        usd=None if unpriced else float(usd or 0.0),
    )
