"""One chat request, from its JSON to its outcome: check, choose a behaviour, ask the policy, put on the wire."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ale.text import text_hash
from ale.types import Usage
from ml_backend.standin import schema as schemas
from ml_backend.standin import tokens
from ml_backend.standin.asked import Asked, read
from ml_backend.standin.behaviours import FINE, Behaviour
from ml_backend.standin.calls import CallLog
from ml_backend.standin.completion import SURE, Completion, Piece, Pieces, body, within
from ml_backend.standin.errors import ApiError, invalid, model_not_found
from ml_backend.standin.models import Models
from ml_backend.standin.policies import Policy, Said
from ml_backend.standin.profiles import Profile
from ml_backend.standin.script import MARKER, Occasion, Script

REASONING_TOKENS = {"none": 0, "minimal": 16, "low": 48, "medium": 128, "high": 512}
"""What a reasoning model thinks before each answer, by `reasoning_effort`; medium is the default."""

_PLACE = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be sent for a request, and how it is noted."""

    number: int
    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    behaviour: Behaviour = FINE
    usage: Usage = field(default_factory=Usage)


class ChatEndpoint:
    """Answers chat requests; any thread may ask it."""

    def __init__(
        self, policy: Policy, profile: Profile, script: Script, calls: CallLog, models: Models
    ) -> None:
        self._policy = policy
        self._profile = profile
        self._script = script
        self._calls = calls
        self._models = models
        self._cache = tokens.PrefixCache()

    def answer(self, request: Mapping[str, Any], *, azure: bool = False, batch: bool = False) -> Outcome:
        """The outcome of a request. The call is begun in the log; whoever sends the outcome ends it."""
        asked = read(request)
        texts = tuple(item.text for item in asked.items)
        number, before = self._calls.begin(asked.model, [text_hash(text) for text in texts], batch=batch)
        behaviour = FINE
        try:
            behaviour = self._script.choose(Occasion(number, before, texts)) or FINE
            if behaviour.refuse is not None:
                raise behaviour.refuse
            self._check(request)
        except ApiError as error:
            return Outcome(number, error.status, error.body(azure=azure), error.headers, behaviour)
        completions = self._complete(request, before, behaviour)
        usage = self._usage(request, completions)
        shown = self._profile.logprobs == "given" and request.get("logprobs")
        answer = body(
            completions,
            number=number,
            model=self._models.behind(asked.model) or asked.model,
            usage=usage,
            top_logprobs=request.get("top_logprobs", 0) if shown else None,
            azure=azure,
        )
        return Outcome(number, 200, answer, {}, behaviour, usage)

    def _check(self, request: Mapping[str, Any]) -> None:
        """Raises ApiError for what the endpoint would not take."""
        if not isinstance(request.get("model"), str) or request["model"] not in self._models:
            raise model_not_found(str(request.get("model")))
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise invalid("messages", "Invalid 'messages': expected a non-empty array.")
        if request.get("stream"):
            raise invalid("stream", "The stand-in does not stream.", "unsupported_value")
        for name in ("max_tokens", "max_completion_tokens"):
            limit = request.get(name)
            if limit is not None and (not isinstance(limit, int) or limit < 1):
                raise invalid(name, f"Invalid '{name}': integer below minimum value.")
        self._profile.check(request)
        wanted = request.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            schemas.check(wanted)
        if wanted.get("type") == "json_object" and "json" not in json.dumps(messages).casefold():
            raise invalid("messages", "'messages' must contain the word 'json' in some form.")

    def _complete(self, request: Mapping[str, Any], before: int, behaviour: Behaviour) -> list[Completion]:
        temperature = request.get("temperature")
        varies = temperature is None or temperature > 0
        limit = request.get("max_completion_tokens") or request.get("max_tokens")
        completions = []
        for choice in range(request.get("n") or 1):
            asked = read(request, draw=before + choice if varies else 0)
            completion = Completion(self._content(asked), reasoning_tokens=self._reasoning(request))
            if behaviour.alter is not None:
                completion = behaviour.alter(completion)
            completions.append(within(completion, limit))
        return completions

    def _content(self, asked: Asked) -> Pieces:
        items = tuple(replace(item, text=MARKER.sub("", item.text)) for item in asked.items)
        reply = self._policy(replace(asked, items=items))
        if reply.content is not None:
            return (Piece(reply.content),)
        return render(asked, reply.said)

    def _reasoning(self, request: Mapping[str, Any]) -> int:
        if not self._profile.reasoning:
            return 0
        return REASONING_TOKENS.get(
            str(request.get("reasoning_effort", "medium")), REASONING_TOKENS["medium"]
        )

    def _usage(self, request: Mapping[str, Any], completions: list[Completion]) -> Usage:
        schema = json.dumps(request["response_format"]) if request.get("response_format") else ""
        prompt = tokens.rendered(request["messages"], schema)
        size = math.ceil(len(prompt) / tokens.BYTES_PER_TOKEN)
        return Usage(
            prompt=size + tokens.MESSAGE_TOKENS * len(request["messages"]),
            cached=self._cache.cached_tokens(request["model"], prompt),
            completion=sum(completion.tokens for completion in completions),
        )


def render(asked: Asked, said: tuple[Said, ...]) -> Pieces:
    """The JSON of an answer in the shape that was asked for, cut where labels stand."""
    labels: list[Piece] = []

    def value(name: str, leaf: Mapping[str, Any], item: int) -> Any:
        judgement = said[item] if item < len(said) else Said("")
        enum = [str(word) for word in leaf.get("enum", [])]
        if name in schemas.ID_NAMES:
            return asked.items[item].id if item < len(asked.items) else "1"
        if leaf.get("type") in {"number", "integer"}:
            return _number(leaf, judgement.confidence)
        if leaf.get("type") == "boolean":
            return False
        if name == "label" or set(enum) & set(asked.labels):
            labels.append(_label(asked, judgement))
            return f"\ue000{len(labels) - 1}\ue001"
        return enum[0] if enum else "This is a stand-in; it has nothing to say."

    filled = schemas.fill(asked.schema, range(len(asked.items)), value)
    parts = _PLACE.split(json.dumps(filled, ensure_ascii=False, separators=(",", ":")))
    return tuple(
        labels[int(part)] if place % 2 else Piece(part)
        for place, part in enumerate(parts)
        if part or place % 2
    )


def _label(asked: Asked, said: Said) -> Piece:
    """What is written for a label, with the probabilities of all that could be written there."""
    written = next((word for word, label in asked.labels.items() if label == said.label), said.label)
    rest = (1 - SURE) / max(1, len(asked.labels) - 1)
    choices = {
        word: said.probs.get(label, 0.0) if said.probs else SURE if word == written else rest
        for word, label in asked.labels.items()
    }
    return Piece(json.dumps(written, ensure_ascii=False)[1:-1], choices or {written: SURE})


def _number(leaf: Mapping[str, Any], confidence: float) -> float:
    """The stated confidence, on the scale of the schema: to 1, or to 100."""
    if leaf.get("type") == "integer" or leaf.get("maximum", 1) == 100:
        return round(100 * confidence)
    return round(confidence, 2)
