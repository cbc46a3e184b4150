"""The body of a chat completion becomes a `ChatReply`. Strict about what must be there, patient with the rest.

The `openai` package builds its reply objects without checking them, so that a login page or a sloppy server
gives objects whose fields are not what their types say. Here the JSON itself is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ale.chat import ChatReply, TokenProbs
from ale.io.chat.faults import from_response, not_an_api
from ale.types import Usage

UNLIKELY = -9999.0
"""What providers write for a token that is out of reach, and what we read where they give no number."""


def parse_reply(body: bytes, place: str) -> ChatReply:
    """The first choice. Raises TeacherUnavailable when this is not a chat completion, and what an `error`
    inside of a 200 stands for (some routers answer so).
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, Mapping):
        raise not_an_api(place)
    error = data.get("error")
    if isinstance(error, Mapping):
        code = error.get("code")
        raise from_response(code if isinstance(code, int) else 500, error, {}, place)
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise not_an_api(place)
    refusal = message.get("refusal")
    return ChatReply(
        content=_content(message.get("content")),
        refusal=refusal if isinstance(refusal, str) and refusal else None,
        finish_reason=str(choice.get("finish_reason") or "stop"),
        tokens=_tokens(choice.get("logprobs")),
        usage=_usage(data.get("usage")),
        model=_word(data.get("model")),
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _content(content: object) -> str | None:
    """A string as it is. Of a list of parts the last text: what comes before an answer is commentary."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = next((text for text in reversed(texts) if isinstance(text, str)), None)
    return content if isinstance(content, str) else None


def _tokens(logprobs: object) -> tuple[TokenProbs, ...] | None:
    """None when the endpoint gives no log-probabilities."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list):
        return None
    return tuple(
        TokenProbs(str(token.get("token", "")), _logprob(token.get("logprob")), _top(token))
        for token in content
        if isinstance(token, Mapping)
    )


def _top(token: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    listed = token.get("top_logprobs")
    return tuple(
        (str(other.get("token", "")), _logprob(other.get("logprob")))
        for other in (listed if isinstance(listed, list) else [])
        if isinstance(other, Mapping)
    )


def _logprob(value: object) -> float:
    """A finite number of at most 0: rounding can put a sure token a hair above."""
    if not isinstance(value, (int, float)):
        return UNLIKELY
    # A JSON integer can be larger than any float.
    return float(max(UNLIKELY, min(0.0, value))) if value == value else UNLIKELY  # noqa: PLR0124 - NaN


def _usage(usage: object) -> Usage:
    """Zeros where the endpoint does not tell."""
    if not isinstance(usage, Mapping):
        return Usage()
    details = usage.get("prompt_tokens_details")
    prompt = _count(usage.get("prompt_tokens"))
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    return Usage(prompt, min(cached, prompt), _count(usage.get("completion_tokens")))


def _count(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int) else 0
