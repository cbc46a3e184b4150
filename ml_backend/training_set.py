"""What a language model is fine-tuned on: people's labels in the very prompt in which it will be asked.

Which side of the split a text stands on hangs on the text alone: it never changes sides when labels are added,
and equal texts stand together. The validation side are the gold texts, which no teacher is ever shown, so that
the tuned model can be measured on them like any other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ale.chat import Message
from ale.errors import ConfigurationError
from ale.io.chat import ChatSpec
from ale.io.chat.finetune import DATED, epochs_for
from ale.io.chat.prices import load_prices
from ale.io.chat.tokens import MESSAGE_TOKENS, token_counter, upper_bound
from ale.teachers.llm.tuning import make_lesson
from ml_backend.export import Labelled, jsonl, read_labelled
from ml_backend.learning import Learning
from ml_backend.settings import Settings
from ml_backend.shots import Human, is_gold, labelled_texts, left_out_tasks
from ml_backend.store import replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.teachers import NamedTeacher, llm_options, resolve_teachers

Conversation = tuple[Message, ...]

CHATML_TOKENS = 4
"""What OpenAI puts around a message, about."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of one epoch: about, and at most; `price` is USD per million of them, None where not known."""

    epochs: int
    about: int
    most: int
    price: float | None
    counted_by: str
    prices_checked: str

    @property
    def usd(self) -> float | None:
        """About what the training costs, all epochs."""
        return None if self.price is None else self.epochs * self.about * self.price / 1e6

    @property
    def usd_at_most(self) -> float | None:
        """What it can not cost more than."""
        return None if self.price is None else self.epochs * self.most * self.price / 1e6


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Two files in the chat format of fine-tuning, and what they are made of.

    `codes` are the labels by what the model is to answer; `left_out` counts labelled texts that are in neither
    file: with several labels, set aside as ground truth, or doubted.
    """

    train: str = field(repr=False)
    validation: str = field(repr=False)
    examples: int
    validating: int
    provider: str
    base: str
    cost: Cost
    snapshot: str
    question: str
    prompt: str
    prompt_version: str
    codes: dict[str, str]
    per_label: dict[str, int]
    left_out: int

    @property
    def files(self) -> dict[str, str]:
        """The files by name."""
        return {"train.jsonl": self.train, "validation.jsonl": self.validation}

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each file."""
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in self.files.items()}

    def manifest(self, project: Project) -> dict[str, Any]:
        """What one has to know about the files, for `manifest.json`."""
        cost = self.cost
        return {
            "format": "openai-finetune",
            "project": project.project_id,
            "snapshot": self.snapshot,
            "prompt": self.prompt,
            "prompt_version": self.prompt_version,
            "labels": self.codes,
            "base": self.base,
            "examples": {"train": self.examples, "validation": self.validating, "left_out": self.left_out},
            "per_label": self.per_label,
            "epochs": cost.epochs,
            "tokens": {"per_epoch": cost.about, "trained": cost.epochs * cost.about, "by": cost.counted_by},
            "usd": cost.usd,
            "prices_checked": cost.prices_checked,
            "sha256": self.checksums,
        }


def tunable(settings: Settings, learning: Learning) -> tuple[NamedTeacher, ChatSpec]:
    """The teacher whose prompt is taught: the last of ALE_TEACHER that is asked through a chat, else `openai`."""
    openai = settings.model_copy(update={"teacher": "openai"})
    for teacher in (*learning.teachers[::-1], *resolve_teachers(openai, learning.encoder)):
        if teacher.spec is not None:
            return teacher, teacher.spec
    raise ConfigurationError("`openai` is no chat teacher any more")


def training_set(
    settings: Settings, db: Database, learning: Learning, project: Project, base: str = ""
) -> TrainingSet:
    """The files for fine-tuning the model `base`; without it, the one that the teacher asks. Each text once."""
    labelled = read_labelled(db, learning, project)
    teacher, spec = tunable(settings, learning)
    lesson = make_lesson(labelled.space, llm_options(settings), teacher.prompt)
    left_out = left_out_tasks(db, project.key)
    humans = [h for h in labelled_texts(labelled.dataset, left_out) if h.text_hash in labelled.texts]
    sides: dict[bool, list[tuple[Human, Conversation]]] = {False: [], True: []}
    for human in sorted(humans, key=lambda human: human.text_hash):
        said = lesson.conversation(labelled.texts[human.text_hash], human.label)
        sides[is_gold(project.key, human.text_hash)].append((human, said))
    train, gold = sides[False], sides[True]
    base = base or _base(spec.model)
    return TrainingSet(
        train=_file(train),
        validation=_file(gold),
        examples=len(train),
        validating=len(gold),
        provider=spec.provider,
        base=base,
        cost=_cost(settings, base, [said for _, said in train]),
        snapshot=labelled.snapshot,
        question=replies.question_of(labelled.space),
        prompt=lesson.fingerprint,
        prompt_version=teacher.prompt,
        codes=dict(zip(lesson.layout.codes, labelled.space.labels, strict=True)),
        per_label=_per_label(labelled, train),
        left_out=len(labelled.texts) - len(humans),
    )


def _base(model: str) -> str:
    """The model to train on. A tuned one starts again from its base: the labels of then are among those of now."""
    plain = model.split(":")[1] if model.startswith("ft:") else model
    return DATED.get(plain, plain)


def _cost(settings: Settings, base: str, conversations: Sequence[Conversation]) -> Cost:
    counter, prices = token_counter(base), load_prices(settings.prices)
    price = prices.of(f"ft:{base}")
    return Cost(
        epochs=epochs_for(len(conversations)),
        about=_tokens(conversations, counter, CHATML_TOKENS),
        most=_tokens(conversations, counter if counter.exact else upper_bound, MESSAGE_TOKENS),
        price=None if price is None else price.training,
        counted_by=counter.name,
        prices_checked=prices.checked,
    )


def _tokens(conversations: Sequence[Conversation], count: Callable[[str], int], around: int) -> int:
    return sum(count(message.content) + around for said in conversations for message in said)


def _per_label(labelled: Labelled, train: Sequence[tuple[Human, Conversation]]) -> dict[str, int]:
    counts = Counter(human.label for human, _ in train)
    return {label: counts[i] for i, label in enumerate(labelled.space.labels)}


def _file(side: Sequence[tuple[Human, Conversation]]) -> str:
    return jsonl([{"messages": [asdict(message) for message in said]} for _, said in side])
