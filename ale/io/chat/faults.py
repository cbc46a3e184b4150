"""What an endpoint's errors mean: HTTP statuses and broken connections become the errors of `ale.errors`.

Every message names the endpoint, the status and what to do. None holds a key, a prompt or the text of the
reply: providers echo all three in their error messages, so of those only words of known shape are quoted.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from ale.errors import ContentFiltered, TeacherError, TeacherRefused, TeacherUnavailable

RETRIED = frozenset(
    {"rate_limited", "server_error", "gateway_error", "unreachable", "timeout", "interrupted", "not_an_api"}
)
"""Reasons for which the same question may be asked again."""

LONGEST_WAIT_S = 60.0
"""A provider's wish to be left alone for longer ends the attempts."""

UNCLEAR = frozenset({"gateway_error", "timeout", "interrupted", "not_an_api"})
"""Reasons after which nobody knows whether the model has answered, and so whether the call is charged."""

PARAMETERS = {
    "temperature": "temperature",
    "top_logprobs": "logprobs",
    "logprobs": "logprobs",
    "response_format": "response_format",
    "json_schema": "response_format",
    "json_object": "response_format",
    "max_completion_tokens": "limit_name",
    "max_tokens": "limit_name",
    "reasoning_effort": "low_effort",
}
"""What we may send, as providers name it, and which capability it belongs to."""

QUOTABLE = re.compile(r"[A-Za-z_]{3,40}")
"""What may be quoted of a provider's error: a word that looks like a code. No digits and no dashes, of which
keys are made: providers echo keys and prompts in any field.
"""

_FILTER_CODES = {"content_filter", "responsibleaipolicyviolation", "content_policy_violation"}
_QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"}
_ROOM_CODES = {"context_length_exceeded", "string_above_max_length"}
_QUOTA = "insufficient_quota"

_REFUSED = {
    401: ("unauthorized", "the API key or token is not accepted; check it"),
    403: ("forbidden", "this key or role may not do that; check permissions, region and network rules"),
    404: ("model_not_found", "there is no such model, deployment or address; check them"),
}

_GATEWAY = ("gateway_error", "who stands before the model got no reply from it")
_TRANSIENT = {
    408: ("timeout", "it gave up waiting"),
    409: ("server_error", "it is locked at the moment"),
    429: ("rate_limited", "too many requests or tokens per minute"),
    500: ("server_error", "a fault on its side"),
    # 520 and 524 are Cloudflare's words for the same.
    **dict.fromkeys((502, 504, 520, 524), _GATEWAY),
}

_NAMES = re.compile("|".join(sorted(PARAMETERS, key=len, reverse=True)))
_ROOM = re.compile(r"context (length|window)|maximum context|too many tokens", re.IGNORECASE)


class ParameterRefused(TeacherRefused):
    """A request was called wrong. `parameter` is the capability it asked for in vain, None where unnamed."""

    def __init__(self, message: str, parameter: str | None) -> None:
        super().__init__(message, reason="bad_request")
        self.parameter = parameter


class NoRoom(TeacherError):
    """This one question is longer than what the model can read at once."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The `error` object of a reply, whatever of it there is."""

    codes: frozenset[str]
    param: str
    message: str

    @property
    def quotable(self) -> str:
        """Its codes, where they look like such."""
        words = [code for code in sorted(self.codes) if QUOTABLE.fullmatch(code)]
        return f" ({', '.join(words)})" if words else ""

    @property
    def parameter(self) -> str | None:
        """The capability that was refused: `param` names it, else the first name in the message."""
        for text in (self.param, self.message):
            found = _NAMES.search(text)
            if found:
                return PARAMETERS[found.group()]
        return None


