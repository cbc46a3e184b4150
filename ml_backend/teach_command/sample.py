"""A sample of what a teacher says: a few texts, drawn by a seed, asked and paid for, and kept like all answers.

The same seed draws the same texts, so that a second look costs nothing, and another prompt is compared with the
last one on the same texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml_backend.store import mirror, replies, spend
from ml_backend.store.schema import Reply
from ml_backend.store.spend import Spent
from ml_backend.teach import Teaching
from ml_backend.teach_command.again import ask_again, fingerprint_now, outdated
from ml_backend.teach_command.before import Before, label_of, previous, said
from ml_backend.teachers import NamedTeacher, budget_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One text of the sample. `answer` is None for an abstention, and for a text that was not asked (no reason).

    `before` is what was answered the last time, by another prompt or another teacher.
    """

    text: str
    answer: str | None
    confidence: float | None
    source: str
    abstention: str
    before: Before | None
    tokens: int
    usd: float | None

    @property
    def changed(self) -> bool:
        """Whether the answer differs from the one before."""
        return self.before is not None and self.before.answer != self.answer


@dataclass(frozen=True, slots=True)
class Estimate:
    """What asking the rest would take: texts, and tokens and dollars as in the sample; None where nothing is known.

    `at_most`: cheaper teachers come first, and decide how many texts are left for this one.
    """

    texts: int
    tokens: int | None
    usd: float | None
    at_most: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One teacher's sample. `asked` of its texts were asked now; `problem` says why some were not.

    `outdated` answers in the project were given to other few-shot examples or hints than today's.
    """

    teacher: str
    fingerprint: str
    rows: tuple[Row, ...]
    asked: int
    tokens: int
    usd: float | None
    whole: Estimate
    spent: Spent
    outdated: int
    problem: str

    def as_json(self) -> Json:
        """For a script. Holds texts: it goes to the terminal of who asked, and nowhere else."""
        values = asdict(self)
        for row, shown in zip(self.rows, values["rows"], strict=True):
            shown["changed"] = row.changed
        return values


def take_sample(
    teaching: Teaching, teacher: NamedTeacher, n: int, seed: int, *, again: bool = False
) -> Sample:
    """Ask `n` texts (fewer where there are fewer); `again`: also those that another prompt has answered."""
    db, key = teaching.db, teaching.project.key
    question = replies.question_of(teaching.space)
    hashes = draw(teaching, n, seed)
    before = previous(db, key, teacher.name, teaching.space, hashes)
    known = replies.asked(db, teacher.name, question)
    old = outdated(teaching, teacher, hashes) if again else []
    if old:
        before |= said(db, teacher.name, teaching.space, old)
    new = [h for h in hashes if h not in known]
    asked, problem = _ask_all(teaching, teacher, new)
    if old and not problem:
        more, problem = ask_again(teaching, teacher, old)
        asked += more
    rows = _rows(teaching, teacher, hashes, before)
    stale = len(outdated(teaching, teacher))
    now = [row for name, row in zip(hashes, rows, strict=True) if name in {*new, *old} and row.tokens]
    return Sample(
        teacher=teacher.name,
        fingerprint=fingerprint_now(teaching, teacher),
        rows=tuple(rows),
        asked=asked,
        tokens=sum(row.tokens for row in now),
        usd=_total(now),
        whole=_whole(teaching, teacher, [row for row in rows if row.tokens], stale if again else 0),
        spent=spend.spent(db, key),
        outdated=stale,
        problem=problem,
    )


def draw(teaching: Teaching, n: int, seed: int) -> list[str]:
    """Hashes of `n` of the project's different texts; those of a smaller sample are the first of a larger one."""
    tasks = mirror.all_tasks(teaching.db, teaching.project.key)
    hashes = {task.text_hash for task in tasks if task.text_hash}
    return sorted(hashes, key=lambda name: hashlib.sha256(f"sample:{seed}:{name}".encode()).digest())[:n]


def left_of_budget(teaching: Teaching, spent: Spent) -> tuple[float | None, int | None]:
    """Dollars and tokens that may still be spent; None = no such limit."""
    budget = budget_of(teaching.settings)
    usd = None if budget.usd is None else max(0.0, budget.usd - spent.usd - spent.reserved_usd)
    tokens = None if budget.tokens is None else max(0, budget.tokens - spent.tokens - spent.reserved_tokens)
    return usd, tokens


def _ask_all(teaching: Teaching, teacher: NamedTeacher, hashes: Sequence[str]) -> tuple[int, str]:
    """Calls that turn out cheaper than reserved leave room for more: asked until no more is settled."""
    question = replies.question_of(teaching.space)
    total = 0
    left = list(hashes)
    while left:
        settled, problem = teaching.ask_now(teacher, left)
        total += settled
        asked = replies.asked(teaching.db, teacher.name, question)
        left = [name for name in left if name not in asked]
        if problem or not settled:
            return total, problem
    return total, ""


def _rows(
    teaching: Teaching, teacher: NamedTeacher, hashes: Sequence[str], before: dict[str, Before]
) -> list[Row]:
    db = teaching.db
    texts = mirror.texts(db, teaching.project.key, hashes)
    stored = {
        row.text_hash: row
        for row in replies.rows(db, teacher.name, replies.question_of(teaching.space), hashes)
    }
    return [
        _row(texts.get(name, ""), stored.get(name), before.get(name), teaching.space.labels)
        for name in hashes
    ]


def _row(text: str, reply: Reply | None, before: Before | None, labels: Sequence[str]) -> Row:
    if reply is None:
        return Row(text, None, None, "", "", before, 0, None)
    tokens = reply.prompt_tokens + reply.completion_tokens
    best = label_of(reply, labels)
    if best is None:
        return Row(text, None, None, "", reply.abstention or "", before, tokens, reply.usd)
    return Row(text, *best, reply.confidence, "", before, tokens, reply.usd)


def _total(rows: Sequence[Row]) -> float | None:
    """What they cost; None when the price of one is not known."""
    costs = [row.usd for row in rows if row.usd is not None]
    return sum(costs) if len(costs) == len(rows) else None


def _whole(teaching: Teaching, teacher: NamedTeacher, paid: Sequence[Row], stale: int) -> Estimate:
    """All that would be asked after this, `stale` answers anew, at what the `paid` texts cost on average.

    Texts without an embedding yet are counted as if they would all be asked.
    """
    entry = next((e for e in teaching.remaining(as_if_agreed=True) if e.teacher is teacher), None)
    tasks = [
        t for t in mirror.all_tasks(teaching.db, teaching.project.key) if t.text_hash and not t.is_labeled
    ]
    hashes = sorted({task.text_hash or "" for task in tasks})
    _, encoded = teaching.learning.cache.lookup(hashes)
    texts = stale
    if entry is not None:  # else the student is better, and nothing new is asked
        texts += len(entry.hashes) + int((~encoded).sum())
    usd = _total(paid)
    return Estimate(
        texts=texts,
        tokens=round(texts * sum(row.tokens for row in paid) / len(paid)) if paid else None,
        usd=texts * usd / len(paid) if paid and usd is not None else None,
        at_most=teaching.learning.teachers[0] is not teacher,
    )
