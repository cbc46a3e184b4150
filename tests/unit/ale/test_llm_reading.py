"""From a reply with its tokens to an answer: the distribution never contradicts the label that was read."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ale.chat import Capabilities, ChatReply, ChatRequest, TokenProbs
from ale.teachers.llm.ask import Asker
from ale.teachers.llm.layout import choose_layout
from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.parse import read_batch, read_reply
from ale.teachers.llm.prompt import Item, load_prompt
from ale.types import Answer, Confidence, LabelSpace

LABELS = LabelSpace(("Positive", "Negative", "Mixed"))
LAYOUT = choose_layout(LABELS, Capabilities(), LLMOptions())
IDS = ("1", "2", "3")


class OneReply:
    """An endpoint in memory that has one reply to everything."""

    name = "one:reply"

    def __init__(self, reply: ChatReply) -> None:
        self._reply = reply

    async def capabilities(self) -> Capabilities:
        """All."""
        return Capabilities()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Always the same."""
        return self._reply


def asker(reply: ChatReply) -> Asker:
    """Who hears this reply to each question."""
    return Asker(OneReply(reply), load_prompt("v1"), LAYOUT, LLMOptions(), "fingerprint")


def one(reply: ChatReply) -> Answer:
    """The answer to a question about one text."""
    return asker(reply).read(reply)


def several(reply: ChatReply) -> dict[str, Answer]:
    """The answers to a question about the texts 1, 2 and 3; what stays open is asked again alone."""

    async def collect() -> dict[str, Answer]:
        return {name: a async for name, a in asker(reply).several([Item(i, "x") for i in IDS], ())}

    return asyncio.run(collect())


def by_characters(content: str, top: dict[str, float], said: float = 0.9) -> ChatReply:
    """One token per character; each character may have been one of `top`, itself with the probability `said`."""
    tops = tuple((token, math.log(p)) for token, p in top.items())
    return ChatReply(content, tokens=tuple(TokenProbs(c, math.log(said), tops) for c in content))


def label_of(answer: Answer) -> int | None:
    """The likeliest label, None for an abstention."""
    return None if answer.probs is None else int(answer.probs.argmax())


@pytest.mark.parametrize(
    "content",
    [
        '{"x":{"label":"B"},"label":"\\u0041"}',
        '{"x":{"label":"A"},"label":"\\u0041"}',
        '{"x":{"label":"A"},"label":"A"}',
        '{"x":{"label":"A"},"label":["A"]}',
        '"label": B is wrong. {"la\\u0062el":"A"}',
        '"label": A is right. {"la\\u0062el":"A"}',
        '"label": A is right. {"label":["A"]}',
    ],
)
def test_a_label_of_unsure_place_has_no_probability(content: str) -> None:
    """What stands elsewhere in the reply, be it the same code, says nothing about the label."""
    answer = one(by_characters(content, {}))
    assert label_of(answer) == 0
    assert answer.confidence is Confidence.NONE


@pytest.mark.parametrize(
    "answers",
    [
        '[{"id":"1","label":"A","label":"B"},{"id":"2","label":"A"},{"id":"3"}]',
        '[{"id":"1","x":{"label":"A"},"label":"A"},{"id":"2","label":"A"},{"id":"3","label":["B"]}]',
    ],
)
def test_labels_of_several_texts_are_not_mixed_up(answers: str) -> None:
    """As many keys as texts are not enough: where one could be another's, none is looked up."""
    answer = several(by_characters(f'{{"answers":{answers}}}', {}))["2"]
    assert label_of(answer) == 0
    assert answer.confidence is Confidence.NONE


