"""Batches of the stand-in, over OpenAI's and Azure's paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from ml_backend.standin import PathFaults, StandIn
from tests.integration.standin_clients import MODEL, POLICY, PROVIDERS, SYSTEM, client, upload, wanted


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """One whose batches go on when looked at."""
    with StandIn(POLICY) as made:
        yield made


@pytest.fixture(params=PROVIDERS)
def ai(standin: StandIn, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """Either client."""
    with PROVIDERS[request.param](standin) as made:
        yield made


def line(ai: openai.OpenAI, custom_id: str, text: str, model: str = MODEL) -> dict[str, Any]:
    """One request of a batch."""
    body = {
        "model": model,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": json.dumps({"text": text})},
        ],
        "response_format": wanted(),
    }
    return {"custom_id": custom_id, "method": "POST", "url": endpoint(ai), "body": body}


def endpoint(ai: openai.OpenAI) -> Any:
    """The name of the chat endpoint in batches."""
    return "/chat/completions" if isinstance(ai, openai.AzureOpenAI) else "/v1/chat/completions"


def start(ai: openai.OpenAI, lines: list[Any], **metadata: str) -> str:
    """Id of a batch of these lines."""
    return ai.batches.create(
        input_file_id=upload(ai, lines, "batch"),
        endpoint=endpoint(ai),
        completion_window="24h",
        metadata=metadata,
    ).id


def run(ai: openai.OpenAI, batch_id: str) -> Any:
    """The batch when it has ended."""
    batch = ai.batches.retrieve(batch_id)
    while batch.status in {"validating", "in_progress", "finalizing", "cancelling"}:
        batch = ai.batches.retrieve(batch_id)
    return batch


def rows(ai: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    """The rows of a result file by custom id."""
    found = [json.loads(row) for row in ai.files.content(file_id or "").read().splitlines()]
    assert len({row["custom_id"] for row in found}) == len(found)
    return {row["custom_id"]: row for row in found}


def test_batch_answers_by_custom_id(standin: StandIn, ai: openai.OpenAI) -> None:
    """Every line is answered by the policy under its id, whatever the order, and its tokens are summed."""
    texts = {f"t{n}": ["lovely", "awful"][n % 2] for n in range(6)}
    batch_id = start(ai, [line(ai, key, text) for key, text in texts.items()], name="ale-1")
    statuses = [ai.batches.retrieve(batch_id).status for _ in range(3)]
    assert statuses == ["in_progress", "finalizing", "completed"]
    batch = run(ai, batch_id)
    assert batch.error_file_id is None
    found = rows(ai, batch.output_file_id)
    labels = {
        key: json.loads(row["response"]["body"]["choices"][0]["message"]["content"])["label"]
        for key, row in found.items()
    }
    assert labels == {key: {"lovely": "A", "awful": "B"}[text] for key, text in texts.items()}
    assert list(labels) != list(texts)
    usages = [row["response"]["body"]["usage"] for row in found.values()]
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert (batch.request_counts.total, batch.request_counts.completed) == (6, 6)
    assert {call.batch for call in standin.calls.all()} == {True}
    assert [other.id for other in ai.batches.list() if other.metadata == {"name": "ale-1"}] == [batch_id]


def test_batch_keeps_failures_apart(ai: openai.OpenAI) -> None:
    """Lines that failed stand in the error file, each with its reason; the others are answered."""
    texts = {
        "good": "lovely",
        "filtered": "x [[behaviour:content_filter_both]]",
        "broken": "x [[behaviour:reset_mid_body]]",
    }
    batch = run(ai, start(ai, [line(ai, key, text) for key, text in texts.items()]))
    assert list(rows(ai, batch.output_file_id)) == ["good"]
    errors = {key: row["response"] for key, row in rows(ai, batch.error_file_id).items()}
    assert {key: response["status_code"] for key, response in errors.items()} == {
        "filtered": 400,
        "broken": 500,
    }
    assert errors["filtered"]["body"]["error"]["code"] == "content_filter"
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 2)


def test_batch_may_expire(ai: openai.OpenAI) -> None:
    """What was not reached within the window says so; what was answered before is there."""
    batch = run(ai, start(ai, [line(ai, "a", "lovely"), line(ai, "b", "x [[behaviour:batch_expired]]")]))
    assert batch.status == "expired"
    assert list(rows(ai, batch.output_file_id)) == ["a"]
    assert rows(ai, batch.error_file_id)["b"]["error"]["code"] == "batch_expired"


def test_bad_batch_fails_as_a_whole(standin: StandIn, ai: openai.OpenAI) -> None:
    """Lines that do not fit together are found before anything is answered."""
    good = line(ai, "a", "lovely")
    bad = [
        good,
        good,
        "no object",
        {**line(ai, "c", "lovely"), "url": "/v1/embeddings"},
        line(ai, "d", "lovely", model="gpt-4o"),
    ]
    batch = run(ai, start(ai, bad))
    assert batch.status == "failed"
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "duplicate_custom_id"),
        (3, "invalid_json_line"),
        (4, "mismatched_endpoint"),
        (5, "mismatched_model"),
    ]
    assert len(standin.calls) == 0
    assert run(ai, start(ai, [])).errors.data[0].code == "empty_file"


def test_batch_can_be_cancelled(ai: openai.OpenAI) -> None:
    """A batch that is cancelled in time answers nothing."""
    batch_id = start(ai, [line(ai, "a", "lovely")])
    assert ai.batches.cancel(batch_id).status == "cancelling"
    batch = run(ai, batch_id)
    assert (batch.status, batch.output_file_id) == ("cancelled", None)
    with pytest.raises(openai.ConflictError):
        ai.batches.cancel(batch_id)


def test_lost_answer_leaves_the_batch() -> None:
    """A connection that breaks after the work leaves the batch there; a refusal before it leaves nothing."""
    faults = PathFaults([("POST", "/batches", "error_500", 1), ("POST", "/batches", "closed", 1)])
    with StandIn(POLICY, faults=faults) as standin, client(standin) as ai:
        with pytest.raises(openai.InternalServerError):
            start(ai, [line(ai, "a", "lovely")])
        assert list(ai.batches.list()) == []
        with pytest.raises(openai.APIConnectionError):
            start(ai, [line(ai, "a", "lovely")], name="lost")
        assert [batch.metadata for batch in ai.batches.list()] == [{"name": "lost"}]
        assert start(ai, [line(ai, "a", "lovely")])


def test_jobs_survive_their_client(standin: StandIn) -> None:
    """Another client finds a job by its metadata and goes on."""
    with client(standin) as first:
        start(first, [line(first, "a", "awful")], project="p")
    with client(standin) as second:
        (found,) = [batch for batch in second.batches.list() if batch.metadata == {"project": "p"}]
        assert "a" in rows(second, run(second, found.id).output_file_id)
