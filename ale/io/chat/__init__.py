"""Chats: endpoints with a language model behind them, over HTTP.

Importing this package is cheap; the `openai` package is imported at the first request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ale.chat import Capabilities
from ale.errors import UnknownName

if TYPE_CHECKING:
    from ale.io.chat.openai_chat import CompletionsChat

DEFAULT_MODEL = "gpt-4.1-mini"
"""The model that `openai` means, where nothing names another."""


@dataclass(frozen=True, slots=True)
class ChatSpec:
    """Which model to ask, where and as whom.

    `url` is OpenAI's own when empty, else a compatible server's base URL or the Azure resource's endpoint.
    With Azure, `deployment` is the model's name when empty, and an empty key means Entra ID. `known` are
    capabilities remembered from before; `name` replaces the one that is made of provider and model.
    """

    model: str
    provider: Literal["openai", "azure"] = "openai"
    api_key: str = field(default="", repr=False)
    url: str = ""
    deployment: str = ""
    api_version: str = ""
    timeout_s: float = 60.0
    known: Capabilities | None = None
    name: str = ""


def make_chat(spec: ChatSpec) -> CompletionsChat:
    """The chat of a spec, without retries or limits: wrap it in a `PoliteChat`. Raises ConfigurationError."""
    from ale.io.chat.entra import entra_tokens
    from ale.io.chat.openai_chat import OPENAI_URL, AzureChat, OpenAIChat

    if spec.provider == "openai":
        return OpenAIChat(
            spec.model,
            spec.api_key,
            spec.url or OPENAI_URL,
            timeout_s=spec.timeout_s,
            known=spec.known,
            name=spec.name,
        )
    if spec.provider == "azure":
        return AzureChat(
            spec.url,
            spec.deployment or spec.model,
            spec.api_version,
            api_key=spec.api_key,
            token=None if spec.api_key else entra_tokens(),
            model=spec.model,
            timeout_s=spec.timeout_s,
            known=spec.known,
            name=spec.name,
        )
    raise UnknownName("provider", spec.provider, ["openai", "azure"])
