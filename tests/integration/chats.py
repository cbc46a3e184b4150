"""Chats that talk to the stand-in over real HTTP, and the question that the tests ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tenacity import wait_none

from ale.chat import Capabilities, ChatReply, ChatRequest, Message
from ale.io.chat.local import LocalLimiter, LocalMeter
from ale.io.chat.openai_chat import AzureChat, CompletionsChat, OpenAIChat
from ale.io.chat.polite import PoliteChat, Retries
from ale.io.chat.prices import Price
from ml_backend.standin import SimulatedPolicy, StandIn

MODEL = "gpt-4.1-mini"
KEY = "sk-test-NEVER-SHOW-THIS"
TEXT = "the-text-that-no-message-may-hold"
FULL_POWER = Capabilities()
PRICE = Price(input=1.0, cached=0.5, output=2.0)
POLICY = SimulatedPolicy({TEXT: "Complaint"}, error_rate=0.0)

Maker = Callable[..., CompletionsChat]


def openai_chat(standin: StandIn, known: Capabilities | None = None, timeout_s: float = 10.0) -> OpenAIChat:
    """As a compatible server."""
    return OpenAIChat(MODEL, KEY, standin.base_url, known=known, timeout_s=timeout_s)


def azure_chat(standin: StandIn, known: Capabilities | None = None, timeout_s: float = 10.0) -> AzureChat:
    """As an Azure resource with a key."""
    return AzureChat(
        standin.azure_endpoint, MODEL, "2024-10-21", api_key=KEY, known=known, timeout_s=timeout_s
    )


MAKERS: dict[str, Maker] = {"openai": openai_chat, "azure": azure_chat}


def question(text: str = TEXT, max_tokens: int = 512) -> ChatRequest:
    """Asks for one of two labels, with all that an endpoint may offer."""
    return ChatRequest(
        messages=(
            Message("system", 'Answer as JSON {"label": ...} with one of:\n- "Complaint"\n- "Praise"\n'),
            Message("user", text),
        ),
        max_tokens=max_tokens,
        schema={
            "type": "object",
            "properties": {"label": {"type": "string", "enum": ["Complaint", "Praise"]}},
            "required": ["label"],
            "additionalProperties": False,
        },
        logprobs=True,
    )


class Time:
    """A clock that goes on only while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Returns at once, that much later."""
        self.slept.append(seconds)
        self.now += seconds


class Polite:
    """A polite chat with all its parts in reach. Waits between attempts go by a clock of its own."""

    def __init__(
        self,
        chat: CompletionsChat,
        *,
        attempts: int = 5,
        limiter: LocalLimiter | None = None,
        meter: LocalMeter | None = None,
    ) -> None:
        self.time = Time()
        self.limiter = limiter or LocalLimiter(clock=self.time.clock, sleep=self.time.sleep)
        self.meter = meter or LocalMeter(MODEL, PRICE)
        retries = Retries(attempts=attempts, wait=wait_none(), sleep=self.time.sleep)
        self.chat = PoliteChat(chat, self.limiter, self.meter, retries)

    def ask(self, request: ChatRequest | None = None) -> ChatReply:
        """One question in a loop of its own."""
        return asyncio.run(self.chat.complete(request or question()))
