"""Prices, tokens and replies: pure functions around the client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ale.chat import ChatReply, ChatRequest, Message
from ale.errors import AleError, ConfigurationError, TeacherError, TeacherRefused, TeacherUnavailable
from ale.io.chat import tokens
from ale.io.chat.faults import ParameterRefused, from_response
from ale.io.chat.prices import Price, load_prices
from ale.io.chat.replies import UNLIKELY, parse_reply
from ale.types import Usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries({}, optional={"content": JSON, "refusal": JSON})
CHOICE = st.fixed_dictionaries(
    {}, optional={"message": MESSAGE | JSON, "finish_reason": JSON, "logprobs": JSON}
)
LOGPROB = st.fixed_dictionaries({}, optional={"token": JSON, "logprob": JSON, "top_logprobs": JSON})


def body(**changes: Any) -> bytes:
    """A good completion with something else in it."""
    choice = {"message": {"content": "hello"}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], **changes}).encode()


# Prices


def test_price_by_name_date_and_fine_tuning() -> None:
    """The exact name first, then the model it is a dated version of; a fine-tuned one has its own price."""
    table = load_prices()
    mini = table.of("gpt-4.1-mini")
    assert mini is not None
    assert table.of("gpt-4.1-mini-2025-04-14") == mini
    assert table.of("gpt-4o-2024-05-13") != table.of("gpt-4o")
    assert table.of("gpt-4o-2024-08-06") == table.of("gpt-4o")
    tuned = table.of("ft:gpt-4.1-mini-2025-04-14:organisation:name:id")
    assert tuned is not None
    assert tuned.output == 2 * mini.output


@pytest.mark.parametrize(
    "model", ["", "gpt-4.1-min", "gpt-4.1-mini-tts", "ft:unknown:x", "llama3", "2025-04-14"]
)
def test_unknown_model_has_no_price(model: str) -> None:
    """Never the price of a model with a similar name."""
    assert load_prices().of(model) is None


def test_usd_of_an_answer() -> None:
    """Cached prompt tokens are charged at their own price, the rest of the prompt at the full one."""
    price = Price(input=2.0, cached=0.5, output=8.0)
    assert price.usd(Usage(prompt=1_000_000, cached=400_000, completion=10_000)) == pytest.approx(1.48)
    assert price.at_most(1_000_000, 10_000) == pytest.approx(2.08)


def test_own_prices_stand_before_the_shipped(tmp_path: Path) -> None:
    """A file adds models and replaces prices; without `cached` those tokens cost as much as others."""
    own = tmp_path / "prices.json"
    own.write_text(
        '{"checked": "today", "models": {"llama3": {"input": 0, "output": 0}, "o3": {"input": 1, "output": 3}}}'
    )
    table = load_prices(own)
    assert table.of("llama3") == Price(0, 0, 0)
    assert table.of("o3") == Price(1, 1, 3)
    assert table.of("gpt-4.1") == load_prices().of("gpt-4.1")
    assert table.checked == "today"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"models": {"m": 3}}',
        '{"models": {"m": {"input": -1, "output": 1}}}',
        '{"models": {"m": {"input": NaN, "output": 1}}}',
        '{"models": {"m": {"input": Infinity, "output": 1}}}',
        '{"models": {"m": {"input": 1, "output": 1, "training": Infinity}}}',
        '{"models": {"m": {"input": 1%s, "output": 1}}}' % ("0" * 400),
        '{"models": {"m": {"input": "1", "output": 1}}}',
    ],
)
def test_bad_price_file_is_refused(tmp_path: Path, text: str) -> None:
    """A file that does not say a price stops the start, with its name in the message."""
    own = tmp_path / "prices.json"
    own.write_text(text)
    with pytest.raises(ConfigurationError, match=r"prices\.json"):
        load_prices(own)
    with pytest.raises(ConfigurationError, match="absent"):
        load_prices(tmp_path / "absent")


# Tokens


@given(st.text())
def test_bytes_bound_tokens(text: str) -> None:
    """The bound is never below the estimate, and any text can be counted, lone surrogates too."""
    assert tokens.estimate(text) <= tokens.upper_bound(text)
    assert (tokens.estimate(text) > 0) == bool(text)


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-35-turbo", "llama3"])
def test_nothing_is_downloaded(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a vocabulary in tiktoken's cache, or with a damaged one, tokens are estimated."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    # Were anything fetched all the same, it would be from here.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name in ("o200k_base", "cl100k_base"):
        url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        (tmp_path / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()).write_text("damaged")
    counter = tokens.token_counter(model)
    assert (counter.name, counter.exact) == ("bytes/3", False)
    assert counter("twelve bytes") == 4
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert not tokens.token_counter(model).exact


def test_prompt_tokens_count_all_that_is_sent() -> None:
    """Every message, what a template puts around it, and the schema."""
    bare = ChatRequest((Message("system", "abc"), Message("user", "ä")), max_tokens=1)
    assert tokens.prompt_tokens(bare) == 3 + 2 + 2 * tokens.MESSAGE_TOKENS
    with_schema = ChatRequest(bare.messages, 1, schema={"a": 1})
    assert tokens.prompt_tokens(with_schema) == tokens.prompt_tokens(bare) + 8 + tokens.SCHEMA_TOKENS


# Replies


@example(b"[" * 100_000)
@given(st.binary() | JSON.map(lambda data: json.dumps(data).encode()))
def test_any_body_is_a_reply_or_an_error_of_ours(raw: bytes) -> None:
    """Whatever comes with a 200 is read as a reply, or raises an error of the teacher's."""
    with contextlib.suppress(TeacherError):
        assert isinstance(parse_reply(raw, "x"), ChatReply)


