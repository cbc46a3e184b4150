"""One small step of the teachers' pass over a project: encode a chunk, ask for a while, then come back.

No project lock is held: answers are keyed by text and kept for good, so that a step may be repeated or cut
off at any point. A teacher that costs money is asked by one process at a time about the same question, so
that nothing is paid twice.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from ale.errors import BudgetReached
from ale.types import Example, LabelSpace
from ml_backend.asking import Questions, ask
from ml_backend.batch_collect import collect_batches
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.learning import Learning
from ml_backend.lock import single_flight
from ml_backend.opinions import opinion
from ml_backend.patches import Told, told
from ml_backend.questions import Wanted, wanted
from ml_backend.reserve import reserve_of
from ml_backend.settings import Settings
from ml_backend.shots import current_shots
from ml_backend.store import batches, consents, mirror, projects, replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Task
from ml_backend.teachers import NamedTeacher

logger = logging.getLogger(__name__)

CHUNK = 256  # about a second of the embedded encoder on two cores
ASK_S = 20.0
"""How long a step asks; a learn run that becomes due ends it earlier."""
ASK_NOW_S = 300.0
"""Somebody sits at a terminal and waits for a few answers, perhaps behind a worker's step."""
ASK_WHILE_ENCODING_S = 2.0
"""While texts are left that have no embedding yet: without one they are not learnt from."""
LOOK_S = 0.5
TURN_S = 6.0
"""How long a killed worker's turn lasts on: the next one waits for it."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What a step did. `left` texts wait for the next one; `problem` is why the others are not asked about.

    `news`: a learn run would see something new.
    """

    encoded: int = 0
    answered: int = 0
    left: int = 0
    problem: str = ""
    news: bool = False


