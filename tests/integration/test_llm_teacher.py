"""The teacher against an endpoint that misbehaves: through the real client, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from ale.chat import Chat
from ale.errors import TeacherRefused
from ale.io.chat.openai_chat import AzureChat, OpenAIChat
from ale.teachers.llm import LLMOptions, LLMTeacher
from ale.text import to_example
from ale.types import Abstention, Answer, Confidence, Example, LabelSpace
from ml_backend.standin import FULL, PROFILES, Profile, Script, SimulatedPolicy, StandIn, always
from ml_backend.standin.script import Rule

LABELS = LabelSpace(
    ("Refund", "Login", "Card lost"), ("wants {money} back", "", "100 % gone"), instructions="Be $brief."
)
GOLD = {f"message number {i}": LABELS.labels[i % 3] for i in range(12)}

RIGHT = None
REPLIES: dict[str, Abstention | None] = {
    "prose_json": RIGHT,
    "fence": RIGHT,
    "commentary_first": RIGHT,
    "think_block": RIGHT,
    "case_variant": RIGHT,
    "extra_field": RIGHT,
    "array_at_top": RIGHT,
    "score_nan": RIGHT,
    "score_above_1": RIGHT,
    "score_negative": RIGHT,
    "score_text": RIGHT,
    "score_null": RIGHT,
    "bad_json": Abstention.BAD_JSON,
    "trailing_comma": Abstention.BAD_JSON,
    "single_quotes": Abstention.BAD_JSON,
    "two_objects": Abstention.BAD_JSON,
    "two_equal_objects": Abstention.BAD_JSON,
    "empty": Abstention.BAD_JSON,
    "whitespace": Abstention.BAD_JSON,
    "huge_whitespace": Abstention.BAD_JSON,
    "apology": Abstention.BAD_JSON,
    "missing_key": Abstention.BAD_JSON,
    "wrong_key": Abstention.BAD_JSON,
    "object_label": Abstention.BAD_JSON,
    "unknown_label": Abstention.UNKNOWN_LABEL,
    "other_language": Abstention.UNKNOWN_LABEL,
    "near_miss": Abstention.UNKNOWN_LABEL,
    "number_label": Abstention.UNKNOWN_LABEL,
    "string_at_top": Abstention.UNKNOWN_LABEL,
    "several_in_one": Abstention.CARDINALITY,
    "several_labels": Abstention.CARDINALITY,
    "no_label": Abstention.CARDINALITY,
    "null_label": Abstention.CARDINALITY,
    "empty_label": Abstention.CARDINALITY,
    "refusal": Abstention.REFUSAL,
    "null_content": Abstention.REFUSAL,
    "truncated": Abstention.TRUNCATED,
    "content_filter_code": Abstention.CONTENT_FILTER,
    "content_filter_inner": Abstention.CONTENT_FILTER,
    "content_filter_both": Abstention.CONTENT_FILTER,
    "content_filter_finish": Abstention.CONTENT_FILTER,
}
ASKED_TWICE = {Abstention.BAD_JSON, Abstention.TRUNCATED}


@contextmanager
def endpoint(profile: Profile = FULL, *rules: Rule, azure: bool = False) -> Iterator[tuple[StandIn, Chat]]:
    """A stand-in that knows the truth, and the client of its kind."""
    with StandIn(SimulatedPolicy(GOLD, error_rate=0.0), profile=profile, script=Script(*rules)) as standin:
        if azure:
            yield standin, AzureChat(standin.azure_endpoint, "gpt-4.1-mini", "2024-10-21", api_key="any")
        else:
            yield standin, OpenAIChat("gpt-4.1-mini", "any", standin.base_url)


def examples(*texts: str) -> list[Example]:
    """Examples numbered from 0."""
    return [example for i, text in enumerate(texts) if (example := to_example(i, text)) is not None]


def ask(teacher: LLMTeacher, given: list[Example]) -> dict[int, Answer]:
    """All answers by the examples' ids."""

    async def collect() -> dict[int, Answer]:
        return {example.id: answer async for example, answer in teacher.answers(given, LABELS)}

    return asyncio.run(collect())


def label_of(answer: Answer) -> str | None:
    """The likeliest label, None for an abstention."""
    return None if answer.probs is None else LABELS.labels[int(answer.probs.argmax())]


