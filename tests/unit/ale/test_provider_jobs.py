"""Files and jobs at a provider: what their answers mean, and patience with those who fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ale.errors import ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat import ChatSpec
from ale.io.chat.account import Account, Patience
from ale.io.chat.batches import Batches, BatchState, half, read_batch, read_lines
from ale.io.chat.finetune import epochs_for, read_job
from ale.io.chat.prices import Price
from ale.types import Usage
from ml_backend.standin import KeywordPolicy, PathFaults, StandIn, rate_limit

SECRET = "a text that nobody else should read"
NOW = Patience(attempts=3, poll_s=0.0, listed_s=0.0, sleep=lambda _: None)


def account(url: str) -> Account:
    """An account at that server."""
    return Account(ChatSpec("gpt-4.1-mini", api_key="a-key", url=url), NOW)


@pytest.mark.parametrize(
    ("examples", "epochs"), [(0, 25), (2, 25), (10, 10), (33, 3), (5000, 3), (12_500, 2), (90_000, 1)]
)
def test_epochs_are_stated_so_that_the_cost_can_be(examples: int, epochs: int) -> None:
    """About three; more for few examples, fewer for very many."""
    assert epochs_for(examples) == epochs


def test_a_batch_costs_half() -> None:
    """Of every kind of token."""
    price = Price(2.0, 0.5, 8.0)
    usage = Usage(1000, 400, 10)
    assert half(price).usd(usage) == pytest.approx(price.usd(usage) / 2)


def line(name: str, status: int | None, body: object, error: object = None) -> bytes:
    """A line of an output or error file."""
    response = None if status is None else {"status_code": status, "body": body}
    return json.dumps({"custom_id": name, "response": response, "error": error}).encode() + b"\n"


def test_each_line_is_a_reply_or_a_word_for_why_there_is_none() -> None:
    """What is no line of ours is skipped, wherever it stands."""
    answer = {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], "usage": {}}
    filtered = {"error": {"code": "content_filter", "message": SECRET}}
    too_long = {"error": {"code": "context_length_exceeded", "message": SECRET}}
    content = b"".join(
        (
            line("good", 200, answer),
            b"\n",
            b"not json\n",
            b'{"custom_id": 7}\n',
            b"[1]\n",
            line("filtered", 400, filtered),
            line("long", 400, too_long),
            line("limit", 429, {"error": {"code": "rate_limit_exceeded"}}),
            line("fault", 500, None),
            line("odd", 200, {"no": "choices"}),
            line("none", None, None, {"code": "batch_expired", "message": SECRET}),
            line("nothing", None, None),
        )
    )
    found = {row.name: row for row in read_lines(content, "there")}
    assert {name: row.fault for name, row in found.items() if row.reply is None} == {
        "limit": "rate_limited",
        "fault": "server_error",
        "odd": "not_an_api",
        "none": "batch_expired",
        "nothing": "no_reply",
    }
    reasons = {name: row.reply.finish_reason for name, row in found.items() if row.reply is not None}
    assert reasons == {"good": "stop", "filtered": "content_filter", "long": "length"}
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        ({"code": "invalid_training_file", "param": "training_file", "message": SECRET}, "training file"),
        ({"code": "exceeded_quota", "message": SECRET}, "plan and billing"),
        ({"code": "something_new", "message": SECRET}, "something_new"),
        ({"code": SECRET, "message": SECRET}, ""),
        (None, ""),
    ],
)
def test_why_a_job_failed_is_said_without_quoting(error: object, wanted: str) -> None:
    """The provider's code and what it means; its message may hold a line of the file."""
    row = {"id": "ftjob-1", "status": "failed", "error": error, "trained_tokens": None}
    state = read_job(row, "there")
    assert (state.ended, wanted in state.problem, SECRET in state.problem) == (True, True, False)


@pytest.mark.parametrize("code", ["token_limit_exceeded", "strange_code"])
def test_why_a_batch_failed_is_said_without_quoting(code: str) -> None:
    """Likewise."""
    row = {"id": "b", "status": "failed", "errors": {"data": [{"code": code, "message": SECRET}]}}
    state = read_batch(row, "there")
    assert state.ended
    assert state.problem.startswith(code)
    assert SECRET not in state.problem


