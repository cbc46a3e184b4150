"""The stand-in through the real client: what is on the wire, and what it refuses to take."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from ale.text import text_hash
from ml_backend.standin import (
    LOGPROBS_REFUSED,
    NO_LOGPROBS,
    NO_SCHEMA,
    PLAIN,
    REASONING,
    REASONING_FORBIDDING,
    Profile,
    StandIn,
)
from tests.integration.standin_clients import MODEL, POLICY, SCHEMA, SYSTEM, ask, azure_client, client, wanted


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """One that knows the truth and behaves, but for what texts ask of it."""
    with StandIn(POLICY) as made:
        yield made


def test_answers_as_openai_does(standin: StandIn) -> None:
    """Code, log-probabilities over the codes, usage, and the banner everywhere."""
    with client(standin) as ai:
        raw = ask(ai.with_raw_response, "awful", logprobs=True, top_logprobs=20)
        answer = raw.parse()
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ('{"label":"B"}', "stop")
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    assert all(bytes(entry.bytes).decode() == entry.token for entry in choice.logprobs.content)
    label = next(entry for entry in choice.logprobs.content if entry.token == "B")
    assert sum(math.exp(top.logprob) for top in label.top_logprobs) == pytest.approx(1)
    assert [top.token for top in label.top_logprobs] == ["B", "A"]
    assert answer.usage.completion_tokens == len(choice.logprobs.content)
    assert raw.headers["x-stand-in"] == "stand-in, not GPT"
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0
    assert "stand_in" in answer.system_fingerprint


def test_lists_twenty_alternatives_at_most(standin: StandIn) -> None:
    """With 30 labels the mass beyond the 20 likeliest is not shown."""
    labels = [f"label {n}" for n in range(30)]
    rows = "\n".join(f'{100 + n}: "{label}"' for n, label in enumerate(labels))
    schema = {
        **SCHEMA,
        "properties": {"label": {"type": "string", "enum": [str(100 + n) for n in range(30)]}},
    }
    messages = [{"role": "system", "content": rows}, {"role": "user", "content": '{"text": "lovely"}'}]
    with client(standin) as ai:
        answer = ask(ai, messages=messages, response_format=wanted(schema), logprobs=True, top_logprobs=20)
    code = json.loads(answer.choices[0].message.content)["label"]
    entry = next(entry for entry in answer.choices[0].logprobs.content if entry.token == code)
    assert len(entry.top_logprobs) == 20
    assert sum(math.exp(top.logprob) for top in entry.top_logprobs) < 0.99


def test_batches_of_items_echo_ids(standin: StandIn) -> None:
    """Several texts in one call are answered each with its id."""
    row = {
        **SCHEMA,
        "properties": {"id": {"type": "string"}, **SCHEMA["properties"]},
        "required": ["id", "label"],
    }
    schema = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": row}},
        "required": ["answers"],
        "additionalProperties": False,
    }
    items = json.dumps({"items": [{"id": "x1", "text": "awful"}, {"id": "x2", "text": "lovely"}]})
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": items}]
    with client(standin) as ai:
        answer = ask(ai, messages=messages, response_format=wanted(schema))
    assert json.loads(answer.choices[0].message.content) == {
        "answers": [{"id": "x1", "label": "B"}, {"id": "x2", "label": "A"}]
    }
    assert standin.calls.paid_by_text() == {text_hash("awful"): 1, text_hash("lovely"): 1}


def test_choices_and_truncation(standin: StandIn) -> None:
    """`n` gives that many choices; a small limit cuts the answer and says so."""
    with client(standin) as ai:
        assert len(ask(ai, n=3, temperature=1).choices) == 3
        cut = ask(ai, max_completion_tokens=2).choices[0]
    assert (cut.message.content, cut.finish_reason) == ('{"label', "length")


def test_prompt_cache_is_simulated(standin: StandIn) -> None:
    """A long prefix that was seen before is counted as cached, in steps of 128 tokens."""
    messages = [
        {"role": "system", "content": SYSTEM + "x" * 8000},
        {"role": "user", "content": '{"text":"?"}'},
    ]
    with client(standin) as ai:
        usages = [ask(ai, messages=messages).usage for _ in range(2)]
        short = [ask(ai).usage.prompt_tokens_details.cached_tokens for _ in range(2)]
    cached = [usage.prompt_tokens_details.cached_tokens for usage in usages]
    assert (cached[0], cached[1] % 128, short) == (0, 0, [0, 0])
    assert 1900 < cached[1] <= usages[1].prompt_tokens


REFUSED: list[tuple[Profile, dict[str, Any], str]] = [
    (NO_SCHEMA, {}, "response_format"),
    (PLAIN, {}, "max_completion_tokens"),
    (PLAIN, {"max_completion_tokens": None, "response_format": {"type": "json_object"}}, "response_format"),
    (LOGPROBS_REFUSED, {"logprobs": True}, "logprobs"),
    (REASONING, {}, "temperature"),
    (REASONING, {"temperature": None, "max_completion_tokens": None, "max_tokens": 9}, "max_tokens"),
    (REASONING, {"temperature": None, "logprobs": True}, "logprobs"),
]


@pytest.mark.parametrize(("profile", "options", "param"), REFUSED)
def test_profiles_refuse(profile: Profile, options: dict[str, Any], param: str) -> None:
    """What an endpoint cannot do is a 400 that names the parameter, and costs nothing."""
    with StandIn(POLICY, profile=profile) as standin, client(standin) as ai:
        with pytest.raises(openai.BadRequestError) as refusal:
            ask(ai, **options)
        assert refusal.value.param == param
        assert standin.calls.paid() == []


def test_logprobs_may_be_left_out_or_forbidden() -> None:
    """One kind of endpoint ignores the wish, another answers 403."""
    with StandIn(POLICY, profile=NO_LOGPROBS) as standin, client(standin) as ai:
        assert ask(ai, logprobs=True).choices[0].logprobs is None
    forbidding = StandIn(POLICY, profile=REASONING_FORBIDDING)
    with forbidding, client(forbidding) as ai, pytest.raises(openai.PermissionDeniedError):
        ask(ai, temperature=None, logprobs=True)


def test_reasoning_is_paid_and_may_leave_no_room() -> None:
    """Reasoning tokens stand in the usage; when they use the limit up, nothing is said."""
    with StandIn(POLICY, profile=REASONING) as standin, client(standin) as ai:
        answer = ask(ai, temperature=None, max_completion_tokens=1024)
        usage = answer.usage
        assert answer.choices[0].message.content == '{"label":"A"}'
        assert usage.completion_tokens > usage.completion_tokens_details.reasoning_tokens > 0
        silent = ask(ai, temperature=None).choices[0]
        assert (silent.message.content, silent.finish_reason) == ("", "length")


BAD_SCHEMAS = [
    {**SCHEMA, "additionalProperties": True},
    {**SCHEMA, "required": []},
    {**SCHEMA, "properties": {"label": {"type": "string", "enum": []}}},
    {**SCHEMA, "properties": {"label": {"type": "text"}}},
    {**SCHEMA, "properties": {"label": {"type": "array"}}},
    {**SCHEMA, "type": "array"},
]


@pytest.mark.parametrize("schema", BAD_SCHEMAS)
def test_schemas_are_checked(standin: StandIn, schema: dict[str, Any]) -> None:
    """Strict mode takes closed objects with all keys required, and says so otherwise."""
    with client(standin) as ai, pytest.raises(openai.BadRequestError) as refusal:
        ask(ai, response_format=wanted(schema))
    assert refusal.value.code == "invalid_json_schema"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "gpt-none"}, openai.NotFoundError),
        ({"messages": []}, openai.BadRequestError),
        ({"max_completion_tokens": 0}, openai.BadRequestError),
        ({"top_logprobs": 5}, openai.BadRequestError),
        ({"logprobs": True, "top_logprobs": 21}, openai.BadRequestError),
        ({"response_format": {"type": "xml"}}, openai.BadRequestError),
        (
            {"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "hm"}]},
            openai.BadRequestError,
        ),
    ],
)
def test_requests_are_checked(standin: StandIn, options: dict[str, Any], error: type[Exception]) -> None:
    """What OpenAI would refuse is refused."""
    with client(standin) as ai, pytest.raises(error):
        ask(ai, **options)


def test_asks_for_a_key(standin: StandIn) -> None:
    """Without a key 401, on both kinds of path; a body that is no JSON is a 400."""
    connection = http.client.HTTPConnection("127.0.0.1", standin.port)
    for path in ("/v1/chat/completions", "/openai/v1/models"):
        connection.request("POST", path, "{}")
        response = connection.getresponse()
        assert (response.status, "error" in json.loads(response.read())) == (401, True)
    connection.request("POST", "/v1/chat/completions", "{not json", {"Authorization": "Bearer x"})
    assert connection.getresponse().status == 400
    connection.close()


def test_azure_paths(standin: StandIn) -> None:
    """The deployment's path, the v1 path and the Entra token work; Azure's own refusals are worded as Azure's."""
    with azure_client(standin) as ai:
        answer = ask(ai)
        assert answer.choices[0].content_filter_results["hate"] == {"filtered": False, "severity": "safe"}
        assert answer.prompt_filter_results[0]["prompt_index"] == 0
        with pytest.raises(openai.NotFoundError) as missing:
            ask(ai, model="no-such-deployment")
        assert missing.value.code == "DeploymentNotFound"
        with pytest.raises(openai.RateLimitError) as limited:
            ask(ai, "x [[behaviour:rate_limit]]")
        assert limited.value.code == "429"
        with pytest.raises(openai.RateLimitError) as poor:
            ask(ai, "x [[behaviour:quota]]")
        assert poor.value.code == "insufficient_quota"
    with azure_client(standin, api_version="") as ai, pytest.raises(openai.NotFoundError):
        ask(ai)
    with azure_client(standin, api_key=None, azure_ad_token="token", azure_deployment=MODEL) as ai:
        assert ask(ai).choices[0].message.content == '{"label":"A"}'
    with openai.OpenAI(base_url=f"{standin.azure_endpoint}/openai/v1/", api_key="any") as ai:
        assert ask(ai).choices[0].content_filter_results is not None


