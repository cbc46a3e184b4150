"""What a trial would cost before anything is asked: its questions are made, and their tokens counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from ale.chat import Capabilities, ChatRequest
from ale.io.chat.tokens import token_counter
from ale.teachers.llm import LLMTeacher
from ale.teachers.llm.layout import choose_layout
from ale.types import Example, Usage
from ml_backend.capabilities import recall
from ml_backend.patches import Told
from ml_backend.store import mirror, replies
from ml_backend.teach import Teaching
from ml_backend.teachers import NamedTeacher, llm_options, price_of

COMPLETION = 12
"""Tokens of an answer where none is known yet: a code or a name in its JSON."""

AROUND = 4
"""Tokens that OpenAI puts around a message, about."""


@dataclass(frozen=True, slots=True)
class Cost:
    """About what is to be paid; nothing is taken from a cache. `usd` is None where no price is known."""

    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """For one teacher of one project."""

    teaching: Teaching
    teacher: NamedTeacher

    def of(self, asked: Sequence[tuple[Told, Sequence[str]]]) -> Cost:
        """The cost of asking about these texts, each list of them with what is told."""
        can = self._can()
        votes = choose_layout(self.teaching.space, can, llm_options(self.teaching.settings)).votes
        prompt = votes * sum(self._prompts(told, hashes, can) for told, hashes in asked)
        completion = round(votes * sum(len(hashes) for _, hashes in asked) * self._completion())
        price = price_of(self.teaching.settings, self.teacher)
        usd = None if price is None else price.usd(Usage(prompt, 0, completion))
        return Cost(prompt + completion, usd)

    def _can(self) -> Capabilities:
        with redis.Redis.from_url(self.teaching.redis_url, socket_timeout=5) as connection:
            return recall(connection, self.teacher.endpoint) or Capabilities()

    def _prompts(self, told: Told, hashes: Sequence[str], can: Capabilities) -> int:
        teaching, chat = self.teaching, self.teacher.chat(can)
        texts = mirror.texts(teaching.db, teaching.project.key, hashes)
        examples = [Example(i, texts[name], name) for i, name in enumerate(hashes) if name in texts]
        vectors, _ = teaching.learning.cache.lookup([example.text_hash for example in examples])
        count = token_counter(chat.model)
        asker = LLMTeacher(chat, llm_options(teaching.settings), self.teacher.prompt, told.shots, count)
        questions = asker.questions(examples, told.space, can, vectors)
        return sum(_about(question, count) for _, question in questions)

    def _completion(self) -> float:
        """Tokens of an answer, as those so far have had on average: a model that reasons says more."""
        db, question = self.teaching.db, replies.question_of(self.teaching.space)
        rows = replies.rows(db, self.teacher.name, question, self.teaching.dataset().hashes)
        said = [row.completion_tokens for row in rows if row.completion_tokens]
        return sum(said) / len(said) if said else COMPLETION


def _about(question: ChatRequest, count: Callable[[str], int]) -> int:
    """Tokens of a prompt. What a reservation counts is far more: that is a bound, and this is not."""
    schema = 0 if question.schema is None else count(json.dumps(question.schema))
    return schema + sum(count(message.content) + AROUND for message in question.messages)
