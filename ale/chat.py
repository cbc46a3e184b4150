"""What is said to a language model and what comes back, and who watches over the conversation. Values only.

`Chat` is an endpoint with a model behind it. `Limiter` and `Meter` are asked before each call and told after
it; the engine has simple ones of its own, the backend has ones that all workers share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ale.types import Usage


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. `max_tokens` bounds the completion, reasoning included.

    `schema` is the JSON schema of the wanted answer; the chat sends it as the endpoint understands it
    (schema, JSON mode, or not at all). `logprobs` asks for the 20 likeliest tokens at each position.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    logprobs: bool = False
    temperature: float | None = 0.0


@dataclass(frozen=True, slots=True)
class TokenProbs:
    """One token of the reply with its log-probability, and the likeliest alternatives (itself included)."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What the model said, verbatim. `finish_reason` is the provider's word: stop, length, content_filter...

    `model` is who answered, as the endpoint says: behind a deployment's name it is the model's own. Empty where
    it does not say.
    """

    content: str | None
    refusal: str | None = None
    finish_reason: str = "stop"
    tokens: tuple[TokenProbs, ...] | None = None
    usage: Usage = field(default_factory=Usage)
    model: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an endpoint with a model can do, as found by asking it once.

    `low_effort`: the model reasons before it answers, and can be told to reason little.
    """

    structured: Literal["schema", "json", "plain"] = "schema"
    logprobs: bool = True
    temperature: bool = True
    limit_name: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    low_effort: bool = False


class Chat(Protocol):
    """An endpoint with a model. `name` tells provider and model, e.g. `openai:gpt-4.1-mini`."""

    name: str

    async def capabilities(self) -> Capabilities:
        """Found once and remembered. Raises TeacherUnavailable."""
        ...

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises ContentFiltered for this question, TeacherUnavailable for the endpoint."""
        ...


class Limiter(Protocol):
    """Keeps the rate, for all who share it, and stays away from an endpoint that is down (circuit breaker)."""

    async def acquire(self, tokens: int) -> None:
        """Return when one request of about that many tokens may be sent. Raises TeacherUnavailable when open."""
        ...

    async def pause(self, seconds: float) -> None:
        """The provider asked everybody to wait."""
        ...

    async def failed(self, reason: str, *, for_good: bool) -> None:
        """A call failed after its retries; enough of these in a row, or one `for_good`, open the breaker."""
        ...

    async def succeeded(self) -> None:
        """A call was answered: the breaker's count starts again."""
        ...


@dataclass(frozen=True, slots=True)
class Ticket:
    """A reservation: the most that a call may cost."""

    id: str
    tokens: int
    usd: float


class Meter(Protocol):
    """Keeps the budget: reserve before each call, settle or release after it."""

    async def reserve(self, prompt: int, completion: int) -> Ticket:
        """Set aside the most that a call may cost. Raises BudgetReached (then nothing is set aside)."""
        ...

    async def settle(self, ticket: Ticket, usage: Usage, model: str = "") -> None:
        """The call was answered by that model and cost this much.

        Raises TeacherRefused, after having counted it, when that model has another price than the one we
        charge by: the budget would not be kept.
        """
        ...

    async def release(self, ticket: Ticket) -> None:
        """The call surely cost nothing. A call whose fate is unknown is settled at its ticket instead."""
        ...

    async def lost(self, ticket: Ticket) -> None:
        """The call's fate is unknown (time-out, reset): counted as spent to the full."""
        ...