@pytest.mark.parametrize("azure", [False, True], ids=["openai", "azure"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_every_reply_is_a_right_label_or_an_abstention_with_its_reason(profile: Profile, azure: bool) -> None:
    """Forty kinds of reply, at each kind of endpoint; a question is asked again once, and only where that may help."""
    texts = [f"message number {i % 12} [[behaviour:{name}]]" for i, name in enumerate(REPLIES)]
    given = examples(*texts)
    with endpoint(profile, azure=azure) as (standin, chat):
        answers = ask(LLMTeacher(chat), given)
        times = standin.calls.asked_by_text()
    for example, (name, reason) in zip(given, REPLIES.items(), strict=True):
        answer = answers[example.id]
        assert answer.abstention == reason, name
        assert label_of(answer) == (LABELS.labels[example.id % 12 % 3] if reason is RIGHT else None), name
        assert times[example.text_hash] == (2 if reason in ASKED_TWICE else 1), name


@pytest.mark.parametrize(
    ("profile", "votes", "confidence"),
    [
        ("full", 5, Confidence.LOGPROBS),
        ("no-logprobs", 1, Confidence.VERBALISED),
        ("no-logprobs", 5, Confidence.VOTES),
        ("no-schema", 1, Confidence.LOGPROBS),
        ("reasoning", 1, Confidence.VERBALISED),
        ("reasoning", 3, Confidence.VOTES),
    ],
)
def test_confidence_comes_from_the_best_there_is(profile: str, votes: int, confidence: Confidence) -> None:
    """Log-probabilities, else votes when configured, else what the model says; and it is never the same for all."""
    with endpoint(PROFILES[profile]) as (_, chat):
        answers = ask(LLMTeacher(chat, LLMOptions(votes=votes)), examples(*GOLD))
    assert {answer.confidence for answer in answers.values()} == {confidence}
    assert len({round(float(np.max(a.probs)), 3) for a in answers.values() if a.probs is not None}) > 1
    assert all(answer.usage.prompt > 0 for answer in answers.values())


@pytest.mark.parametrize("name", ["bad_json", "truncated", "empty", "two_objects"])
def test_one_more_question_may_help(name: str) -> None:
    """A reply without form, or cut off, is asked for once more, and both are paid."""
    with endpoint() as (standin, chat):
        (answer,) = ask(LLMTeacher(chat), examples(f"message number 1 [[behaviour:{name}:1]]")).values()
        paid = standin.calls.usage()
    assert label_of(answer) == "Login"
    assert 0 < answer.usage.total < paid.total  # the probe is not the answer's


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_several_texts_per_question(profile: Profile) -> None:
    """Twelve texts are three questions of five, and their tokens add up to what was paid."""
    given = examples(*GOLD)
    with endpoint(profile) as (standin, chat):
        asyncio.run(chat.capabilities())
        probing = standin.calls.usage()
        probes = len(standin.calls)
        answers = ask(LLMTeacher(chat, LLMOptions(items_per_call=5)), given)
        assert len(standin.calls) - probes == 3
        used = sum(answer.usage.total for answer in answers.values())
        assert used == standin.calls.usage().total - probing.total
    assert [label_of(answers[i]) for i in range(12)] == list(GOLD.values())


@pytest.mark.parametrize(
    ("name", "calls"), [("swapped_order", 1), ("missing_item", 2), ("extra_item", 2), ("wrong_id", 5)]
)
def test_items_that_came_back_wrong_are_asked_alone(name: str, calls: int) -> None:
    """Ids are checked, not places; only what is left open is asked again, each text by itself."""
    texts = [f"message number {i}" for i in range(4)]
    texts[1] += f" [[behaviour:{name}:1]]"
    with endpoint() as (standin, chat):
        asyncio.run(chat.capabilities())
        before = len(standin.calls)
        answers = ask(LLMTeacher(chat, LLMOptions(items_per_call=4)), examples(*texts))
        assert len(standin.calls) - before == calls
    assert [label_of(answers[i]) for i in range(4)] == list(GOLD.values())[:4]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wrong_id", Abstention.WRONG_ITEM),
        ("content_filter_both", Abstention.CONTENT_FILTER),
        ("refusal", Abstention.REFUSAL),
        ("bad_json", Abstention.BAD_JSON),
        ("truncated", Abstention.TRUNCATED),
    ],
)
def test_one_bad_text_spoils_no_other(name: str, reason: Abstention) -> None:
    """What a text does to a question of four, it does in the end to itself alone."""
    texts = [f"message number {i}" for i in range(4)]
    texts[2] += f" [[behaviour:{name}]]"
    with endpoint() as (_, chat):
        answers = ask(LLMTeacher(chat, LLMOptions(items_per_call=4)), examples(*texts))
    assert answers[2].abstention is reason
    assert [label_of(answers[i]) for i in (0, 1, 3)] == ["Refund", "Login", "Refund"]


def test_a_thousand_equal_texts_are_one_question() -> None:
    """Everyone gets the answer, and its tokens are counted once."""
    with endpoint() as (standin, chat):
        asyncio.run(chat.capabilities())
        before = len(standin.calls)
        answers = ask(LLMTeacher(chat), examples(*["message number 4"] * 1000))
        assert len(standin.calls) - before == 1
    assert {label_of(answer) for answer in answers.values()} == {"Login"}
    assert sum(answer.usage.prompt > 0 for answer in answers.values()) == 1


def test_a_quota_error_ends_the_pass() -> None:
    """Nothing more is asked once the endpoint has said that it will not answer."""
    with endpoint(FULL) as (standin, chat):
        asyncio.run(chat.capabilities())
        before = len(standin.calls)
        given = examples(*(f"message number {i} [[behaviour:quota]]" for i in range(12)))
        with pytest.raises(TeacherRefused) as caught:
            ask(LLMTeacher(chat, LLMOptions(concurrency=2)), given)
        assert len(standin.calls) - before <= 2
    assert caught.value.reason == "insufficient_quota"


def test_a_probe_that_is_refused_is_the_only_call() -> None:
    """An endpoint without quota costs one request, whatever the number of texts."""
    with endpoint(FULL, always("quota")) as (standin, chat):
        with pytest.raises(TeacherRefused):
            LLMTeacher(chat).predict_proba(examples(*GOLD), LABELS)
        assert len(standin.calls) == 1


def test_fits_the_protocol_of_teachers() -> None:
    """Rows in the order of the examples, NaN where it abstains."""
    with endpoint() as (_, chat):
        probs = LLMTeacher(chat).predict_proba(
            examples("message number 0", "message number 1 [[behaviour:refusal]]", "message number 2"), LABELS
        )
    assert probs.argmax(axis=1).tolist()[::2] == [0, 2]
    assert np.isnan(probs[1]).all()
    assert np.allclose(probs[::2].sum(axis=1), 1, atol=1e-5)
