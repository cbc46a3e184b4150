"""Chat completions through the `openai` package: OpenAI, Azure OpenAI, and every server that speaks the same.

The package's own retries are off (`PoliteChat` has the one retry layer) and every request has a deadline. It is
imported at the first request: it takes a second and some 800 modules.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ale.chat import Capabilities, ChatReply, ChatRequest
from ale.errors import ConfigurationError
from ale.io.chat.faults import from_exception
from ale.io.chat.loops import OnePerLoop
from ale.io.chat.probe import Dialect
from ale.io.chat.replies import parse_reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_S = 5.0
REQUEST_S = 60.0
TOP_LOGPROBS = 20
"""The most that OpenAI lists at one position."""

TokenProvider = Callable[[], Awaitable[str]]

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


class CompletionsChat(ABC):
    """What all endpoints have in common: one request, its deadline, its errors, and the probe.

    `asked` is what the request calls the model, `model` the one that prices and tokens go by, `name` is part
    of what stored answers are keyed by. `known` are capabilities remembered from before.
    """

    def __init__(
        self,
        *,
        asked: str,
        model: str,
        name: str,
        url: str,
        guess: Capabilities,
        known: Capabilities | None,
        timeout_s: float,
    ) -> None:
        self.name = name
        self.model = model
        self.guess = guess
        self.known = known
        self.answered_by = ""
        """Who gave the last reply, as the endpoint says."""
        self._asked = asked
        self._url = url
        self._place = f"{name} at {host_of(url)}"
        self._timeout_s = timeout_s
        self._clients: OnePerLoop[AsyncOpenAI] = OnePerLoop(self._new_client)
        self._dialect = Dialect(self.send, guess, known)

    async def capabilities(self) -> Capabilities:
        """Found once and remembered. Raises TeacherUnavailable."""
        return await self._dialect.capabilities()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply. Raises ContentFiltered for this question, TeacherUnavailable for the endpoint."""
        return await self._dialect.complete(request)

    async def send(self, request: ChatRequest, can: Capabilities) -> ChatReply:
        """One HTTP request, no retry. Raises ParameterRefused and NoRoom, and what `complete` raises."""
        import openai

        client = await self._clients.get()
        try:
            # The package's time-outs are per read; a server that drips would never meet them.
            async with asyncio.timeout(self._timeout_s):
                raw = await client.chat.completions.with_raw_response.create(
                    **request_body(self._asked, request, can)
                )
            body = raw.content
        except (openai.APIError, TimeoutError) as error:
            fault = from_exception(error, self._place)
        else:
            reply = parse_reply(body, self._place)
            self.answered_by = reply.model
            return reply
        # Outside of the `except`: the original's text holds what the provider echoes, and must not hang on.
        raise fault

    @abstractmethod
    def _new_client(self) -> AsyncOpenAI: ...


class OpenAIChat(CompletionsChat):
    """A model at OpenAI, or at the compatible server that `base_url` names (then the key may be empty)."""

    def __init__(
        self,
        model: str,
        api_key: str,
        base_url: str = OPENAI_URL,
        *,
        timeout_s: float = REQUEST_S,
        known: Capabilities | None = None,
        name: str = "",
    ) -> None:
        own = base_url.rstrip("/") == OPENAI_URL
        # A local server needs no key, but the package does.
        self._key = checked_key(api_key, "OPENAI_API_KEY", needed=own) or "none"
        super().__init__(
            asked=model,
            model=model,
            name=name or (f"openai:{model}" if own else f"compatible@{host_of(base_url)}:{model}"),
            url=base_url,
            # Compatible servers all know the old name of the limit; some ignore the new one in silence.
            guess=Capabilities(limit_name="max_completion_tokens" if own else "max_tokens"),
            known=known,
            timeout_s=timeout_s,
        )

    def _new_client(self) -> AsyncOpenAI:
        import openai

        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self._url,
            timeout=openai.Timeout(self._timeout_s, connect=CONNECT_S),
            max_retries=0,
        )


class AzureChat(CompletionsChat):
    """A deployment of an Azure OpenAI resource, with its key or with Entra ID tokens (`ale.io.chat.entra`).

    `model` is the model behind the deployment, where the deployment has another name.
    """

    def __init__(
        self,
        endpoint: str,
        deployment: str,
        api_version: str,
        *,
        api_key: str = "",
        token: TokenProvider | None = None,
        model: str = "",
        timeout_s: float = REQUEST_S,
        known: Capabilities | None = None,
        name: str = "",
    ) -> None:
        if not api_version:
            raise ConfigurationError("Azure OpenAI needs an API version: set OPENAI_API_VERSION")
        self._key = checked_key(api_key, "AZURE_OPENAI_API_KEY", needed=token is None)
        self._token = token
        self._api_version = api_version
        super().__init__(
            asked=deployment,
            model=model or deployment,
            name=name or f"azure@{host_of(endpoint)}:{deployment}",
            url=endpoint,
            guess=Capabilities(),
            known=known,
            timeout_s=timeout_s,
        )

    def _new_client(self) -> AsyncOpenAI:
        import openai

        who: dict[str, Any] = (
            {"api_key": self._key} if self._token is None else {"azure_ad_token_provider": self._token}
        )
        return openai.AsyncAzureOpenAI(
            azure_endpoint=self._url,
            azure_deployment=self._asked,
            api_version=self._api_version,
            timeout=openai.Timeout(self._timeout_s, connect=CONNECT_S),
            max_retries=0,
            **who,
        )


def request_body(asked: str, request: ChatRequest, can: Capabilities) -> dict[str, Any]:
    """What the request wants, as far as the endpoint understands it."""
    arguments: dict[str, Any] = {
        "model": asked,
        "messages": [
            # Half a surrogate pair has no UTF-8; instructions and labels come from configs that people write.
            {"role": m.role, "content": _LONE_SURROGATES.sub("\ufffd", m.content)}
            for m in request.messages
        ],
        can.limit_name: request.max_tokens,
    }
    if can.temperature and request.temperature is not None:
        arguments["temperature"] = request.temperature
    if can.logprobs and request.logprobs:
        arguments |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if can.low_effort:
        # One label of a short list; every token of reasoning is paid, and may leave no room for the answer.
        arguments["reasoning_effort"] = "low"
    if request.schema is not None and can.structured == "schema":
        wanted = {"name": "answer", "strict": True, "schema": request.schema}
        arguments["response_format"] = {"type": "json_schema", "json_schema": wanted}
    elif request.schema is not None and can.structured == "json":
        arguments["response_format"] = {"type": "json_object"}
    return arguments


def host_of(url: str) -> str:
    """Host and port, without user and password. Raises ConfigurationError when this is no web address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in {"http", "https"}:
        raise ConfigurationError("the teacher's address is not like https://host/path: check the URL you set")
    return host if port is None else f"{host}:{port}"


def checked_key(key: str, variable: str, *, needed: bool) -> str:
    """The key without blanks around it; one with odd characters would be quoted by an error far below."""
    key = key.strip()
    if not key and needed:
        raise ConfigurationError(f"the teacher needs an API key: set {variable}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"{variable} holds characters that no API key has; copy it again")
    return key
