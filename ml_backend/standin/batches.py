"""Batches: a file of chat requests, answered by the same policy and with the same behaviours, at half the price."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ale.types import Usage
from ml_backend.standin.calls import CallLog
from ml_backend.standin.chat import ChatEndpoint
from ml_backend.standin.errors import ApiError, invalid, no_such
from ml_backend.standin.files import Files, StoredFile, jsonl
from ml_backend.standin.paging import page
from ml_backend.standin.stages import Stages
from ml_backend.standin.wire import Request, Response

STATUSES = ("validating", "in_progress", "finalizing", "completed")
"""By stage."""

ENDED = {"completed", "failed", "expired", "cancelled"}
STAMPS = {name: f"{name}_at" for name in (*STATUSES[1:], "failed", "expired", "cancelling", "cancelled")}
ENDPOINTS = {"/v1/chat/completions", "/chat/completions"}
MAX_LINES = 50_000
WINDOW_S = 24 * 3600
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the window expired.",
}


@dataclass(slots=True)
class Batch:
    """One batch, changed under its owner's lock only."""

    id: str
    input: StoredFile
    endpoint: str
    metadata: dict[str, str]
    azure: bool
    created_at: int
    stages: Stages
    status: str = "validating"
    stage: int = 0
    stamps: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    expired: bool = False
    usage: Usage = field(default_factory=Usage)
    output_id: str | None = None
    error_id: str | None = None

    def enter(self, status: str) -> None:
        """Take a status, with its time."""
        self.status = status
        self.stamps[STAMPS[status]] = int(time.time())

    def as_json(self) -> dict[str, Any]:
        """The `batch` object."""
        total = len(self.input.lines()) if self.status != "validating" and not self.problems else 0
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": self.problems} if self.problems else None,
            "input_file_id": self.input.id,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_id,
            "error_file_id": self.error_id,
            "created_at": self.created_at,
            "expires_at": self.created_at + WINDOW_S,
            **{stamp: self.stamps.get(stamp) for stamp in STAMPS.values()},
            "request_counts": {
                "total": total,
                "completed": len(self.answered),
                "failed": len(self.failed),
            },
            "usage": {
                "input_tokens": self.usage.prompt,
                "input_tokens_details": {"cached_tokens": self.usage.cached},
                "output_tokens": self.usage.completion,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": self.usage.total,
            },
            "metadata": dict(self.metadata),
        }


