"""The language-model teacher: many questions at once, each text asked once, answers as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from ale.chat import Capabilities, Chat, ChatReply, ChatRequest
from ale.errors import LabelSpaceMismatch
from ale.teachers.llm.ask import Asker
from ale.teachers.llm.flight import merged
from ale.teachers.llm.layout import Layout, choose_layout
from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.prompt import Item, Prompt, load_prompt
from ale.teachers.llm.shots import EMPTY, Shot, ShotPicker, ShotSet, unit_rows
from ale.teachers.llm.size import upper_bound
from ale.types import Abstention, Answer, Confidence, Embeddings, Example, LabelSpace, Probs, Usage

_ID_DIGITS = 4  # of the text's hash; more where two texts of a question begin alike


class LLMTeacher:
    """A chat endpoint, a version of the prompt and human-labelled examples.

    `count_tokens` sizes the dynamic examples; the default is an upper bound, so that fewer fit.
    Raises UnknownName for a prompt version that does not exist.
    """

    paid = True

    def __init__(
        self,
        chat: Chat,
        options: LLMOptions | None = None,
        prompt_version: str = "v1",
        shots: ShotSet = EMPTY,
        count_tokens: Callable[[str], int] = upper_bound,
    ) -> None:
        self._chat = chat
        self._options = options or LLMOptions()
        self._prompt = load_prompt(prompt_version)
        self._shots = shots
        self._count_tokens = count_tokens
        self.name = f"{chat.name}@{prompt_version}"

    def with_shots(self, shots: ShotSet) -> LLMTeacher:
        """The same teacher with other examples: the same name, another fingerprint."""
        return LLMTeacher(self._chat, self._options, self._prompt.version, shots, self._count_tokens)

    def prompt_fingerprint(self, labels: LabelSpace) -> str:
        """32 hex digits of all that may be said besides the text; every answer carries them."""
        return prompt_fingerprint(self._prompt, labels, self._options, self._shots)

    def questions(
        self,
        examples: Sequence[Example],
        labels: LabelSpace,
        can: Capabilities,
        vectors: Embeddings | None = None,
    ) -> Iterator[tuple[Example, ChatRequest]]:
        """Each text once, with the question that `answers` would begin with if it asked text by text.

        For endpoints that take questions in a file; `read` reads what they reply. Texts that need no question
        are left out.
        """
        self._check(labels, examples, vectors)
        layout = choose_layout(labels, can, self._options)
        asker = Asker(self._chat, self._prompt, layout, self._options, "")
        rows = {example.text_hash: i for i, example in reversed(list(enumerate(examples)))}
        unit = None if vectors is None else unit_rows(vectors)
        wanted = [i for i in sorted(rows.values()) if _free_answer(examples[i].text, labels, "") is None]
        for (i,), shots in self._parts(len(labels), examples, wanted, unit, per_call=1):
            yield examples[i], asker.question(examples[i].text, shots)

    def predict_proba(self, examples: Sequence[Example], labels: LabelSpace) -> Probs:
        """Shape (examples, labels); a row of NaN where the teacher abstains. Raises TeacherUnavailable.

        Starts an event loop of its own: inside one, use `answers`.
        """
        return asyncio.run(self._probs(examples, labels))

    async def _probs(self, examples: Sequence[Example], labels: LabelSpace) -> Probs:
        rows: dict[str, list[int]] = {}
        for i, example in enumerate(examples):
            rows.setdefault(example.text_hash, []).append(i)
        probs = np.full((len(examples), len(labels)), np.nan, np.float32)
        async for example, answer in self.answers(examples, labels):
            if answer.probs is not None:
                probs[rows[example.text_hash]] = answer.probs
        return probs

    def read(
        self, replies: Mapping[str, ChatReply], labels: LabelSpace, can: Capabilities
    ) -> dict[str, Answer]:
        """What replies to `questions` say; nothing is asked again.

        A reply that was cut off or has no form is an abstention here, where `answers` would ask once more.
        """
        layout = choose_layout(labels, can, self._options)
        prompt = self.prompt_fingerprint(labels)
        asker = Asker(self._chat, self._prompt, layout, self._options, prompt)
        return {name: asker.read(reply) for name, reply in replies.items()}

    async def answers(
        self, examples: Sequence[Example], labels: LabelSpace, vectors: Embeddings | None = None
    ) -> AsyncGenerator[tuple[Example, Answer]]:
        """Every example with its answer, as they come; `vectors` are the examples' embeddings, row by row.

        Equal texts are asked once: the tokens stand on the first of them. When the endpoint cannot answer any
        more, the answers in flight are still given and TeacherUnavailable follows; nothing new is asked.
        Close the iterator (`aclosing`) to stop early.
        """
        self._check(labels, examples, vectors)
        prompt = self.prompt_fingerprint(labels)
        twins: dict[str, list[int]] = {}
        for i, example in enumerate(examples):
            twins.setdefault(example.text_hash, []).append(i)
        for text_hash in list(twins):
            free = _free_answer(examples[twins[text_hash][0]].text, labels, prompt)
            if free is not None:
                for i in twins.pop(text_hash):
                    yield examples[i], free
        if not twins:
            return
        layout = choose_layout(labels, await self._chat.capabilities(), self._options)
        asker = Asker(self._chat, self._prompt, layout, self._options, prompt)
        unit = None if vectors is None else unit_rows(vectors)
        firsts = [rows[0] for rows in twins.values()]
        async with aclosing(
            merged(self._streams(asker, layout, examples, firsts, unit), self._options.concurrency)
        ) as answers:
            async for i, answer in answers:
                yield examples[i], answer
                for twin in twins[examples[i].text_hash][1:]:
                    yield examples[twin], replace(answer, usage=Usage())

    def _check(self, labels: LabelSpace, examples: Sequence[Example], vectors: Embeddings | None) -> None:
        if vectors is not None and len(vectors) != len(examples):
            raise ValueError(f"{len(vectors)} vectors for {len(examples)} examples")
        highest = max((shot.label for shot in (*self._shots.standing, *self._shots.pool)), default=-1)
        if highest >= len(labels):
            raise LabelSpaceMismatch(
                f"a few-shot example has label number {highest}, but there are {len(labels)} labels: "
                "make the examples anew from the annotations"
            )

    def _streams(
        self,
        asker: Asker,
        layout: Layout,
        examples: Sequence[Example],
        rows: Sequence[int],
        vectors: Embeddings | None,
    ) -> Iterator[AsyncGenerator[tuple[int, Answer]]]:
        """One conversation after the other; its few-shot examples are chosen when its turn comes."""
        # Votes are taken text by text: what is left open in one sample of several texts would ask some twice.
        per_call = 1 if layout.votes > 1 else self._options.items_per_call
        for part, shots in self._parts(len(layout.labels), examples, rows, vectors, per_call=per_call):
            ids = _ids([examples[i].text_hash for i in part])
            items = [Item(name, examples[i].text) for name, i in zip(ids, part, strict=True)]
            yield _conversation(asker, items, dict(zip(ids, part, strict=True)), shots)

    def _parts(
        self,
        n_labels: int,
        examples: Sequence[Example],
        rows: Sequence[int],
        vectors: Embeddings | None,
        *,
        per_call: int,
    ) -> Iterator[tuple[Sequence[int], tuple[Shot, ...]]]:
        """The rows that one question is about, with the few-shot examples that it shows."""
        options = self._options
        most, tokens = options.examples, options.example_tokens
        picker = ShotPicker(self._shots, n_labels, most=most, tokens=tokens, count=self._count_tokens)
        for start in range(0, len(rows), per_call):
            part = rows[start : start + per_call]
            texts = {examples[i].text for i in part}
            # A text's own label is never among its examples; the prompt's prefix differs for that one text.
            standing = tuple(shot for shot in self._shots.standing if shot.text not in texts)
            yield part, standing + picker.pick(texts, None if vectors is None else vectors[part])


def prompt_fingerprint(prompt: Prompt, labels: LabelSpace, options: LLMOptions, shots: ShotSet) -> str:
    """32 hex digits of all that may be said besides the text."""
    told = (options.votes, options.items_per_call, options.examples, options.example_tokens)
    return prompt.fingerprint(labels, *told, options.max_text_chars, shots.fingerprint)


async def _conversation(
    asker: Asker, items: Sequence[Item], rows: Mapping[str, int], shots: Sequence[Shot]
) -> AsyncGenerator[tuple[int, Answer]]:
    """The rows that one conversation is about, with their answers; `rows` are by the items' ids."""
    if len(items) == 1:
        yield rows[items[0].id], await asker.one(items[0].text, shots)
        return
    async with aclosing(asker.several(items, shots)) as answers:
        async for item, answer in answers:
            yield rows[item], answer


def _free_answer(text: str, labels: LabelSpace, prompt: str) -> Answer | None:
    """What needs no question: there is nothing to read, nothing to choose from, or no choice."""
    if not text.strip():
        return Answer(None, Abstention.NO_TEXT, prompt=prompt)
    if len(labels) == 0:
        return Answer(None, Abstention.UNSUPPORTED_CONFIG, prompt=prompt)
    if len(labels) == 1:
        return Answer(np.ones(1, np.float32), confidence=Confidence.NONE, prompt=prompt)
    return None


def _ids(hashes: Sequence[str]) -> list[str]:
    """Short different ids that are made of the texts' hashes, not counted: a model that skips one cannot renumber."""
    digits = _ID_DIGITS
    while len({text_hash[:digits] for text_hash in hashes}) < len(hashes):
        digits += 1
    return [text_hash[:digits] for text_hash in hashes]