def test_each_of_several_texts_has_the_probabilities_of_its_place() -> None:
    """Also where one of them is answered by name, and a label stands before its id."""
    content = '{"answers":[{"id":"2","label":"B"},{"label" : "A","id":"1"},{"id":"3","label":"Mixed"}]}'
    tokens = [TokenProbs(c, math.log(0.9)) for c in content]
    tokens[content.index('"A"') + 1] = TokenProbs(
        "A", math.log(0.6), (("A", math.log(0.6)), ("C", math.log(0.4)))
    )
    answers = several(ChatReply(content, tokens=tuple(tokens)))
    assert {name: label_of(answer) for name, answer in answers.items()} == {"1": 0, "2": 1, "3": 2}
    found = [answers[name].confidence for name in IDS]
    assert found == [Confidence.LOGPROBS, Confidence.LOGPROBS, Confidence.NONE]
    assert answers["1"].probs is not None
    assert answers["1"].probs.tolist() == pytest.approx([0.6, 0.0, 0.4])


def test_a_label_that_was_not_the_likeliest_token_is_what_was_said() -> None:
    """A sampled or masked token: the label stays, and is as weak as it was."""
    answer = one(by_characters('{"label":"A"}', {"A": 0.2, "B": 0.74}, 0.2))
    assert label_of(answer) == 0
    assert answer.confidence is Confidence.LOGPROBS
    assert answer.probs is not None
    assert answer.probs.max() < 0.4


WORDS = st.sampled_from(["A", "B", "C", "a", "\\u0041", "Negative", "Mixed", "D", ""])
LABEL_KEYS = st.sampled_from(['"label"', '"la\\u0062el"', '"label" '])
FIELDS = st.one_of(
    st.tuples(LABEL_KEYS, WORDS).map(lambda f: f'{f[0]}:"{f[1]}"'),
    WORDS.map(lambda word: f'"label":["{word}"]'),
    WORDS.map(lambda word: f'"x":{{"label":"{word}"}}'),
    st.sampled_from(['"label":null', '"label":true', '"x":1', '"why":"\\"label\\":\\"B\\""']),
)
OBJECTS = st.lists(FIELDS, min_size=1, max_size=3).map(lambda fields: "{" + ",".join(fields) + "}")
AROUND = st.sampled_from(
    ["", "", "", '"label": B is wrong. ', "```", "A ", '"label":"A" ', "<think>x</think>"]
)
REPLIES = st.tuples(AROUND, OBJECTS | WORDS, AROUND).map("".join)
ITEMS = st.tuples(st.sampled_from(IDS), st.lists(FIELDS, max_size=3)).map(
    lambda item: "{" + ",".join([f'"id":"{item[0]}"', *item[1]]) + "}"
)
BATCHES = st.tuples(AROUND, st.lists(ITEMS, max_size=4), AROUND).map(
    lambda parts: f'{parts[0]}{{"answers":[{",".join(parts[1])}]}}{parts[2]}'
)
LOGPROBS = st.sampled_from([0.0, -0.01, -0.7, -2.0, -30.0, -9999.0, math.nan, -math.inf, 0.3])
TOPS = st.dictionaries(st.sampled_from(["A", "B", "C", " A", '"B', "c", "x", "AB"]), LOGPROBS, max_size=5)


@st.composite
def with_tokens(draw: st.DrawFn, contents: st.SearchStrategy[str]) -> ChatReply:
    """A reply cut into tokens anywhere, with any probabilities."""
    content = draw(contents)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(content) - 1)), max_size=40)))
    if draw(st.booleans()):
        cuts = list(range(1, len(content)))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    tokens = (TokenProbs(piece, draw(LOGPROBS), tuple(draw(TOPS).items())) for piece in pieces)
    return ChatReply(content, tokens=tuple(tokens))


@settings(max_examples=600)
@given(reply=with_tokens(REPLIES))
def test_the_likeliest_label_is_always_the_one_that_was_read(reply: ChatReply) -> None:
    """Whatever the reply looks like, wherever its tokens begin, and whatever probabilities they have."""
    assert label_of(one(reply)) == read_reply(reply, LAYOUT.names).label


@settings(max_examples=400)
@given(reply=with_tokens(BATCHES))
def test_the_likeliest_labels_are_always_those_that_were_read(reply: ChatReply) -> None:
    """Of each of several texts, also of those that were asked about alone."""
    verdicts = read_batch(reply, LAYOUT.names, IDS)
    assert {n: label_of(a) for n, a in several(reply).items()} == {n: v.label for n, v in verdicts.items()}