class Batches:
    """All batches. Any thread may ask."""

    def __init__(self, files: Files, chat: ChatEndpoint, calls: CallLog, stage_s: float) -> None:
        self._files = files
        self._chat = chat
        self._calls = calls
        self._stage_s = stage_s
        self._lock = threading.Lock()
        self._batches: dict[str, Batch] = {}

    def create(self, request: Request) -> Response:
        """Take a batch in; its lines are checked afterwards. Raises ApiError 400."""
        body = request.json()
        endpoint = str(body.get("endpoint", ""))
        if endpoint not in ENDPOINTS:
            raise invalid(
                "endpoint", f"Invalid value: '{endpoint}'. Supported values are: {sorted(ENDPOINTS)}."
            )
        if body.get("completion_window") != "24h":
            raise invalid("completion_window", "Invalid 'completion_window': only '24h' is supported.")
        file = self._files.get(str(body.get("input_file_id", "")))
        if file.purpose != "batch":
            raise invalid(
                "input_file_id", f"File '{file.id}' must have purpose 'batch', has '{file.purpose}'."
            )
        with self._lock:
            batch = Batch(
                id=f"batch_stand_in_{len(self._batches) + 1}",
                input=file,
                endpoint=endpoint,
                metadata=dict(body.get("metadata") or {}),
                azure=request.azure,
                created_at=int(time.time()),
                stages=Stages(self._stage_s),
            )
            self._batches[batch.id] = batch
            return Response(batch.as_json())

    def retrieve(self, _: Request, batch_id: str) -> Response:
        """A batch as it is by now."""
        with self._lock:
            batch = self._batch(batch_id)
            self._advance(batch)
            return Response(batch.as_json())

    def list(self, request: Request) -> Response:
        """Batches, newest first."""
        with self._lock:
            return page([batch.as_json() for batch in reversed(self._batches.values())], request)

    def cancel(self, _: Request, batch_id: str) -> Response:
        """Stop a batch; what was answered before is kept and charged."""
        with self._lock:
            batch = self._batch(batch_id)
            if batch.status in ENDED:
                raise ApiError(409, f"Cannot cancel a batch with status '{batch.status}'.")
            batch.enter("cancelling")
            return Response(batch.as_json())

    def _batch(self, batch_id: str) -> Batch:
        if batch_id not in self._batches:
            raise no_such("batch", batch_id)
        return self._batches[batch_id]

    def _advance(self, batch: Batch) -> None:
        """Go through all stages up to the one that is reached by now."""
        if batch.status == "cancelling":
            self._write(batch)
            batch.enter("cancelled")
        reached = min(batch.stages.reached(), len(STATUSES) - 1)
        while batch.stage < reached and batch.status not in ENDED:
            batch.stage += 1
            self._enter(batch, STATUSES[batch.stage])

    def _enter(self, batch: Batch, status: str) -> None:
        if status == "in_progress":
            batch.problems = problems(batch.input, batch.endpoint)
            if batch.problems:
                batch.enter("failed")
                return
        if status == "finalizing":
            for line in batch.input.lines():
                self._run(batch, line or {})
        if status == "completed":
            self._write(batch)
        batch.enter("expired" if status == "completed" and batch.expired else status)

    def _run(self, batch: Batch, line: dict[str, Any]) -> None:
        """Answer one line, or note why not."""
        outcome = self._chat.answer(line["body"], azure=batch.azure, batch=True)
        behaviour = outcome.behaviour
        status = outcome.status if behaviour.wire == "whole" else 500
        self._calls.end(outcome.number, status=status, behaviour=behaviour.name, usage=outcome.usage)
        row = {"id": f"batch_req_{outcome.number}", "custom_id": line["custom_id"]}
        if behaviour.name == "batch_expired":
            batch.expired = True
            batch.failed.append({**row, "response": None, "error": EXPIRED})
            return
        body = outcome.body if behaviour.wire == "whole" else ApiError(500, "The server had an error.").body()
        response = {"status_code": status, "request_id": f"req_{outcome.number}", "body": body}
        (batch.answered if status == 200 else batch.failed).append(
            {**row, "response": response, "error": None}
        )
        batch.usage += outcome.usage if status == 200 else Usage()

    def _write(self, batch: Batch) -> None:
        """Put the answers into files, not in the order of the questions: none is promised."""
        if batch.answered:
            content = jsonl(batch.answered[::-1])
            batch.output_id = self._files.add(f"{batch.id}_output.jsonl", "batch_output", content).id
        if batch.failed:
            content = jsonl(batch.failed[::-1])
            batch.error_id = self._files.add(f"{batch.id}_error.jsonl", "batch_output", content).id


def problems(file: StoredFile, endpoint: str) -> list[dict[str, Any]]:
    """What is wrong with the lines of a batch's input, as `errors.data` lists it."""
    lines = file.lines()
    if not lines:
        return [_problem("empty_file", "The input file has no requests.", None)]
    if len(lines) > MAX_LINES:
        return [_problem("too_many_requests", f"More than {MAX_LINES} requests.", None)]
    found = []
    seen: set[str] = set()
    model: object = None
    for number, line in enumerate(lines, start=1):
        if line is None or not isinstance(line.get("body"), dict):
            found.append(_problem("invalid_json_line", "This line is not parseable as a request.", number))
            continue
        custom_id = line.get("custom_id")
        if not isinstance(custom_id, str) or custom_id in seen:
            found.append(_problem("duplicate_custom_id", "The custom_id must be there, once.", number))
        if line.get("method") != "POST" or line.get("url") != endpoint:
            found.append(_problem("mismatched_endpoint", f"Must be POST {endpoint}.", number))
        if model not in {None, json.dumps(line["body"].get("model"))}:
            found.append(_problem("mismatched_model", "All requests must be for the same model.", number))
        model = json.dumps(line["body"].get("model"))
        seen.add(str(custom_id))
    return found


def _problem(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": line}
