"""Asking a paid teacher for a while: every answer is saved as it comes, together with what it cost.

A process that is killed loses the requests in flight and nothing else: their money stays reserved, is counted
as lost later, and their texts are asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import redis

from ale.chat import Capabilities
from ale.errors import TeacherUnavailable
from ale.io.chat.polite import PoliteChat
from ale.io.chat.tokens import TokenCounter, token_counter
from ale.teachers.llm import EMPTY, LLMTeacher, ShotSet
from ale.types import Abstention, Answer, Embeddings, Example, LabelSpace
from ml_backend.capabilities import recall, remember
from ml_backend.limiter import OVER, RedisLimiter
from ml_backend.metering import SqlMeter, SqlThread
from ml_backend.settings import Settings
from ml_backend.store import consents, replies
from ml_backend.store.database import Database
from ml_backend.teachers import NamedTeacher, budget_of, llm_options, tariff_of

logger = logging.getLogger(__name__)

PASSING = {Abstention.TEACHER_PENDING, Abstention.TEACHER_UNAVAILABLE}
"""No answers: their texts are asked again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How many texts were settled, and why it ended before the last one (None: it did not, or time was up)."""

    answered: int
    stopped: TeacherUnavailable | None


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Texts of one project to ask about, with their embeddings and what the teacher is shown.

    `told` is the label space as the teacher is told it, with other hints perhaps; None = as it is. Answers are
    kept under the question's fingerprint, or under `kept_under` where they are to no prompt in force.
    """

    project: str
    space: LabelSpace
    examples: Sequence[Example]
    vectors: Embeddings | None = None
    shots: ShotSet = EMPTY
    told: LabelSpace | None = None
    kept_under: str = ""


@dataclass(frozen=True, slots=True)
class PaidChat:
    """A teacher's chat that keeps rate and budget, and what is needed to write down what it costs."""

    chat: PoliteChat
    meter: SqlMeter
    thread: SqlThread
    count: TokenCounter


def ask(
    settings: Settings,
    db: Database,
    redis_url: str,
    teacher: NamedTeacher,
    questions: Questions,
    over: Callable[[], bool] = lambda: False,
) -> Asked:
    """Ask until all is answered, the teacher or the budget has no more to give, or it is `over`.

    Raises ConfigurationError for settings with which nothing can be asked.
    """
    consents.remember(db, questions.project, teacher.name, questions.space)
    with redis.Redis.from_url(redis_url, socket_timeout=5) as connection:
        known = recall(connection, teacher.endpoint)

        def note(found: Capabilities) -> None:
            if found != known:
                remember(connection, teacher.endpoint, found)

        return asyncio.run(_ask(settings, db, redis_url, teacher, questions, over, known, note))


@asynccontextmanager
async def paid_chat(
    settings: Settings,
    db: Database,
    redis_url: str,
    named: NamedTeacher,
    project: str,
    over: Callable[[], bool] = lambda: False,
    known: Capabilities | None = None,
) -> AsyncIterator[PaidChat]:
    """The way to a teacher that all who pay for it take: one rate, one breaker, the project's budget.

    Whoever gets an answer writes it down together with what the meter has settled. Raises ConfigurationError.
    """
    tariff = tariff_of(settings, named)
    price = None if tariff is None else tariff.price
    inner = named.chat(known)
    count = token_counter(inner.model)
    async with AsyncExitStack() as stack:
        thread = stack.enter_context(SqlThread())
        cost = None if price is None else price.usd
        meter = SqlMeter(db, project, budget_of(settings), cost, thread, tariff)
        limiter = await stack.enter_async_context(
            RedisLimiter(
                redis_url,
                named.endpoint,
                requests_per_minute=settings.llm_rpm,
                tokens_per_minute=settings.llm_tpm,
                # Without the budget's word, the others would each wait for their turn to be refused too.
                over=lambda: meter.refusal is not None or over(),
            )
        )
        yield PaidChat(PoliteChat(inner, limiter, meter, count=count), meter, thread, count)


async def _ask(
    settings: Settings,
    db: Database,
    redis_url: str,
    named: NamedTeacher,
    questions: Questions,
    over: Callable[[], bool],
    known: Capabilities | None,
    note: Callable[[Capabilities], None],
) -> Asked:
    async with paid_chat(settings, db, redis_url, named, questions.project, over, known) as paid:
        chat, meter = paid.chat, paid.meter
        teacher = LLMTeacher(chat, llm_options(settings), named.prompt, questions.shots, paid.count)
        question = questions.kept_under or replies.question_of(questions.space)

        def write(answers: Mapping[str, Answer]) -> None:
            replies.keep(
                db,
                named.name,
                question,
                answers,
                usd=meter.usd,
                project=questions.project,
                settled=meter.take_settled(),
            )

        saver = _Saver(paid.thread, write)
        stopped: TeacherUnavailable | None = None
        try:
            note(await chat.capabilities())  # at once: who is killed later need not have it asked again
            await saver.finish()  # the probe's reservation would take the room of an answer
            told = questions.told or questions.space
            async for example, answer in teacher.answers(questions.examples, told, questions.vectors):
                saver.add(example.text_hash, answer)
        except TeacherUnavailable as error:
            stopped = error
        finally:
            await saver.finish()
        if saver.saved:
            note(await chat.capabilities())  # what was refused on the way has changed it
    if stopped is not None and stopped.reason == OVER:
        stopped = None
    return Asked(saver.saved, meter.refusal or stopped)


class _Saver:
    """Saves what has come while the last writing went on: under load many answers share one transaction."""

    def __init__(self, thread: SqlThread, write: Callable[[Mapping[str, Answer]], None]) -> None:
        self._thread = thread
        self._write = write
        self._waiting: dict[str, Answer] = {}
        self._writing: asyncio.Task[None] | None = None
        self.saved = 0

    def add(self, text_hash: str, answer: Answer) -> None:
        """Save the answer soon. Raises what the last writing raised."""
        if answer.abstention in PASSING:
            return
        self._waiting[text_hash] = answer
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())

    async def finish(self) -> None:
        """Return when all is saved, and all that was paid is counted."""
        if self._writing is not None:
            await self._writing
        await self._thread.run(lambda: self._write({}))

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            await self._thread.run(lambda batch=batch: self._write(batch))  # type: ignore[misc]
            self.saved += len(batch)
