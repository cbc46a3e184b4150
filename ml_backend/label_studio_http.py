"""HTTP to Label Studio: the SDK's client carries the token, we read plain JSON and name what went wrong.

The SDK takes tokens of both kinds (legacy and personal), refreshes them and pools connections. Bodies are
read as plain JSON: it has no call for several of the end points used here (model versions, Data Manager
actions with values, columns), and its typed models would parse ten thousand tasks slowly.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from ale.errors import ConfigurationError, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.settings import Settings

Json = dict[str, Any]

READ_TIMEOUT_S = 60
WRITE_TIMEOUT_S = 600  # 20,000 predictions in one call took 32 s on a busy machine; a large margin over that


class LabelStudioHttp:
    """Calls with our token. Raises LabelStudioRefused, LabelStudioUnreachable; ConfigurationError without token."""

    def __init__(self, settings: Settings) -> None:
        token = settings.label_studio_api_key.get_secret_value()
        if not token:
            raise ConfigurationError(
                "LABEL_STUDIO_API_KEY is empty: copy an access token from Label Studio > Account & Settings"
            )
        self.url = settings.label_studio_url
        try:
            self._sdk: Any = LabelStudio(  # type: ignore[no-untyped-call]
                base_url=self.url, api_key=token, timeout=READ_TIMEOUT_S
            )
        except ApiError as error:
            raise LabelStudioRefused(
                401, f"LABEL_STUDIO_API_KEY is not usable: {_detail(error.body)}"
            ) from error

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Json | None = None,
        body: Any = None,
        retry: bool = True,
        timeout: float = READ_TIMEOUT_S,
    ) -> Any:
        """The answer's JSON, None when it has none. `retry` only what may be carried out twice."""
        client = self._sdk._client_wrapper.httpx_client  # noqa: SLF001 - the SDK's one door for end points without a method
        try:
            response = client.request(
                path,
                method=method,
                params=params,
                json=body,
                request_options={"timeout_in_seconds": int(timeout), "max_retries": 2 if retry else 0},
            )
        except ApiError as error:
            raise LabelStudioRefused(
                error.status_code or 401, f"token refused: {_detail(error.body)}"
            ) from error
        except httpx.HTTPError as error:
            raise LabelStudioUnreachable(
                f"{method} {self.url}/{path}: {type(error).__name__}: {error} (LABEL_STUDIO_URL={self.url})"
            ) from error
        return self._read(method, path, response)

    def _read(self, method: str, path: str, response: httpx.Response) -> Any:
        if response.status_code == 204 or (response.is_success and not response.content):
            return None
        try:
            answer = response.json()
        except ValueError as error:
            raise LabelStudioUnreachable(
                f"{method} {self.url}/{quote(path)} answered {response.status_code} with "
                f"{response.headers.get('content-type', 'no content type')} instead of JSON: "
                "is LABEL_STUDIO_URL the address of Label Studio itself?"
            ) from error
        if response.is_success:
            return answer
        hint = " (check LABEL_STUDIO_API_KEY)" if response.status_code == 401 else ""
        raise LabelStudioRefused(
            response.status_code, f"{method} {path}: HTTP {response.status_code}: {_detail(answer)}{hint}"
        )


def _detail(answer: Any) -> str:
    """Label Studio's own words, without the lists of values that it echoes back."""
    if isinstance(answer, dict):
        detail = answer.get("validation_errors") or answer.get("detail") or answer.get("error") or answer
        return str(detail)[:500]
    return str(answer)[:500]