def test_lists_models(standin: StandIn) -> None:
    """What it answers for is listed, and nothing else is found."""
    with client(standin) as ai:
        assert MODEL in [model.id for model in ai.models.list()]
        assert ai.models.retrieve(MODEL).owned_by == "stand-in"
        with pytest.raises(openai.NotFoundError):
            ai.models.retrieve("gpt-none")


def test_listens_on_loopback_only(standin: StandIn) -> None:
    """Nobody outside of this machine reaches it."""
    assert standin._server.server_address[0] == "127.0.0.1"


def test_runs_as_a_program() -> None:
    """`python -m ml_backend.standin` says what it is and where, and answers."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "ml_backend.standin", "--port", "0", "--latency-s", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        url = re.search(r"OPENAI_BASE_URL=(\S+)", "".join(lines))
        assert url is not None
        assert "not GPT" in lines[0]
        with openai.OpenAI(base_url=url[1], api_key="any", max_retries=0) as ai:
            assert ask(ai, "I have a complaint").choices[0].message.content == '{"label":"B"}'
        process.send_signal(signal.SIGINT)
        assert "'calls': 1" in process.stdout.read()
    assert process.returncode == 0


def test_a_behaviour_that_does_not_exist_is_told() -> None:
    """A slip in a marker is a 400 that names the known ones; the connection stays."""
    with StandIn(POLICY) as standin, pytest.raises(openai.BadRequestError) as raised:
        ask(client(standin), "lovely [[behaviour:refusl]]")
    assert "'refusl'" in str(raised.value)
    assert "refusal" in str(raised.value).replace("refusl", "")
    assert standin.calls.all()[0].status == 400


def test_a_deployment_answers_with_the_name_of_its_model() -> None:
    """As Azure does: what a deployment is called says nothing of what it serves."""
    with StandIn(POLICY) as standin:
        standin.models.deploy("cheap", "gpt-4.1")
        assert ask(azure_client(standin), model="cheap").model == "gpt-4.1"
        assert [call.model for call in standin.calls.all()] == ["cheap"]


def test_a_port_in_use_is_one_line() -> None:
    """`python -m ml_backend.standin` says which port, and ends with 2."""
    with StandIn(POLICY) as standin:
        done = subprocess.run(
            [sys.executable, "-m", "ml_backend.standin", "--port", str(standin.port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert str(standin.port) in done.stderr
