"""Which texts go into a batch, and how they are asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import redis

from ale.chat import Capabilities, ChatRequest
from ale.errors import ConfigurationError, TeacherUnavailable
from ale.io.chat.tokens import TokenCounter, token_counter
from ale.teachers.llm import LLMTeacher
from ale.types import Example, LabelSpace
from ml_backend.asking import Questions, ask
from ml_backend.capabilities import recall
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.learning import Learning
from ml_backend.opinions import opinion
from ml_backend.patches import told
from ml_backend.questions import wanted
from ml_backend.reserve import reserve_of
from ml_backend.settings import Settings
from ml_backend.shots import current_shots
from ml_backend.store import mirror, replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.teachers import NamedTeacher, llm_options


@dataclass(frozen=True, slots=True)
class Found:
    """So many texts with the questions about them, most useful first, made one by one as they are taken."""

    texts: int
    questions: Iterator[tuple[Example, ChatRequest]]
    can: Capabilities
    prompt: str
    counter: TokenCounter


@dataclass(frozen=True, slots=True)
class BatchQuestions:
    """What is worth asking of one teacher in one project. For whoever has the teacher's turn."""

    settings: Settings
    db: Database
    redis_url: str
    learning: Learning
    project: Project
    space: LabelSpace
    teacher: NamedTeacher

    def find(self, connection: redis.Redis, seen: set[str]) -> Found | None:
        """The questions about texts that are not in `seen`; None when there are none.

        The first text is asked at once when nothing is known about the endpoint: its answer is of use too.
        Raises TeacherUnavailable when that fails, and ConfigurationError when nothing may be asked.
        """
        dataset = self._dataset()
        hashes = [h for h in self._wanted(dataset) if h not in seen]
        if not hashes:
            return None
        can = recall(connection, self.teacher.endpoint)
        if can is None:
            self._ask_now(self._questions(hashes[:1], dataset))
            can = recall(connection, self.teacher.endpoint)
            hashes = [h for h in hashes if h not in replies.asked(self.db, self.teacher.name, self._question)]
        if can is None:
            raise TeacherUnavailable(f"{self.teacher.name} gave no answer by which it can be known")
        if self.settings.llm_votes > 1 and not can.logprobs:
            raise ConfigurationError(
                "votes are taken by single calls: set ALE_LLM_VOTES=1, or leave --batch out"
            )
        asking = self._questions(hashes, dataset)
        chat, options = self.teacher.chat(can), replace(llm_options(self.settings), items_per_call=1)
        counter = token_counter(chat.model)
        asker = LLMTeacher(chat, options, self.teacher.prompt, asking.shots, counter)
        space = asking.told or self.space
        questions = asker.questions(asking.examples, space, can, asking.vectors)
        return Found(len(asking.examples), questions, can, asker.prompt_fingerprint(space), counter)

    @property
    def _question(self) -> str:
        return replies.question_of(self.space)

    def _ask_now(self, asking: Questions) -> None:
        done = ask(self.settings, self.db, self.redis_url, self.teacher, asking)
        if done.stopped is not None:
            raise done.stopped

    def _dataset(self) -> Dataset:
        """All texts: one without an embedding is asked about as well, with the first examples of the pool."""
        tasks = [task for task in mirror.all_tasks(self.db, self.project.key) if task.text_hash is not None]
        annotations = mirror.all_annotations(self.db, self.project.key)
        return build_dataset(tasks, annotations, self.space, reserve_of(self.project))

    def _wanted(self, dataset: Dataset) -> list[str]:
        found = opinion(self.db, self.learning.teachers, self.space, dataset)
        for entry in wanted(self.settings, self.db, self.project, self.space, dataset, found):
            if entry.teacher is self.teacher:
                if entry.problem:
                    raise ConfigurationError(entry.problem)
                return entry.hashes
        return []

    def _questions(self, hashes: list[str], dataset: Dataset) -> Questions:
        texts = mirror.texts(self.db, self.project.key, hashes)
        examples = [Example(i, texts[h], h) for i, h in enumerate(hashes) if h in texts]
        vectors, _ = self.learning.cache.lookup([example.text_hash for example in examples])
        cache = self.learning.cache
        shots = current_shots(self.db, self.project.key, self.teacher.name, self.space, dataset, cache)
        now = told(self.db, self.project.key, self.teacher.name, self.space, shots)
        return Questions(self.project.key, self.space, examples, vectors, now.shots, now.space)
