"""What the probe finds out about endpoints of different abilities, on OpenAI's paths and on Azure's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from ale.chat import Capabilities, ChatReply, ChatRequest
from ale.errors import TeacherRefused
from ale.io.chat.faults import ParameterRefused
from ale.io.chat.probe import QUESTION, Dialect, probe
from ml_backend.standin import (
    FULL,
    LOGPROBS_REFUSED,
    NO_LOGPROBS,
    NO_SCHEMA,
    PLAIN,
    REASONING,
    REASONING_FORBIDDING,
    Profile,
    Script,
    StandIn,
    error,
    on_calls,
)
from tests.integration.chats import FULL_POWER, MAKERS, POLICY, Maker, Polite, openai_chat, question

THINKS_LITTLE = Capabilities(logprobs=False, temperature=False, low_effort=True)
FOUND = {
    FULL.name: (FULL, FULL_POWER),
    NO_LOGPROBS.name: (NO_LOGPROBS, replace(FULL_POWER, logprobs=False)),
    LOGPROBS_REFUSED.name: (LOGPROBS_REFUSED, replace(FULL_POWER, logprobs=False)),
    NO_SCHEMA.name: (NO_SCHEMA, replace(FULL_POWER, structured="json")),
    REASONING.name: (REASONING, THINKS_LITTLE),
    REASONING_FORBIDDING.name: (REASONING_FORBIDDING, replace(THINKS_LITTLE, low_effort=False)),
    PLAIN.name: (PLAIN, Capabilities("plain", logprobs=False, limit_name="max_tokens")),
}

each_endpoint = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
each_profile = pytest.mark.parametrize(("profile", "expected"), FOUND.values(), ids=FOUND)


@each_endpoint
@each_profile
def test_capabilities_are_found(make: Maker, profile: Profile, expected: Capabilities) -> None:
    """Each ability is found as it is; where both names of the token limit work, the first guess stays."""
    with StandIn(POLICY, profile=profile) as standin:
        found = asyncio.run(make(standin).capabilities())
    both = len(profile.limits) == 2
    assert found == (replace(expected, limit_name=make(standin).guess.limit_name) if both else expected)


@each_endpoint
@each_profile
def test_every_profile_answers(make: Maker, profile: Profile, expected: Capabilities) -> None:
    """The label, what it cost, and log-probabilities where there are some come from any endpoint."""
    with StandIn(POLICY, profile=profile) as standin:
        reply = asyncio.run(make(standin).complete(question()))
    assert json.loads(reply.content or "") == {"label": "Complaint"}
    assert (reply.tokens is not None) == expected.logprobs
    assert reply.usage.prompt > 0
    assert reply.usage.completion > 0


@pytest.mark.parametrize("profile", [FULL, REASONING, REASONING_FORBIDDING], ids=lambda p: p.name)
def test_only_who_reasons_and_can_is_told_to_reason_little(profile: Profile) -> None:
    """It thinks less, and is paid less; who does not reason, or takes no such wish, does not get it."""
    with StandIn(POLICY, profile=profile) as standin:
        found = asyncio.run(openai_chat(standin).capabilities())
    paid = []
    for can in (found, replace(found, low_effort=False)):
        with StandIn(POLICY, profile=profile) as standin:  # a new one: a second answer may be another one
            reply = asyncio.run(openai_chat(standin, known=can).complete(question()))
        paid.append(reply.usage.completion)
    assert paid[1] - paid[0] == (80 if profile is REASONING else 0)  # 48 tokens of thoughts, not 128


@each_endpoint
def test_probe_is_asked_once(make: Maker) -> None:
    """Sixteen first questions at once, then one in another event loop: one probe."""
    with StandIn(POLICY) as standin:
        chat = make(standin)

        async def many() -> None:
            await asyncio.gather(*(chat.complete(question(f"text {n}")) for n in range(16)))

        asyncio.run(many())
        asyncio.run(chat.complete(question("one more")))
        assert len(standin.calls) == 1 + 16 + 1


def test_known_capabilities_save_the_probe() -> None:
    """Capabilities from before are taken at their word."""
    with StandIn(POLICY) as standin:
        asyncio.run(openai_chat(standin, known=FULL_POWER).complete(question()))
        assert len(standin.calls) == 1


@each_endpoint
def test_refusal_in_normal_operation_probes_again(make: Maker) -> None:
    """An endpoint that has lost an ability is asked again what it can do, and the question is answered."""
    with StandIn(POLICY, profile=REASONING) as standin:
        chat = make(standin, known=FULL_POWER)
        reply = asyncio.run(chat.complete(question()))
        assert json.loads(reply.content or "")["label"] in {"Complaint", "Praise"}
        assert asyncio.run(chat.capabilities()) == THINKS_LITTLE


def test_many_refused_at_once_probe_again_once() -> None:
    """Eight questions that are refused at the same time cost one new probe (three steps), not eight."""
    with StandIn(POLICY, profile=REASONING, latency_s=0.02) as standin:
        chat = openai_chat(standin, known=FULL_POWER)

        async def many() -> None:
            await asyncio.gather(*(chat.complete(question(f"text {n}")) for n in range(8)))

        asyncio.run(many())
        assert len(standin.calls) == 8 + 4 + 8  # refused; limit, temperature, logprobs and the one that works


def test_late_refusal_does_not_probe_again() -> None:
    """A question that was sent before a new probe and is refused after it takes what that one has found."""
    probes = 0

    async def run() -> None:
        late = asyncio.Event()

        async def send(request: ChatRequest, can: Capabilities) -> ChatReply:
            nonlocal probes
            probes += request is QUESTION
            if can.logprobs:
                if request.messages[-1].content == "late":
                    await late.wait()
                raise ParameterRefused("no", "logprobs")
            return ChatReply('{"label": "A"}')

        dialect = Dialect(send, FULL_POWER, known=FULL_POWER)
        slow = asyncio.create_task(dialect.complete(question("late")))
        await asyncio.sleep(0)
        await dialect.complete(question("first"))
        late.set()
        await slow

    asyncio.run(run())
    assert probes == 2  # one that is refused, one that works


def test_schema_that_only_the_question_breaks_falls_back() -> None:
    """An endpoint that takes the probe's schema but not ours is asked in JSON mode from then on."""
    ours = replace(question(), schema={"type": "array"})
    with StandIn(POLICY) as standin:
        chat = openai_chat(standin)
        reply = asyncio.run(chat.complete(ours))
        assert json.loads(reply.content or "") == {"label": "Complaint"}
        assert asyncio.run(chat.capabilities()).structured == "json"


