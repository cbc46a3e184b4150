"""Many questions at once: order, bounds, faults, and what is asked at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing

import numpy as np
import pytest

from ale.chat import Capabilities, ChatReply, ChatRequest
from ale.errors import LabelSpaceMismatch, TeacherUnavailable, UnknownName
from ale.protocols import Teacher
from ale.teachers.llm import LLMOptions, LLMTeacher, Shot, make_shots
from ale.text import to_example
from ale.types import Abstention, Answer, Example, LabelSpace, Usage

LABELS = LabelSpace(("yes", "no"))


class ScriptedChat:
    """An endpoint in memory: answers by a function of the text, and holds each until it is let go."""

    name = "scripted:model"

    def __init__(self, answer: Callable[[str], ChatReply], *, hold: int = 0) -> None:
        self._answer = answer
        self._hold = hold
        self._gate = asyncio.Event()
        self.requests: list[ChatRequest] = []
        self.texts: list[str] = []
        self.open = self.peak = 0

    async def capabilities(self) -> Capabilities:
        """No log-probabilities: content alone decides."""
        return Capabilities(logprobs=False)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Wait until `hold` questions have been open at once, then answer."""
        text = json.loads(request.messages[-1].content)["text"]
        self.requests.append(request)
        self.texts.append(text)
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            if self.open >= self._hold:
                self._gate.set()
            await self._gate.wait()
            await asyncio.sleep(0)  # as a network does: others get their turn
            return self._answer(text)
        finally:
            self.open -= 1


def yes(_: str) -> ChatReply:
    """Always yes, for ten tokens."""
    return ChatReply('{"label": "yes", "confidence": 0.8}', usage=Usage(8, 0, 2))


def down_at(text: str) -> Callable[[str], ChatReply]:
    """Yes to all but one text, at which the endpoint goes down."""

    def answer(asked: str) -> ChatReply:
        if asked == text:
            raise TeacherUnavailable("the endpoint is down", reason="server_error")
        return yes(asked)

    return answer


def examples(*texts: str) -> list[Example]:
    """Examples numbered from 0; blank texts stay."""
    return [to_example(i, text) or Example(i, text, f"blank{i}") for i, text in enumerate(texts)]


async def collect(
    teacher: LLMTeacher, given: list[Example], labels: LabelSpace = LABELS
) -> tuple[dict[int, Answer], TeacherUnavailable | None]:
    """Answers by id, and the error that ended them."""
    found: dict[int, Answer] = {}
    try:
        async for example, answer in teacher.answers(given, labels):
            found[example.id] = answer
    except TeacherUnavailable as error:
        return found, error
    return found, None


def test_it_is_a_teacher() -> None:
    """The protocol, and a name that tells model and prompt."""
    teacher = LLMTeacher(ScriptedChat(yes))
    assert isinstance(teacher, Teacher)
    assert teacher.name == "scripted:model@v1"
    with pytest.raises(UnknownName):
        LLMTeacher(ScriptedChat(yes), prompt_version="none such")


def test_as_many_at_once_as_allowed() -> None:
    """All places are used, and no more."""

    async def scenario() -> None:
        chat = ScriptedChat(yes, hold=5)
        found, _ = await collect(LLMTeacher(chat, LLMOptions(concurrency=5)), examples(*map(str, range(23))))
        assert len(found) == 23
        assert chat.peak == 5

    asyncio.run(scenario())


def test_what_needs_no_question_costs_nothing() -> None:
    """No text, no labels, a single label."""

    async def scenario() -> None:
        chat = ScriptedChat(yes)
        teacher = LLMTeacher(chat)
        found, _ = await collect(teacher, examples(" ", "a"))
        assert found[0].abstention is Abstention.NO_TEXT
        assert chat.texts == ["a"]
        nothing, _ = await collect(teacher, examples("b"), LabelSpace(()))
        assert nothing[0].abstention is Abstention.UNSUPPORTED_CONFIG
        only, _ = await collect(teacher, examples("b"), LabelSpace(("only",)))
        assert only[0].probs is not None
        assert only[0].probs.tolist() == [1.0]
        assert chat.texts == ["a"]

    asyncio.run(scenario())


def test_no_example_costs_no_probe() -> None:
    """Nothing to ask, nobody asked."""
    assert LLMTeacher(ScriptedChat(yes)).predict_proba([], LABELS).shape == (0, 2)


