"""The Batch API: many questions in one file, answered within a day at half the price. OpenAI and Azure OpenAI.

A batch is found again by what it was made with: our name in its metadata, or its input file, which no other batch
has. So a start whose answer was lost is looked up, never repeated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ale.chat import Capabilities, ChatReply, ChatRequest
from ale.errors import ContentFiltered, TeacherUnavailable
from ale.io.chat.account import Account, Json, identity
from ale.io.chat.faults import QUOTABLE, NoRoom, from_response
from ale.io.chat.openai_chat import request_body
from ale.io.chat.prices import Price
from ale.io.chat.replies import parse_reply

DISCOUNT = 0.5
"""What a token costs in a batch, against the same token asked for at once."""

MAX_LINES = 50_000
MAX_BYTES = 150 * 1024 * 1024
"""OpenAI takes 200 MB; the rest is for what the upload puts around it."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_ADVICE = {
    "token_limit_exceeded": "more tokens wait in this account's batches than the model's limit allows: "
    "wait for others to end, or send fewer texts at once",
    "billing_hard_limit_reached": "the account's quota is used up; check plan and billing",
    "insufficient_quota": "the account's quota is used up; check plan and billing",
}


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as the provider has it. `problem` says why it failed, in words for the user."""

    id: str
    status: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    output: str | None = None
    errors: str | None = None
    problem: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one question: a reply, or the stable word for why there is none.

    A question that was refused for itself (filter, length) has a reply that says so, as a chat would.
    """

    name: str
    reply: ChatReply | None
    fault: str = ""


class Batches:
    """Batches of one account; `asked` is what requests call the model (on Azure, the deployment)."""

    def __init__(self, account: Account, asked: str) -> None:
        self.account = account
        self._asked = asked
        self._endpoint: Any = "/chat/completions" if account.azure else "/v1/chat/completions"

    def line(self, name: str, request: ChatRequest, can: Capabilities) -> bytes:
        """A question as a line of a batch's file."""
        body = request_body(self._asked, request, can)
        row = {"custom_id": name, "method": "POST", "url": self._endpoint, "body": body}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def start(self, file_id: str, metadata: Mapping[str, str]) -> BatchState:
        """Start a batch over an uploaded file. Asked once: after an unclear end look with `find`."""
        made = self.account.ask(
            lambda client: client.batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint=self._endpoint,
                completion_window="24h",
                metadata=dict(metadata),
            ),
            again=False,
        )
        return read_batch(made, self.account.place)

    def find(self, file_id: str) -> BatchState | None:
        """The batch over this file, None where there is none."""
        rows = self.account.rows(
            lambda where: lambda client: client.batches.with_raw_response.list(extra_query=where)
        )
        mine = (row for row in rows if row.get("input_file_id") == file_id)
        return next((read_batch(row, self.account.place) for row in mine), None)

    def look(self, batch_id: str) -> BatchState:
        """The batch as it is by now."""
        found = self.account.ask(lambda client: client.batches.with_raw_response.retrieve(batch_id))
        return read_batch(found, self.account.place)

    def lines(self, state: BatchState) -> list[Line]:
        """What is there, of an ended batch: complete, or what was ready when it expired or was cancelled.

        Raises TeacherUnavailable when less comes than is there: what is missing was paid.
        """
        found: list[Line] = []
        for file_id in (state.output, state.errors):
            if file_id is not None:
                found += read_lines(self.account.content(file_id), self.account.place)
        if len(found) < state.completed + state.failed:
            raise TeacherUnavailable(
                f"{self.account.place} has {state.completed + state.failed} answers and gave {len(found)} of them",
                reason="interrupted",
            )
        return found


def read_batch(row: Json, place: str) -> BatchState:
    """A batch as the provider describes it. Raises TeacherUnavailable when this is none."""
    counts = row.get("request_counts")
    counts = counts if isinstance(counts, Mapping) else {}
    total, completed, failed = (int(counts.get(name) or 0) for name in ("total", "completed", "failed"))
    return BatchState(
        id=identity(row, place),
        status=str(row.get("status") or ""),
        total=total,
        completed=completed,
        failed=failed,
        output=row.get("output_file_id") or None,
        errors=row.get("error_file_id") or None,
        problem=_problem(row.get("errors")),
    )


def read_lines(content: bytes, place: str) -> Iterator[Line]:
    """The lines of an output or error file; one that is none of ours is skipped."""
    for raw in content.splitlines():
        try:
            row = json.loads(raw)
        except ValueError:
            continue
        if isinstance(row, Mapping) and isinstance(row.get("custom_id"), str):
            yield _line(row, place)


def half(price: Price) -> Price:
    """What a model's tokens cost in a batch."""
    return Price(price.input * DISCOUNT, price.cached * DISCOUNT, price.output * DISCOUNT)


def _line(row: Json, place: str) -> Line:
    name, response = str(row["custom_id"]), row.get("response")
    if not isinstance(response, Mapping):
        error = row.get("error")
        code = error.get("code") if isinstance(error, Mapping) else None
        return Line(name, None, "batch_expired" if code == "batch_expired" else "no_reply")
    status = response.get("status_code")
    try:
        if status != 200:
            raise from_response(status if isinstance(status, int) else 500, response.get("body"), {}, place)
        return Line(name, parse_reply(json.dumps(response.get("body")).encode(), place))
    except ContentFiltered:
        return Line(name, ChatReply(None, finish_reason="content_filter"))
    except NoRoom:
        return Line(name, ChatReply(None, finish_reason="length"))
    except TeacherUnavailable as error:
        return Line(name, None, error.reason)


def _problem(errors: object) -> str:
    """Why a batch failed as a whole: the provider's code with what to do, never its message, which may quote."""
    found = errors.get("data") if isinstance(errors, Mapping) else None
    codes = [str(row.get("code")) for row in found or [] if isinstance(row, Mapping) and row.get("code")]
    known = [code for code in codes if QUOTABLE.fullmatch(code)]
    if not known:
        return ""
    return f"{known[0]}: {_ADVICE[known[0]]}" if known[0] in _ADVICE else known[0]