@dataclass(frozen=True, slots=True)
class Teaching:
    """What a step works with. `wanted_elsewhere` says whether somebody waits for this process."""

    settings: Settings
    db: Database
    redis_url: str
    learning: Learning
    project: Project
    space: LabelSpace
    wanted_elsewhere: Callable[[], bool] = lambda: False

    def step(self) -> Taught:
        """Encode and ask free teachers for one chunk; then ask paid ones for a while."""
        db, key = self.db, self.project.key
        spend.lose_abandoned(db, key)
        tasks = [task for task in mirror.all_tasks(db, key) if task.text_hash is not None]
        encoded, answered, left = self._chunk(tasks)
        answered += collect_batches(self.settings, db, self.learning, key)
        asked, more, problem = 0, 0, ""
        if any(teacher.paid for teacher in self.learning.teachers):
            asked, more, problem = self._pay(tasks, ASK_WHILE_ENCODING_S if left else ASK_S)
        before = self.project.teacher_problem
        if problem != before:
            projects.change(db, key, teacher_problem=problem)
        done = Taught(
            encoded,
            answered + asked,
            left + more,
            problem,
            bool(encoded or answered or asked) or bool(problem) != bool(before),
        )
        logger.info(
            "project %s: encoded %d, answered %d, left %d", key, done.encoded, done.answered, done.left
        )
        return done

    def remaining(self, *, as_if_agreed: bool = False) -> list[Wanted]:
        """What is still worth asking of each paid teacher, as far as texts are encoded."""
        dataset = self.dataset()
        found = opinion(self.db, self.learning.teachers, self.space, dataset)
        how = self.settings, self.db, self.project, self.space
        return wanted(*how, dataset, found, as_if_agreed=as_if_agreed)

    def ask_now(self, teacher: NamedTeacher, hashes: Sequence[str]) -> tuple[int, str]:
        """Ask a paid teacher about just these texts, whether or not the whole is agreed to: for a sample.

        Texts that were settled, and why the others were not.
        """
        texts = mirror.texts(self.db, self.project.key, hashes)
        self.learning.encoder.encode(list(texts.values()))
        entry = Wanted(teacher, [h for h in hashes if h in texts], teacher.problem)
        if not entry.hashes or entry.problem:
            return 0, entry.problem
        settled, _, problem = self._ask(entry, self.dataset(), _Over(ASK_NOW_S, self.wanted_elsewhere))
        return settled, problem

    def told(self, teacher: NamedTeacher) -> Told:
        """What the teacher is told today: labels and hints, and the few-shot examples."""
        return self._told(teacher, self.dataset())

    def dataset(self) -> Dataset:
        """The texts that are encoded, and what people have said about them."""
        return self._dataset([t for t in mirror.all_tasks(self.db, self.project.key) if t.text_hash])

    # -- what costs nothing --------------------------------------------------------------------------

    def _chunk(self, tasks: Sequence[Task]) -> tuple[int, int, int]:
        """Encode one chunk and ask the free teachers; tasks that may still be served come first."""
        in_order = sorted(tasks, key=lambda t: (t.is_labeled, t.task_id))
        hashes = list(dict.fromkeys(task.text_hash or "" for task in in_order))
        _, there = self.learning.cache.lookup(hashes)
        missing = {h for h, found in zip(hashes, there, strict=True) if not found}
        free = [teacher for teacher in self.learning.teachers if teacher.free is not None]
        question = replies.question_of(self.space)
        pending = {t.name: set(hashes) - replies.asked(self.db, t.name, question) for t in free}
        todo = [h for h in hashes if h in missing or any(h in names for names in pending.values())]
        chunk = todo[:CHUNK]
        texts = mirror.texts(self.db, self.project.key, chunk)
        chunk = [h for h in chunk if h in texts]  # a text may have gone since the ids were read
        self.learning.encoder.encode([texts[h] for h in chunk if h in missing])
        answered = 0
        for teacher in free:
            questions = [h for h in chunk if h in pending[teacher.name]]
            examples = [Example(id=i, text=texts[h], text_hash=h) for i, h in enumerate(questions)]
            if teacher.free is not None and examples:
                probs = teacher.free.predict_proba(examples, self.space)
                replies.save(self.db, teacher.name, question, dict(zip(questions, probs, strict=True)))
                answered += len(questions)
        return len(missing & set(chunk)), answered, max(0, len(todo) - CHUNK)

    # -- what is paid --------------------------------------------------------------------------------

    def _pay(self, tasks: Sequence[Task], seconds: float) -> tuple[int, int, str]:
        """Texts that were settled, texts that are left for the next step, and why nothing more is asked."""
        over = _Over(seconds, self.wanted_elsewhere)
        answered, left, problem = 0, 0, ""
        for place in range(len(self.learning.teachers)):
            if not self.learning.teachers[place].paid:
                continue
            # Looked at anew for each: what one teacher has said decides what the next is asked.
            dataset = self._dataset(tasks)
            found = opinion(self.db, self.learning.teachers, self.space, dataset)
            entries = wanted(self.settings, self.db, self.project, self.space, dataset, found)
            entry = next((e for e in entries if e.teacher is self.learning.teachers[place]), None)
            if entry is None:
                continue
            settled, more, stopped = 0, 0, ""
            if entry.hashes:
                paid = [teacher.name for teacher in self.learning.teachers if teacher.paid]
                consents.agree_to_first(self.db, self.project.key, paid, self.space)
                settled, more, stopped = self._ask(entry, dataset, over)
            answered += settled
            left += more
            problem = problem or entry.problem or stopped
        return answered, left, problem

    def _ask(self, entry: Wanted, dataset: Dataset, over: _Over) -> tuple[int, int, str]:
        """Texts that were settled, texts that the next step should ask about, and why it should not."""
        question = replies.question_of(self.space)
        with (
            redis.Redis.from_url(self.redis_url, socket_timeout=5) as connection,
            turn(connection, f"{entry.teacher.name}:{question}", over) as mine,
        ):
            if not mine:
                return 0, 0, ""  # another worker asks this very question; its answers are ours too
            # Who had the lock before us may have asked since we looked.
            asked = replies.asked(self.db, entry.teacher.name, question)
            asked |= batches.in_flight(self.db, entry.teacher.name)
            hashes = [h for h in entry.hashes if h not in asked][: self._most(over.seconds)]
            done = ask(
                self.settings,
                self.db,
                self.redis_url,
                entry.teacher,
                self._questions(entry.teacher, hashes, dataset),
                over,
            )
        left = len(entry.hashes) - done.answered
        if done.stopped is None or (isinstance(done.stopped, BudgetReached) and done.answered):
            return done.answered, left, ""  # calls cheaper than reserved may have left room for another
        return done.answered, 0, str(done.stopped)

    def _questions(self, teacher: NamedTeacher, hashes: list[str], dataset: Dataset) -> Questions:
        texts = mirror.texts(self.db, self.project.key, hashes)
        hashes = [h for h in hashes if h in texts]
        vectors, _ = self.learning.cache.lookup(hashes)
        now = self._told(teacher, dataset)
        return Questions(
            project=self.project.key,
            space=self.space,
            examples=[Example(id=i, text=texts[h], text_hash=h) for i, h in enumerate(hashes)],
            vectors=vectors,
            shots=now.shots,
            told=now.space,
        )

    def _told(self, teacher: NamedTeacher, dataset: Dataset) -> Told:
        db, key = self.db, self.project.key
        shots = current_shots(db, key, teacher.name, self.space, dataset, self.learning.cache)
        return told(db, key, teacher.name, self.space, shots)

    def _most(self, seconds: float) -> int:
        """More texts than the rate allows in that time need not be read."""
        calls = self.settings.llm_rpm / 60 * (seconds + 2) + self.settings.llm_concurrency
        return math.ceil(calls * self.settings.llm_items_per_call)

    def _dataset(self, tasks: Sequence[Task]) -> Dataset:
        """The encoded texts and what people have said about them."""
        _, there = self.learning.cache.lookup([task.text_hash or "" for task in tasks])
        pool = [task for task, found in zip(tasks, there, strict=True) if found]
        annotations = mirror.all_annotations(self.db, self.project.key)
        return build_dataset(pool, annotations, self.space, reserve_of(self.project))


@contextmanager
def turn(connection: redis.Redis, what: str, over: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Yields whether it is this process's turn; waits for it, since a killed worker's turn ends by itself."""
    while True:
        with single_flight(connection, what, "teach", TURN_S) as mine:
            if mine or over():
                yield mine
                return
        time.sleep(LOOK_S)


class _Over:
    """Whether it is time to come back: so many seconds have passed, or somebody waits."""

    def __init__(self, seconds: float, wanted_elsewhere: Callable[[], bool]) -> None:
        self.seconds = seconds
        self._wanted_elsewhere = wanted_elsewhere
        self._deadline = time.monotonic() + seconds
        self._looked = float("-inf")
        self._is_over = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._is_over and now - self._looked >= LOOK_S:
            self._looked = now
            self._is_over = now >= self._deadline or self._wanted_elsewhere()
        return self._is_over