def test_answers_in_flight_are_kept_when_the_endpoint_fails() -> None:
    """Four were open when it failed: three answers come, the error follows, and nothing new is asked."""

    async def scenario() -> None:
        chat = ScriptedChat(down_at("2"), hold=4)
        found, error = await collect(
            LLMTeacher(chat, LLMOptions(concurrency=4)), examples(*map(str, range(40)))
        )
        assert error is not None
        assert error.reason == "server_error"
        assert {"0", "1", "3"} <= {str(i) for i in found}
        assert len(found) == len(chat.texts) - 1 < 10

    asyncio.run(scenario())


def test_a_bug_is_not_taken_for_an_outage() -> None:
    """Any other error comes out as itself, and ends the pass as well."""

    def broken(text: str) -> ChatReply:
        raise KeyError(text)

    async def scenario() -> None:
        chat = ScriptedChat(broken)
        with pytest.raises(KeyError):
            await collect(LLMTeacher(chat, LLMOptions(concurrency=2)), examples(*map(str, range(40))))
        assert len(chat.texts) <= 2

    asyncio.run(scenario())


def test_who_stops_listening_stops_the_asking() -> None:
    """After the iterator is closed no question is open and none is asked."""

    async def scenario() -> None:
        chat = ScriptedChat(yes)
        teacher = LLMTeacher(chat, LLMOptions(concurrency=3))
        async with aclosing(teacher.answers(examples(*map(str, range(1000))), LABELS)) as answers:
            async for _ in answers:
                break
        asked = len(chat.texts)
        for _ in range(10):
            await asyncio.sleep(0)
        assert (len(chat.texts), chat.open) == (asked, 0)
        assert asked < 1000

    asyncio.run(scenario())


def test_examples_are_chosen_per_text() -> None:
    """The nearest example stands last, standing ones first, and a text's own is left out."""

    async def scenario() -> None:
        chat = ScriptedChat(yes)
        shots = make_shots(
            [Shot("standing", 1, "note")],
            [Shot("east", 0), Shot("north", 1)],
            np.array([[1, 0], [0, 1]], np.float32),
        )
        teacher = LLMTeacher(chat).with_shots(shots)
        given = examples("q", "standing")
        vectors = np.array([[0.1, 2.0], [5.0, 0.0]], np.float32)
        async for _ in teacher.answers(given, LABELS, vectors):
            pass
        shown = {
            data["text"]: [shot["text"] for shot in data["examples"]]
            for data in (json.loads(request.messages[-1].content) for request in chat.requests)
        }
        assert shown == {"q": ["standing", "east", "north"], "standing": ["north", "east"]}

    asyncio.run(scenario())


def test_every_answer_names_its_prompt() -> None:
    """Other examples, another fingerprint, the same name."""
    teacher = LLMTeacher(ScriptedChat(yes))
    other = teacher.with_shots(make_shots(pool=[Shot("a", 0)]))
    assert other.name == teacher.name
    assert other.prompt_fingerprint(LABELS) != teacher.prompt_fingerprint(LABELS)
    found, _ = asyncio.run(collect(other, examples("x")))
    assert found[0].prompt == other.prompt_fingerprint(LABELS)
    more = LLMTeacher(ScriptedChat(yes), LLMOptions(examples=4))
    assert more.prompt_fingerprint(LABELS) != teacher.prompt_fingerprint(LABELS)
    faster = LLMTeacher(ScriptedChat(yes), LLMOptions(concurrency=2))
    assert faster.prompt_fingerprint(LABELS) == teacher.prompt_fingerprint(LABELS)


def test_examples_of_labels_that_are_gone_are_refused() -> None:
    """Before anything is asked."""
    chat = ScriptedChat(yes)
    with pytest.raises(LabelSpaceMismatch, match="label number 2"):
        asyncio.run(collect(LLMTeacher(chat, shots=make_shots(pool=[Shot("a", 2)])), examples("x")))
    assert not chat.texts


def test_vectors_belong_to_examples() -> None:
    """One row each."""

    async def scenario() -> None:
        async for _ in LLMTeacher(ScriptedChat(yes)).answers(
            examples("x"), LABELS, np.ones((2, 2), np.float32)
        ):
            pass

    with pytest.raises(ValueError, match="2 vectors for 1"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    "options", [{"votes": 0}, {"concurrency": 0}, {"completion_tokens": 1}, {"examples": -1}]
)
def test_senseless_options_are_refused(options: dict[str, int]) -> None:
    """With the name and the least."""
    with pytest.raises(ValueError, match=next(iter(options))):
        LLMOptions(**options)
