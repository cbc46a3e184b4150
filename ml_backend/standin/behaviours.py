"""Ways to misbehave before any answer is made, or on its way: refusals, broken connections, delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ml_backend.standin.completion import Completion, filter_results
from ml_backend.standin.errors import FILTERED, ApiError, model_not_found

Alter = Callable[[Completion], Completion]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is done instead of answering well: wait, refuse, alter the reply, or spoil the connection.

    `wire`: the answer is sent whole, cut off by a reset in the middle of the body, closed before the first
    byte, or is no JSON at all.
    """

    name: str
    wait_s: float = 0.0
    refuse: ApiError | None = None
    alter: Alter | None = None
    wire: Literal["whole", "reset", "closed", "html"] = "whole"


FINE = Behaviour("")
"""Answers well."""


def rate_limit(
    retry_after: float | None = None, *, ms: int | None = None, date: str | None = None
) -> Behaviour:
    """429. `retry_after` in seconds, `ms` as Azure's provisioned throughput says it, `date` as HTTP allows."""
    headers = {}
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    if date is not None:
        headers["retry-after"] = date
    if ms is not None:
        headers["retry-after-ms"] = str(ms)
    error = ApiError(
        429,
        "Rate limit reached for requests. Please try again later.",
        type_="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )
    return Behaviour("rate_limit", refuse=error)


def error(status: int = 500) -> Behaviour:
    """A server error."""
    message = "The server had an error while processing your request."
    return Behaviour(f"error_{status}", refuse=ApiError(status, message, type_="server_error"))


def hang(seconds: float) -> Behaviour:
    """Answers well, but late."""
    return Behaviour("hang", wait_s=seconds)


def _refused(name: str, error: ApiError) -> Behaviour:
    return Behaviour(name, refuse=error)


def _filtered(code: str | None, *, inner: bool) -> ApiError:
    """Azure's 400 for a prompt that its filter stopped."""
    extra: dict[str, Any] = {"status": 400}
    if inner:
        extra["innererror"] = {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {
                **filter_results(filtered=True),
                "jailbreak": {"filtered": False, "detected": False},
            },
        }
    return ApiError(400, FILTERED, type_=None, param="prompt", code=code, extra=extra)


def refusals() -> list[Behaviour]:
    """HTTP errors, as they are worded by those who send them."""
    quota = "You exceeded your current quota, please check your plan and billing details."
    return [
        rate_limit(),
        error(500),
        error(503),
        _refused("quota", ApiError(429, quota, type_="insufficient_quota", code="insufficient_quota")),
        _refused("unauthorized", ApiError(401, "Incorrect API key provided.", code="invalid_api_key")),
        _refused("forbidden", ApiError(403, "Your project does not have access.", type_="forbidden")),
        _refused("not_found", model_not_found("no-such-model")),
        _refused("bad_request", ApiError(400, "Invalid request.", code="invalid_request")),
        _refused("content_filter_code", _filtered("content_filter", inner=False)),
        _refused("content_filter_inner", _filtered(None, inner=True)),
        _refused("content_filter_both", _filtered("content_filter", inner=True)),
    ]


def connections() -> list[Behaviour]:
    """Answers that come late, broken or never. `batch_expired` is for the lines of a batch."""
    return [
        hang(30),
        Behaviour("reset_mid_body", wire="reset"),
        Behaviour("closed", wire="closed"),
        Behaviour("html", wire="html"),
        _refused(
            "batch_expired",
            ApiError(408, "This request could not be executed in time.", code="batch_expired"),
        ),
    ]
