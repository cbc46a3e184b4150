"""Refusals as OpenAI and Azure OpenAI word them on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ale.errors import AleError

FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
    "Please modify your prompt and retry."
)


class ApiError(AleError):
    """A request is refused: the HTTP status, the fields of the `error` object, and extra headers.

    `extra` holds what only some refusals have, such as Azure's `innererror`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type_: str | None = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type_
        self.param = param
        self.code = code
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def body(self, *, azure: bool = False) -> dict[str, Any]:
        """The JSON that is sent. Azure's gateway has its own, shorter form for what it refuses itself."""
        if azure and (self.status, self.code) in AZURE_GATEWAY:
            code, message = AZURE_GATEWAY[self.status, self.code]
            return {"error": {"code": code, "message": message}}
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
                **self.extra,
            }
        }


_NO_KEY = "Access denied due to invalid subscription key or wrong API endpoint. Provide a valid key."
_NO_DEPLOYMENT = "The API deployment for this resource does not exist. If it is new, wait and try again."
_TOO_MANY = "Requests have exceeded the call rate limit of your current pricing tier. Please retry later."
AZURE_GATEWAY = {
    (401, None): ("401", _NO_KEY),
    (401, "invalid_api_key"): ("401", _NO_KEY),
    (404, "model_not_found"): ("DeploymentNotFound", _NO_DEPLOYMENT),
    (429, "rate_limit_exceeded"): ("429", _TOO_MANY),
}
"""What Azure's gateway answers before any model sees the request: status and OpenAI's code to Azure's."""


def no_key() -> ApiError:
    """Neither `Authorization: Bearer` nor `api-key` was sent."""
    return ApiError(401, "You didn't provide an API key.", code=None)


def no_such(what: str, name: str, *, param: str | None = None) -> ApiError:
    """A file, a job or a batch that does not exist."""
    return ApiError(404, f"No such {what}: {name}", param=param, code=None)


def model_not_found(model: str) -> ApiError:
    """The model does not exist (or is not open to this key)."""
    return ApiError(
        404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    )


def unsupported_parameter(name: str, instead: str = "") -> ApiError:
    """The model does not know this parameter at all."""
    hint = f" Use '{instead}' instead." if instead else ""
    return ApiError(
        400,
        f"Unsupported parameter: '{name}' is not supported with this model.{hint}",
        param=name,
        code="unsupported_parameter",
    )


def unsupported_value(name: str, value: object) -> ApiError:
    """The model knows the parameter, with another value only."""
    return ApiError(
        400,
        f"Unsupported value: '{name}' does not support {value} with this model. "
        "Only the default (1) value is supported.",
        param=name,
        code="unsupported_value",
    )


def invalid(param: str, message: str, code: str = "invalid_value") -> ApiError:
    """The request itself is wrong."""
    return ApiError(400, message, param=param, code=code)
