"""What an endpoint understands, found by asking it once, and remembered.

One tiny question is asked with everything on. What the endpoint refuses by name is left out, what it silently
ignores is noticed in its reply. Where it refuses without a name, the question starts bare and grows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol
from weakref import WeakKeyDictionary

from ale.chat import Capabilities, ChatReply, ChatRequest, Message
from ale.errors import ContentFiltered, TeacherRefused
from ale.io.chat.faults import NoRoom, ParameterRefused

Send = Callable[[ChatRequest, Capabilities], Awaitable[ChatReply]]

QUESTION = ChatRequest(
    # Nothing here asks for a label: a reply that fits the schema shows that the endpoint keeps to it.
    messages=(Message("user", "Say hello, as a JSON object."),),
    # Room for reasoning models, which think before they greet. Only what is used is charged.
    max_tokens=1024,
    schema={
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["A", "B"]}},
        "required": ["label"],
        "additionalProperties": False,
    },
    logprobs=True,
)


class Endpoint(Protocol):
    """What the probe needs of a chat: one request, sent as it is told, and a first guess."""

    @property
    def name(self) -> str:
        """Provider and model."""
        ...

    @property
    def guess(self) -> Capabilities:
        """What the probe starts from."""
        ...

    @property
    def known(self) -> Capabilities | None:
        """Capabilities from before, which make a probe needless."""
        ...

    async def send(self, request: ChatRequest, can: Capabilities) -> ChatReply:
        """One HTTP request, no retry. Raises ParameterRefused, and what `Chat.complete` raises."""
        ...


class Dialect:
    """Asks in the way that the endpoint understands. `known` are capabilities remembered from before."""

    def __init__(self, send: Send, guess: Capabilities, known: Capabilities | None = None) -> None:
        self._send = send
        self._guess = guess
        self._known = known
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def capabilities(self) -> Capabilities:
        """Found at the first call, which all that come meanwhile wait for."""
        if self._known is not None:
            return self._known
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._known is None:
                self._known = await probe(self._send, self._guess)
            return self._known

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. A parameter that is refused after all makes the endpoint be probed once again."""
        can = await self.capabilities()
        try:
            return await self._reply(request, can)
        except ParameterRefused as refused:
            if refused.parameter is None:
                raise
            changed = await self._again(can, refused.parameter)
            if changed == can:
                raise
        return await self._reply(request, changed)

    async def _reply(self, request: ChatRequest, can: Capabilities) -> ChatReply:
        try:
            return await self._send(request, can)
        except NoRoom:
            # To the asker this is one more answer that was cut off, just earlier than most.
            return ChatReply(content=None, finish_reason="length")

    async def _again(self, can: Capabilities, refused: str) -> Capabilities:
        """Capabilities after a refusal in spite of a probe: what a new probe finds, less what was refused."""
        if self._known is can:  # else another call that was refused has already asked again
            self._known = None
        found = await self.capabilities()
        if found == can:
            found = self._known = without(can, refused)
        return found


async def probe(send: Send, guess: Capabilities) -> Capabilities:
    """What the endpoint understands. Raises TeacherRefused when it refuses even the barest question."""
    can = guess
    tried: list[Capabilities] = []
    while True:
        tried.append(can)
        try:
            seen = as_seen(can, await send(QUESTION, can))
        except ParameterRefused as refused:
            if refused.parameter is None:
                return await _from_the_bottom(send, guess)
            seen = without(can, refused.parameter)
            if seen in tried:
                raise
        except (NoRoom, ContentFiltered) as refusal:
            raise TeacherRefused(
                f"a harmless question of {QUESTION.max_tokens} tokens was refused: {refusal}",
                reason="bad_request",
            ) from refusal
        else:
            if seen.structured == can.structured:
                return seen
        can = seen


async def _from_the_bottom(send: Send, guess: Capabilities) -> Capabilities:
    """For endpoints that refuse without saying what: the bare question, then one thing more at a time."""
    can = Capabilities(structured="plain", logprobs=False, temperature=False, limit_name=guess.limit_name)
    try:
        await send(QUESTION, can)
    except ParameterRefused:
        can = without(can, "limit_name")
        await send(QUESTION, can)
    more: tuple[tuple[str, object], ...] = (
        ("structured", "json"),
        ("structured", "schema"),
        ("logprobs", True),
        ("temperature", True),
    )
    for name, value in more:
        richer: Capabilities = replace(can, **{name: value})  # type: ignore[arg-type]
        try:
            seen = as_seen(richer, await send(QUESTION, richer))
        except ParameterRefused:
            continue
        can = seen if getattr(seen, name) == value else can
    return can


def without(can: Capabilities, parameter: str) -> Capabilities:
    """One step down: the same capabilities less the one that was refused; the same when it is off already.

    A model that takes no temperature is one that reasons: from there on it is asked to reason little.
    """
    if parameter == "response_format":
        return replace(can, structured="json" if can.structured == "schema" else "plain")
    if parameter == "limit_name":
        old = can.limit_name == "max_tokens"
        return replace(can, limit_name="max_completion_tokens" if old else "max_tokens")
    if parameter == "logprobs":
        return replace(can, logprobs=False)
    if parameter == "low_effort":
        return replace(can, low_effort=False)
    return replace(can, temperature=False, low_effort=can.temperature or can.low_effort)


def as_seen(can: Capabilities, reply: ChatReply) -> Capabilities:
    """The capabilities that the reply to the question bears out."""
    seen = replace(can, logprobs=can.logprobs and reply.tokens is not None)
    if reply.finish_reason == "length" or can.structured == "plain":
        return seen  # a cut-off reply tells nothing about its form
    try:
        answer = json.loads(reply.content or "")
    except ValueError:
        answer = None
    if isinstance(answer, dict) and (can.structured == "json" or list(answer) == ["label"]):
        return seen
    return without(seen, "response_format")
