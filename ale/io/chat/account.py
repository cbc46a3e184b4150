"""What a provider keeps besides its models: files, and the jobs that work on them.

Synchronous: whoever starts a job waits for it at a terminal, and hours matter here, not milliseconds. What is
asked twice may be told so: a question that only looks is repeated like any other, one that starts something
never is.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from ale.errors import ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat import ChatSpec
from ale.io.chat.entra import entra_tokens
from ale.io.chat.faults import LONGEST_WAIT_S, RETRIED, from_exception, not_an_api
from ale.io.chat.openai_chat import CONNECT_S, OPENAI_URL, checked_key, host_of

if TYPE_CHECKING:
    from openai import OpenAI

T = TypeVar("T")
Json = Mapping[str, Any]
Call = Callable[["OpenAI"], Any]
"""One request through the client; gives the raw response."""

UPLOAD_S = 600.0
PAGE = 100
_TAKING_IN = {"pending", "notRunning", "running"}  # Azure looks at a file after it has answered


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a look is repeated when the endpoint fails, how long is waited between two looks at a job, and
    how long after its start a job may be missing from the provider's lists.

    A provider's wish to be left alone for longer than `longest_wait_s` ends the attempts.
    """

    attempts: int = 6
    poll_s: float = 10.0
    listed_s: float = 30.0
    longest_wait_s: float = LONGEST_WAIT_S
    sleep: Callable[[float], None] = time.sleep

    def until_listed(self, started_at: datetime | None, find: Callable[[], T | None]) -> T | None:
        """What `find` finds; None when it is not there although it would be listed by now."""
        while True:
            found = find()
            age = (datetime.now(UTC) - started_at).total_seconds() if started_at else self.listed_s
            if found is not None or age >= self.listed_s:
                return found
            self.sleep(min(self.poll_s, self.listed_s - age))


class Account:
    """Files at one provider, and one request after the other. Raises TeacherUnavailable and TeacherRefused."""

    def __init__(self, spec: ChatSpec, patience: Patience = Patience()) -> None:
        self.azure = spec.provider == "azure"
        self._spec = spec
        self._url = spec.url or ("" if self.azure else OPENAI_URL)
        if self.azure and not spec.api_version:
            raise ConfigurationError("Azure OpenAI needs an API version: set OPENAI_API_VERSION")
        self.place = f"{spec.provider} at {host_of(self._url)}"
        self.patience = patience

    def ask(self, call: Call, *, again: bool = True) -> Json:
        """The JSON object that one request is answered with. `again`: asked once more where that may help."""
        return self._patiently(lambda: self._object(call), again=again)

    def rows(self, page: Callable[[dict[str, Any]], Call]) -> Iterator[Json]:
        """All rows of a list, page by page; `page` makes the request from the arguments for the query."""
        where: dict[str, Any] = {"limit": PAGE}
        while True:
            found = self.ask(page(where))
            rows = [row for row in found.get("data") or [] if isinstance(row, Mapping)]
            yield from rows
            if not found.get("has_more") or not rows:
                return
            where = {"limit": PAGE, "after": rows[-1].get("id")}

    def upload(self, name: str, content: bytes, purpose: Literal["batch", "fine-tune"]) -> str:
        """Id of the file, once the provider can work with it."""
        file = self.ask(
            lambda client: client.files.with_raw_response.create(
                file=(name, content), purpose=purpose, timeout=UPLOAD_S
            )
        )
        file_id = identity(file, self.place)
        while file.get("status") in _TAKING_IN:
            file = self.ask(lambda client: client.files.with_raw_response.retrieve(file_id))
            if file.get("status") in _TAKING_IN:
                self.patience.sleep(self.patience.poll_s)
        if file.get("status") == "error":
            raise TeacherRefused(f"{self.place} cannot use the file {name}", reason="bad_request")
        return file_id

    def find_file(self, name: str, purpose: str) -> str | None:
        """Id of the newest file of that name, None where there is none."""
        files = self.rows(
            lambda where: (
                lambda client: client.files.with_raw_response.list(
                    purpose=purpose, extra_query=where, order="desc"
                )
            )
        )
        return next((str(file["id"]) for file in files if file.get("filename") == name), None)

    def content(self, file_id: str) -> bytes:
        """The bytes of a file."""
        call: Call = lambda client: client.files.with_raw_response.content(file_id)  # noqa: E731
        return self._patiently(lambda: self._once(call), again=True)

    def _patiently(self, ask: Callable[[], T], *, again: bool) -> T:
        retrying = Retrying(
            stop=stop_after_attempt(self.patience.attempts if again else 1),
            retry=retry_if_exception(self._may_help),
            wait=_wait,
            sleep=self.patience.sleep,
            reraise=True,
        )
        try:
            return retrying(ask)
        except TeacherUnavailable as error:
            wait = error.retry_after_s or 0.0
            if wait <= self.patience.longest_wait_s:
                raise
            raise TeacherUnavailable(
                f"{error}; it wants to be left alone for {wait:.0f} s: run it again after that",
                reason=error.reason,
                retry_after_s=wait,
            ) from error

    def _may_help(self, error: BaseException) -> bool:
        """Whether asking again soon is worth it."""
        if not isinstance(error, TeacherUnavailable) or isinstance(error, TeacherRefused):
            return False
        return error.reason in RETRIED and (error.retry_after_s or 0.0) <= self.patience.longest_wait_s

    def _object(self, call: Call) -> Json:
        try:
            data = json.loads(self._once(call))
        except ValueError:
            data = None
        if not isinstance(data, Mapping):
            raise not_an_api(self.place)
        return data

    def _once(self, call: Call) -> bytes:
        import openai

        try:
            return bytes(call(self._client).content)
        except openai.APIError as error:
            fault = from_exception(error, self.place)
        raise fault  # outside of the `except`: the original's text holds what the provider echoes

    @cached_property
    def _client(self) -> OpenAI:
        import openai

        spec = self._spec
        timeout = openai.Timeout(spec.timeout_s, connect=CONNECT_S)
        if not self.azure:
            key = checked_key(spec.api_key, "OPENAI_API_KEY", needed=self._url == OPENAI_URL) or "none"
            return openai.OpenAI(api_key=key, base_url=self._url, timeout=timeout, max_retries=0)
        if spec.api_key:
            who: dict[str, Any] = {"api_key": checked_key(spec.api_key, "AZURE_OPENAI_API_KEY", needed=True)}
        else:
            token = entra_tokens()

            async def once() -> str:
                return await token()

            who = {"azure_ad_token_provider": lambda: asyncio.run(once())}
        return openai.AzureOpenAI(
            azure_endpoint=self._url, api_version=spec.api_version, timeout=timeout, max_retries=0, **who
        )


def identity(made: Json, place: str) -> str:
    """The `id` of an object; raises TeacherUnavailable where it has none."""
    name = made.get("id")
    if not isinstance(name, str) or not name:
        raise not_an_api(place)
    return name


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_for = error.retry_after_s if isinstance(error, TeacherUnavailable) else None
    return wait_random_exponential(multiplier=1.0, max=60)(state) if asked_for is None else asked_for