@given(st.lists(CHOICE, min_size=1, max_size=2), JSON)
def test_any_choice_keeps_its_types(choices: list[Any], usage: Any) -> None:
    """Sloppy fields never reach the reader: strings are strings, counts are counts."""
    try:
        reply = parse_reply(json.dumps({"choices": choices, "usage": usage}).encode(), "x")
    except TeacherError:
        return
    assert reply.content is None or isinstance(reply.content, str)
    assert reply.refusal is None or reply.refusal
    assert isinstance(reply.finish_reason, str)
    assert 0 <= reply.usage.cached <= reply.usage.prompt


@example([{"logprob": -(10**400), "top_logprobs": [{"logprob": 10**400}]}])
@given(st.lists(LOGPROB, max_size=3))
def test_logprobs_are_finite_and_not_above_zero(content: list[Any]) -> None:
    """NaN, infinities, words and positive numbers become what a sum of probabilities can bear."""
    choice = {"message": {"content": "x"}, "logprobs": {"content": content}}
    reply = parse_reply(json.dumps({"choices": [choice]}).encode(), "x")
    assert reply.tokens is not None
    for token in reply.tokens:
        assert all(UNLIKELY <= lp <= 0 for lp in (token.logprob, *(lp for _, lp in token.top)))


def test_reply_is_read() -> None:
    """Content, refusal, finish reason, log-probabilities and usage, as OpenAI writes them."""
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": None}]
    choice = {
        "message": {"content": "A", "refusal": ""},
        "finish_reason": "length",
        "logprobs": {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]},
    }
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    reply = parse_reply(body(choices=[choice], usage=usage), "x")
    assert (reply.content, reply.refusal, reply.finish_reason) == ("A", None, "length")
    assert reply.tokens is not None
    assert reply.tokens[0].top == (("A", -0.1), ("B", UNLIKELY))
    assert reply.usage == Usage(prompt=9, cached=4, completion=2)


def test_last_part_is_the_answer() -> None:
    """Of a content in parts, what comes before the last text is commentary."""
    parts = [
        {"type": "text", "text": "Let me see."},
        {"type": "text", "text": '{"label": "A"}'},
        {"type": "x"},
    ]
    assert parse_reply(body(choices=[{"message": {"content": parts}}]), "x").content == '{"label": "A"}'


def test_error_inside_of_a_200() -> None:
    """Routers that answer 200 with an `error` are read by its code."""
    with pytest.raises(TeacherRefused) as caught:
        parse_reply(body(error={"code": 401, "message": "no"}), "x")
    assert caught.value.reason == "unauthorized"
    with pytest.raises(TeacherUnavailable) as late:
        parse_reply(body(error={"code": "oops"}), "x")
    assert late.value.reason == "server_error"


# Errors


@given(st.integers(100, 599), JSON, st.dictionaries(st.sampled_from(["retry-after"]), st.text()))
def test_any_status_has_a_meaning(status: int, data: Any, headers: dict[str, str]) -> None:
    """Every status with any body becomes an error of ours, and never quotes a sentence."""
    error = from_response(status, {"error": data, "message": "a secret sentence"}, headers, "x")
    assert isinstance(error, AleError)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("status", "message", "parameter"),
    [
        (
            400,
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'.",
            "limit_name",
        ),
        (400, "Unrecognized request argument supplied: max_completion_tokens", "limit_name"),
        (403, "You are not allowed to request logprobs from this model", "logprobs"),
        (422, "top_logprobs: extra fields not permitted", "logprobs"),
        (
            400,
            "response_format value as json_schema is enabled only for later api versions",
            "response_format",
        ),
        (400, "Unsupported value: 'temperature' does not support 0 with this model.", "temperature"),
        (400, "Bad Request", None),
    ],
)
def test_refused_parameter_is_found_in_words(status: int, message: str, parameter: str | None) -> None:
    """Providers name it in `param` or only in a sentence; the first name is what was refused."""
    error = from_response(status, {"error": {"message": message}}, {}, "x")
    assert isinstance(error, ParameterRefused)
    assert error.parameter == parameter


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (429, "insufficient_quota", "insufficient_quota"),
        (400, "billing_hard_limit_reached", "insufficient_quota"),
        (402, None, "insufficient_quota"),
        (404, "DeploymentNotFound", "model_not_found"),
        (405, None, "bad_request"),
    ],
)
def test_refusals_by_code(status: int, code: str | None, reason: str) -> None:
    """What only a person can change is refused under a stable word."""
    error = from_response(status, {"error": {"code": code}}, {}, "x")
    assert isinstance(error, TeacherRefused)
    assert error.reason == reason


def test_import_is_cheap() -> None:
    """The client's package loads neither `openai` nor its transport; they come with the first request."""
    code = (
        "import sys, ale.io.chat, ale.io.chat.openai_chat, ale.io.chat.prices, ale.io.chat.local\n"
        "assert not {'openai', 'httpx2', 'httpx', 'tiktoken'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
