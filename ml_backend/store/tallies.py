"""What a project's teachers have said so far, in numbers: answers, abstentions by reason, tokens, cost, prompts."""

from __future__ import annotations

from collections import Counter
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
    kinds = (Reply.abstention, Reply.confidence, Reply.prompt)
    query = (
        select(
            *kinds,
            func.count().label("n"),
            func.sum(Reply.prompt_tokens + Reply.completion_tokens).label("tokens"),
            func.sum(Reply.usd).label("usd"),
            func.count(Reply.usd).label("priced"),
        )
        .where(Reply.teacher == teacher, Reply.question == question, Reply.text_hash.in_(texts))
        .group_by(*kinds)
        .order_by(func.max(Reply.answered_at).desc())
    )
    silent, sources, prompts = Counter[str](), Counter[str](), Counter[str]()
    tokens, usd, priced, total = 0, 0.0, 0, 0
    with db.session() as session:
        for row in session.execute(query):  # one look: with 100,000 answers it takes half a second
            total, tokens, priced = total + row.n, tokens + int(row.tokens or 0), priced + row.priced
            usd += float(row.usd or 0.0)
            (sources if row.abstention is None else silent)[row.abstention or row.confidence] += row.n
            prompts[row.prompt] += row.n
    del prompts[""]
    return Tally(
        answers=sources.total(),
        abstentions=dict(sorted(silent.items())),
        confidence=dict(sources.most_common()),
        prompts=dict(prompts),
        tokens=tokens,
        usd=usd if priced == total else None,
    )
