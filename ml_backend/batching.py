"""Asking a teacher by files: the first pass over a big pool at half the price, within a day.

The whole file is reserved in the budget before it is sent. Each step is written down before it is taken, and
what may have been started is looked up by its file, so that a run that was killed goes on and pays nothing twice.
Nobody else asks the texts of an open batch. What a file does not settle is asked as usual afterwards.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import redis

from ale.errors import BudgetReached, ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat import ChatSpec
from ale.io.chat.account import Account, Patience
from ale.io.chat.batches import MAX_LINES, Batches, BatchState
from ale.io.chat.faults import UNCLEAR
from ale.types import LabelSpace
from ml_backend.batch_answers import Batched, keep_answers
from ml_backend.batch_collect import sending
from ml_backend.batch_file import BatchFile, Room, build_file
from ml_backend.batch_questions import BatchQuestions
from ml_backend.learning import Learning
from ml_backend.only_one import only_one
from ml_backend.settings import Settings
from ml_backend.store import batches, consents, replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Batch, Project
from ml_backend.teach import turn
from ml_backend.teachers import NamedTeacher, budget_of, price_of

logger = logging.getLogger(__name__)

OVER_BUDGET = "budget_reached"
"""Why texts are left that no file had room for."""

Tell = Callable[[Batch, BatchState | None], None]
"""Called at each step, and at each look at the batch."""


@dataclass(frozen=True, slots=True)
class Batching:
    """What a run works with. `deployment` is for Azure, where batches have deployments of their own; answers
    are kept under the teacher's own name all the same. `most` is texts per file.
    """

    settings: Settings
    db: Database
    redis_url: str
    learning: Learning
    project: Project
    space: LabelSpace
    patience: Patience = field(default_factory=Patience)
    tell: Tell = lambda _batch, _state: None
    deployment: str = ""
    most: int = MAX_LINES

    def run(self) -> Batched:
        """Ask the first paid teacher about all that is worth asking, file by file, and keep what it says.

        Goes on with the batch that an earlier run has begun. Raises BudgetReached before anything is sent,
        TeacherUnavailable when the provider can not be reached (then run it again), ConfigurationError when
        nothing can be asked.
        """
        teacher, spec = self._teacher()
        provider = Batches(Account(spec, self.patience), spec.deployment or spec.model)
        done, seen = Batched(), set[str]()
        with only_one(self.settings.home, sending(self.project.key, teacher.name)):
            while not done.problem:
                batch = batches.find_open(self.db, self.project.key, teacher.name)
                if batch is None:
                    batch, over_budget = self._sent(provider, teacher, seen)
                    if batch is None:
                        break
                    done += Batched(left={OVER_BUDGET: over_budget} if over_budget else {})
                elif batch.state == "preparing" and not self._uploaded_before(provider, batch):
                    self._forget(batch)
                    continue
                state = self._followed(provider, batch)
                done += keep_answers(self.settings, self.db, teacher, batch, state, provider.lines(state))
                if done.left.get(OVER_BUDGET):
                    break
                if batch.question == replies.question_of(self.space):
                    seen |= set(batch.texts)
        return done

    def _teacher(self) -> tuple[NamedTeacher, ChatSpec]:
        for teacher in self.learning.teachers:
            if teacher.spec is None:
                continue
            if teacher.problem:
                raise ConfigurationError(teacher.problem)
            if self.deployment and teacher.spec.provider != "azure":
                raise ConfigurationError("only Azure has deployments for batches")
            return teacher, replace(teacher.spec, deployment=self.deployment or teacher.spec.deployment)
        raise ConfigurationError("no teacher of ALE_TEACHER takes batches: name one that does, e.g. openai")

    # -- before anything is started ------------------------------------------------------------------

    def _sent(self, provider: Batches, teacher: NamedTeacher, seen: set[str]) -> tuple[Batch | None, int]:
        """A new batch, written down, paid for and uploaded, and how many texts the budget left out of it.

        None when there is nothing (more) to ask.
        """
        made = self._prepared(provider, teacher, seen)
        if made is None:
            return None, 0
        batch, file, texts = made
        self.tell(batch, None)
        file_id = provider.account.upload(_name(batch), file.content, "batch")
        batches.change(self.db, batch, file_id=file_id)
        return batch, texts - len(file.hashes) if file.took_all_room else 0

    def _prepared(
        self, provider: Batches, teacher: NamedTeacher, seen: set[str]
    ) -> tuple[Batch, BatchFile, int] | None:
        """While nobody else asks this teacher: who comes next sees that these texts are being asked."""
        question = replies.question_of(self.space)
        asker = BatchQuestions(
            self.settings, self.db, self.redis_url, self.learning, self.project, self.space, teacher
        )
        with (
            redis.Redis.from_url(self.redis_url, socket_timeout=5) as connection,
            turn(connection, f"{teacher.name}:{question}"),
        ):
            found = asker.find(connection, seen)
            if found is None:
                return None
            spent = spend.spent(self.db, self.project.key)
            room = Room.of(budget_of(self.settings), spent, price_of(self.settings, teacher))
            file = build_file(provider, found.questions, found.can, room, found.counter, self.most)
            batch = Batch(
                id=uuid.uuid4().hex,
                project=self.project.key,
                teacher=teacher.name,
                question=question,
                prompt=found.prompt,
                space=asdict(self.space),
                can=asdict(found.can),
                texts=file.hashes,
                state="preparing",
                reservation=uuid.uuid4().hex,
            )
            paid = [one.name for one in self.learning.teachers if one.paid]
            consents.agree_to_first(self.db, self.project.key, paid, self.space)
            consents.remember(self.db, self.project.key, teacher.name, self.space)
            batches.add(self.db, batch)
            self._reserve(batch, file)
            return batch, file, found.texts

    def _reserve(self, batch: Batch, file: BatchFile) -> None:
        budget, until = budget_of(self.settings), datetime.now(UTC) + batches.HELD
        what = (self.project.key, file.nano_usd, file.tokens, budget)
        if spend.reserve(self.db, *what, name=batch.reservation, held_until=until) is None:
            batches.forget(self.db, batch)
            raise BudgetReached(
                "the budget's last room was taken while the batch was prepared", reason="budget_reached"
            )

    def _uploaded_before(self, provider: Batches, batch: Batch) -> bool:
        """Whether the file of a run that was killed has arrived; without it nothing has been started."""
        if not batch.file_id:
            file_id = provider.account.find_file(_name(batch), "batch")
            if file_id is not None:
                batches.change(self.db, batch, file_id=file_id)
        return bool(batch.file_id)

    def _forget(self, batch: Batch) -> None:
        spend.release(self.db, self.project.key, batch.reservation)
        batches.forget(self.db, batch)

    # -- started once --------------------------------------------------------------------------------

    def _followed(self, provider: Batches, batch: Batch) -> BatchState:
        """The batch at its end: started, or found where it may have been started before."""
        if batch.state == "preparing":
            self._started(provider, batch, self._start(provider, batch))
        elif batch.state == "starting":
            self._started(provider, batch, self._found(provider, batch) or self._start(provider, batch))
        while True:
            state = provider.look(batch.batch_id)
            self.tell(batch, state)
            if state.ended:
                return state
            self.patience.sleep(self.patience.poll_s)

    def _start(self, provider: Batches, batch: Batch) -> BatchState:
        if not batches.change(self.db, batch, state="starting", started_at=datetime.now(UTC)):
            raise TeacherUnavailable(
                "a worker took this batch for abandoned before it was sent: run it again"
            )
        metadata = {"ale": batch.id, "project": batch.project, "question": batch.question}
        try:
            return provider.start(batch.file_id, metadata)
        except TeacherUnavailable as error:
            found = self._found(provider, batch) if error.reason in UNCLEAR else None
            if found is not None:
                return found
            if isinstance(error, TeacherRefused):
                self._forget(batch)
            raise

    def _found(self, provider: Batches, batch: Batch) -> BatchState | None:
        """The batch over our file. One that was asked for just now may not be listed yet."""
        return self.patience.until_listed(batch.started_at, lambda: provider.find(batch.file_id))

    def _started(self, provider: Batches, batch: Batch, state: BatchState) -> None:
        batches.change(self.db, batch, state="running", batch_id=state.id)
        self.tell(batch, state)


def _name(batch: Batch) -> str:
    """What the file is called at the provider; nothing else there has that name."""
    return f"ale-{batch.id}.jsonl"