@pytest.mark.parametrize("fault", ["rate_limit", "error_500", "reset_mid_body", "html"])
def test_a_look_is_repeated_a_start_is_not(fault: str) -> None:
    """What only looks may be asked again; what starts something is told as it ended."""
    starts = ("POST", "/batches", fault, 1)
    with StandIn(KeywordPolicy(), faults=PathFaults([("GET", "/batches", fault, 2), starts])) as standin:
        batches = Batches(account(standin.base_url), "gpt-4.1-mini")
        assert batches.find("file-x") is None
        with pytest.raises(TeacherUnavailable) as raised:
            batches.start("file-x", {})
    assert "a-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("fault", "reason"), [("unauthorized", "unauthorized"), ("not_found", "model_not_found")]
)
def test_a_refusal_is_not_asked_again(fault: str, reason: str) -> None:
    """A second try would be refused as well."""
    with StandIn(KeywordPolicy(), faults=PathFaults([("GET", "/batches", fault, 1)])) as standin:
        batches = Batches(account(standin.base_url), "gpt-4.1-mini")
        with pytest.raises(TeacherRefused) as raised:
            batches.find("file-x")
        assert batches.find("file-x") is None
    assert raised.value.reason == reason


@pytest.mark.parametrize(("asked_s", "slept"), [(60, [60.0, 60.0]), (86_400, [])])
def test_a_wait_of_a_day_is_told_and_not_slept(asked_s: int, slept: list[float]) -> None:
    """A minute is waited as the provider says, as in a chat; beyond that the message names the wait."""
    waited: list[float] = []
    fault = ("GET", "/batches", rate_limit(asked_s), 3)
    with StandIn(KeywordPolicy(), faults=PathFaults([fault])) as standin:
        spec = ChatSpec("gpt-4.1-mini", api_key="a-key", url=standin.base_url)
        batches = Batches(Account(spec, Patience(attempts=3, sleep=waited.append)), "gpt-4.1-mini")
        with pytest.raises(TeacherUnavailable) as raised:
            batches.find("file-x")
    assert waited == slept
    assert raised.value.reason == "rate_limited"
    assert raised.value.retry_after_s == asked_s
    assert ("86400 s" in str(raised.value)) == (asked_s == 86_400)


def test_lists_are_read_to_their_end() -> None:
    """The file that is looked for may stand on a later page."""
    with StandIn(KeywordPolicy()) as standin:
        there = account(standin.base_url)
        first = there.upload("wanted.jsonl", b"{}\n", "batch")
        for i in range(120):
            there.upload(f"other-{i}.jsonl", b"{}\n", "batch")
        assert there.find_file("wanted.jsonl", "batch") == first
        assert there.find_file("wanted.jsonl", "fine-tune") is None
        assert there.content(first) == b"{}\n"


def test_answers_that_are_there_and_do_not_come_are_not_given_up() -> None:
    """A file that arrives cut, or as somebody's login page, is fetched again later: its answers are paid."""
    with StandIn(KeywordPolicy()) as standin:
        batches = Batches(account(standin.base_url), "gpt-4.1-mini")
        cut = batches.account.upload("cut.jsonl", line("one", 500, None) + b'{"custom_id"', "batch")
        state = BatchState("b", "completed", total=2, completed=2, output=cut)
        with pytest.raises(TeacherUnavailable, match="2 answers and gave 1"):
            batches.lines(state)


def test_what_was_just_started_may_be_missing_from_a_list_for_a_while() -> None:
    """It is looked for until it must be listed; what was started long ago is looked for once."""

    def looks(age_s: float) -> int:
        waited: list[float] = []
        clock = datetime.now(UTC) - timedelta(seconds=age_s)
        find: Callable[[], str | None] = lambda: "found" if len(waited) == 3 else None  # noqa: E731
        patience = Patience(poll_s=5.0, listed_s=30.0, sleep=waited.append)
        patience.until_listed(clock, find)
        return len(waited)

    assert looks(0) == 3
    assert looks(60) == 0


def test_azure_needs_a_version() -> None:
    """As its chat does."""
    with pytest.raises(ConfigurationError, match="OPENAI_API_VERSION"):
        Account(ChatSpec("d", provider="azure", api_key="k", url="http://127.0.0.1:1"))
