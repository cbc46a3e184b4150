"""Asking anew what another prompt has answered: a few texts at a time, the old answer kept until there is a new one.

Answers name the prompt that they were given to, few-shot examples included. So a run that was stopped goes on
where it stopped: what was asked anew is not outdated any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ale.teachers.llm.prompt import load_prompt
from ale.teachers.llm.teacher import prompt_fingerprint
from ml_backend.picking import worth_asking
from ml_backend.shots import audit_texts, gold_texts
from ml_backend.store import replies
from ml_backend.teach import Teaching
from ml_backend.teachers import NamedTeacher, llm_options

AT_ONCE = 64
"""Old answers that are set aside at a time: what a killed process asks once more, at most."""


def fingerprint_now(teaching: Teaching, teacher: NamedTeacher) -> str:
    """Of all that the teacher would be told today besides the text."""
    now = teaching.told(teacher)
    return prompt_fingerprint(
        load_prompt(teacher.prompt), now.space, llm_options(teaching.settings), now.shots
    )


def outdated(teaching: Teaching, teacher: NamedTeacher, among: Collection[str] | None = None) -> list[str]:
    """Texts that the teacher has answered to another prompt than today's, where a new answer would serve:
    those that people may still be shown, and those that trust is measured on. `among` are those to choose from.
    """
    today = fingerprint_now(teaching, teacher)
    dataset = teaching.dataset()
    gold, blind = gold_texts(teaching.project.key, dataset), audit_texts(dataset)
    useful = worth_asking(dataset.tasks, (), gold, None, student=False, blind=blind)
    question = replies.question_of(teaching.space)
    prompts = {row.text_hash: row.prompt for row in replies.rows(teaching.db, teacher.name, question, useful)}
    wanted = set(useful) if among is None else set(useful) & set(among)
    return [name for name in useful if name in wanted and prompts.get(name, today) != today]


def ask_again(teaching: Teaching, teacher: NamedTeacher, hashes: Sequence[str]) -> tuple[int, str]:
    """Replace the answers to these texts; how many were, and why the others keep their old one."""
    db, question = teaching.db, replies.question_of(teaching.space)
    total = 0
    for start in range(0, len(hashes), AT_ONCE):
        chunk = hashes[start : start + AT_ONCE]
        old = replies.rows(db, teacher.name, question, chunk)
        replies.forget(db, teacher.name, question, chunk)
        try:
            settled, problem = teaching.ask_now(teacher, chunk)
        finally:
            replies.put_back(db, old)
        total += settled
        if problem or settled < len(chunk):
            return total, problem
    return total, ""
