"""What an endpoint can do, and how it says that it cannot: one profile per kind of endpoint that is met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ml_backend.standin.errors import ApiError, invalid, unsupported_parameter, unsupported_value

TOP_LOGPROBS = 20
"""The most alternatives that are listed at one position."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Capabilities of the model behind the endpoint.

    `logprobs`: given, silently left out, refused by name (400), or forbidden (403, without naming it).
    `reasoning` models think before they answer: tokens that are paid for and count against the limit. How much
    they think can be asked for where there is `effort`; elsewhere the wish is refused by name.
    """

    name: str
    schema: bool = True
    json_mode: bool = True
    logprobs: Literal["given", "ignored", "refused", "forbidden"] = "given"
    temperature: bool = True
    limits: tuple[str, ...] = ("max_completion_tokens", "max_tokens")
    reasoning: bool = False
    effort: bool = False

    def check(self, body: Mapping[str, Any]) -> None:
        """Raises ApiError 400 or 403 for the first parameter that this model does not take."""
        for name, other in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")):
            if body.get(name) is not None and name not in self.limits:
                raise unsupported_parameter(name, other)
        if not self.temperature:
            for name in ("temperature", "top_p"):
                if body.get(name) not in {None, 1}:
                    raise unsupported_value(name, body[name])
        if body.get("reasoning_effort") is not None and not self.effort:
            raise unsupported_parameter("reasoning_effort")
        self._check_format(body)
        self._check_logprobs(body)

    def _check_format(self, body: Mapping[str, Any]) -> None:
        wanted = body.get("response_format") or {"type": "text"}
        kind = wanted.get("type") if isinstance(wanted, Mapping) else None
        if kind not in {"text", "json_object", "json_schema"}:
            raise invalid(
                "response_format.type",
                f"Invalid value: {kind!r}. Supported values are: 'json_object', 'json_schema', and 'text'.",
            )
        if (kind == "json_schema" and not self.schema) or (kind == "json_object" and not self.json_mode):
            raise ApiError(
                400,
                f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model.",
                param="response_format",
            )

    def _check_logprobs(self, body: Mapping[str, Any]) -> None:
        top = body.get("top_logprobs")
        if top is not None and not body.get("logprobs"):
            raise invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.")
        if top is not None and (not isinstance(top, int) or not 0 <= top <= TOP_LOGPROBS):
            raise invalid("top_logprobs", f"Invalid 'top_logprobs': {top!r} is not between 0 and 20.")
        if body.get("logprobs") and self.logprobs == "refused":
            raise unsupported_parameter("logprobs")
        if body.get("logprobs") and self.logprobs == "forbidden":
            raise ApiError(403, "You are not allowed to request logprobs from this model.")


FULL = Profile("full")
NO_LOGPROBS = Profile("no-logprobs", logprobs="ignored")
LOGPROBS_REFUSED = Profile("logprobs-refused", logprobs="refused")
NO_SCHEMA = Profile("no-schema", schema=False)
REASONING = Profile(
    "reasoning",
    logprobs="refused",
    temperature=False,
    limits=("max_completion_tokens",),
    reasoning=True,
    effort=True,
)
REASONING_FORBIDDING = Profile(
    "reasoning-forbidding",
    logprobs="forbidden",
    temperature=False,
    limits=("max_completion_tokens",),
    reasoning=True,
)
PLAIN = Profile("plain", schema=False, json_mode=False, logprobs="ignored", limits=("max_tokens",))
"""A small compatible server: no structured output, and only the old name of the token limit."""

PROFILES = {
    profile.name: profile
    for profile in (FULL, NO_LOGPROBS, LOGPROBS_REFUSED, NO_SCHEMA, REASONING, REASONING_FORBIDDING, PLAIN)
}