def test_probe_retries_and_pays_like_any_call() -> None:
    """Through a polite chat a probe that meets a fault is asked again, and what it cost is counted."""
    with StandIn(POLICY, script=Script(on_calls([1], error(503)))) as standin:
        polite = Polite(openai_chat(standin))
        asyncio.run(polite.chat.capabilities())
        assert standin.calls.statuses() == {503: 1, 200: 1}
        assert polite.meter.usage == standin.calls.usage()
        assert polite.meter.usage.total > 0


def test_nothing_refused_by_name_is_found_from_the_bottom() -> None:
    """A server that says only `bad request` gets the bare question, then one thing more at a time."""
    able = Capabilities("json", logprobs=True, temperature=False, limit_name="max_completion_tokens")
    asked: list[Capabilities] = []

    async def send(request: ChatRequest, can: Capabilities) -> ChatReply:
        asked.append(can)
        return refusing(can, able)

    found = asyncio.run(probe(send, Capabilities(limit_name="max_tokens")))
    assert found == able
    assert len(asked) <= 7


def test_an_endpoint_that_refuses_everything_is_refused() -> None:
    """When even the bare question is called wrong there is nothing to remember, and it is said."""
    asked: list[Capabilities] = []

    async def send(request: ChatRequest, can: Capabilities) -> ChatReply:
        asked.append(can)
        raise unnamed()

    dialect = Dialect(send, FULL_POWER)
    for _ in range(2):
        with pytest.raises(TeacherRefused) as caught:
            asyncio.run(dialect.complete(question()))
        assert caught.value.reason == "bad_request"
    assert len(asked) == 2 * 3  # everything, bare, bare with the other name of the limit


def unnamed() -> TeacherRefused:
    """A 400 that tells nothing."""
    from ale.io.chat.faults import from_response

    refused = from_response(400, {"error": {"message": "Bad Request"}}, {}, "somewhere")
    assert isinstance(refused, TeacherRefused)
    return refused


def refusing(can: Capabilities, able: Capabilities) -> ChatReply:
    """A server's answer that is `able`; it refuses anything more without a name."""
    more = (
        can.limit_name != able.limit_name
        or (can.logprobs and not able.logprobs)
        or (can.temperature and not able.temperature)
        or (can.structured == "schema" and able.structured != "schema")
        or (can.structured == "json" and able.structured == "plain")
    )
    if more:
        raise unnamed()
    return ChatReply('{"greeting": "hello"}', tokens=() if can.logprobs else None)