def from_response(status: int, body: object, headers: Mapping[str, str], place: str) -> TeacherError:
    """The error that an HTTP error status stands for. `place` is what the message calls the endpoint."""
    refusal = _refusal(body)
    said = f"{place} answered HTTP {status}{refusal.quotable}"
    wait = retry_after(headers)
    item = _about_the_item(status, refusal, said)
    if item is not None:
        return item
    if status == 402 or refusal.codes & _QUOTA_CODES:
        return TeacherRefused(f"{said}: the quota is used up; check plan and billing", reason=_QUOTA)
    if status in {400, 422} or (status in {403, 501} and refusal.parameter):
        what = refusal.parameter or "the request as it is"
        return ParameterRefused(f"{said}: it does not take {what}", refusal.parameter)
    if status in _REFUSED:
        reason, advice = _REFUSED[status]
        return TeacherRefused(f"{said}: {advice}", reason=reason)
    if status in _TRANSIENT or status >= 500:
        reason, what = _TRANSIENT.get(status, _TRANSIENT[500])
        return TeacherUnavailable(f"{said}: {what}", reason=reason, retry_after_s=wait)
    return _neither(status, said)


def _about_the_item(status: int, refusal: _Refusal, said: str) -> TeacherError | None:
    """What is wrong with this one question only: all others may still be asked."""
    flagged = "invalid_prompt" in refusal.codes and "policy" in refusal.message
    if refusal.codes & _FILTER_CODES or flagged:
        return ContentFiltered(f"{said}: stopped by the content filter")
    if status == 413 or refusal.codes & _ROOM_CODES or (status == 400 and _ROOM.search(refusal.message)):
        return NoRoom(f"{said}: the question does not fit into what the model can read")
    return None


def _neither(status: int, said: str) -> TeacherError:
    if status >= 400:
        return TeacherRefused(f"{said}: it does not understand the request", reason="bad_request")
    return TeacherUnavailable(f"{said}: not the answer of a chat API", reason="not_an_api")


def from_exception(error: Exception, place: str) -> TeacherError:
    """The error that an exception of the `openai` client stands for."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return from_response(error.status_code, error.body, error.response.headers, place)
    chain = list(_chain(error))
    # Nothing was sent: the connection itself did not come about, or none of the pool became free.
    unsent = any(type(e).__name__ in {"ConnectError", "ConnectTimeout", "PoolTimeout"} for e in chain)
    if unsent:
        return TeacherUnavailable(f"{place} cannot be reached: {_obstacle(chain)}", reason="unreachable")
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return TeacherUnavailable(f"{place} did not answer in time", reason="timeout")
    return TeacherUnavailable(f"{place} broke the connection off", reason="interrupted")


def not_an_api(place: str) -> TeacherUnavailable:
    """HTTP 200, but with something that no chat API answers: a login page, half a JSON, no choices."""
    return TeacherUnavailable(
        f"{place} answered with something that is not a chat completion; is the address right?",
        reason="not_an_api",
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the provider says: `retry-after-ms` (Azure), else `retry-after` (seconds or a date)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return seconds / unit
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _refusal(body: object) -> _Refusal:
    """From the `error` object itself or from the reply around it; from anything else, an empty one."""
    fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    error = fields.get("error")
    fields = error if isinstance(error, Mapping) else fields
    inner = fields.get("innererror")
    codes = [
        fields.get("code"),
        fields.get("type"),
        inner.get("code") if isinstance(inner, Mapping) else None,
    ]
    return _Refusal(
        frozenset(str(code).lower() for code in codes if code),
        str(fields.get("param") or ""),
        str(fields.get("message") or ""),
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, what caused that; and the members of groups on the way."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            yield from seen.exceptions
        seen = seen.__cause__ or seen.__context__


def _obstacle(chain: list[BaseException]) -> str:
    for error in chain:
        if isinstance(error, socket.gaierror):
            return "its host name is not known (DNS); check the address"
        if isinstance(error, ssl.SSLError):
            return "no TLS connection (certificate or protocol); check the address, a proxy and SSL_CERT_FILE"
        if isinstance(error, ConnectionRefusedError):
            return "connection refused; is the server running there?"
    return "no connection; check the address and the network"
