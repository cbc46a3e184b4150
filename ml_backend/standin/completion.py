"""A chat completion as it stands on the wire: content, log-probabilities, usage, finish reason."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ale.types import Usage
from ml_backend.standin import tokens
from ml_backend.standin.profiles import TOP_LOGPROBS

FINGERPRINT = "fp_stand_in_not_gpt"
SURE = 0.999
"""Probability of every token that no label hangs on."""

FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the reply. Where it names a label, `choices` are the texts that could stand there, with
    their probabilities.
    """

    text: str
    choices: Mapping[str, float] | None = None


Pieces = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """One choice, before it is put on the wire. `content` None = nothing was said."""

    content: Pieces | None
    refusal: str | None = None
    finish_reason: str = "stop"
    reasoning_tokens: int = 0

    @property
    def text(self) -> str | None:
        """The content as one string."""
        return None if self.content is None else "".join(piece.text for piece in self.content)

    @property
    def tokens(self) -> int:
        """Completion tokens, reasoning included."""
        said = "".join(piece.text for piece in self.content or ()) + (self.refusal or "")
        return self.reasoning_tokens + len(tokens.pieces(said))


def within(completion: Completion, limit: int | None) -> Completion:
    """The completion cut at the limit, with finish reason `length`, as a model stops there.

    Reasoning comes first: when it uses the limit up, the content is empty.
    """
    if limit is None or completion.tokens <= limit or completion.content is None:
        return completion
    reasoning = min(completion.reasoning_tokens, limit)
    left = limit - reasoning
    kept: list[Piece] = []
    for piece in completion.content:
        parts = tokens.pieces(piece.text)
        kept.append(Piece("".join(parts[:left]), piece.choices if len(parts) <= left else None))
        left -= len(parts)
        if left <= 0:
            break
    return Completion(tuple(kept), completion.refusal, "length", reasoning)


def body(
    completions: Sequence[Completion],
    *,
    number: int,
    model: str,
    usage: Usage,
    top_logprobs: int | None,
    azure: bool,
) -> dict[str, Any]:
    """The `chat.completion` object; `top_logprobs` None = no log-probabilities."""
    choices = []
    for index, completion in enumerate(completions):
        choice: dict[str, Any] = {
            "index": index,
            "message": {
                "role": "assistant",
                "content": completion.text,
                "refusal": completion.refusal,
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": completion.finish_reason,
        }
        if top_logprobs is not None and completion.content is not None:
            choice["logprobs"] = {"content": logprobs(completion.content, top_logprobs), "refusal": None}
        if azure:
            choice["content_filter_results"] = filter_results(completion.finish_reason == "content_filter")
        choices.append(choice)
    answer: dict[str, Any] = {
        "id": f"chatcmpl-stand-in-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "total_tokens": usage.total,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": sum(completion.reasoning_tokens for completion in completions),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    if azure:
        answer["prompt_filter_results"] = [
            {"prompt_index": 0, "content_filter_results": filter_results(filtered=False)}
        ]
    return answer


def filter_results(filtered: bool, what: str = "violence") -> dict[str, Any]:
    """Azure's verdict by kind of harm."""
    return {
        kind: {
            "filtered": filtered and kind == what,
            "severity": "medium" if filtered and kind == what else "safe",
        }
        for kind in ("hate", "self_harm", "sexual", "violence")
    }


def logprobs(content: Pieces, top: int) -> list[dict[str, Any]]:
    """One entry per token, with the `top` likeliest alternatives.

    A label's probabilities stand at its first token. Labels that begin with the same token share that
    entry, as they do with a real tokenizer.
    """
    entries = []
    for piece in content:
        for position, token in enumerate(tokens.pieces(piece.text)):
            firsts = _first_tokens(piece.choices) if piece.choices and position == 0 else {token: SURE}
            entries.append(_entry(token, firsts, top))
    return entries


def _first_tokens(choices: Mapping[str, float]) -> dict[str, float]:
    firsts: dict[str, float] = {}
    for text, probability in choices.items():
        token = next(iter(tokens.pieces(text)), "")
        firsts[token] = firsts.get(token, 0.0) + probability
    return firsts


def _entry(token: str, alternatives: Mapping[str, float], top: int) -> dict[str, Any]:
    ranked = sorted(alternatives.items(), key=lambda pair: -pair[1])[: min(top, TOP_LOGPROBS)]
    return {
        **_token(token, alternatives.get(token, FLOOR)),
        "top_logprobs": [_token(other, probability) for other, probability in ranked],
    }


def _token(token: str, probability: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": math.log(min(1.0, max(FLOOR, probability))),
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }
