"""Uploaded files and those that jobs make, in memory."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from ml_backend.standin.errors import ApiError, invalid, no_such
from ml_backend.standin.paging import page
from ml_backend.standin.wire import Request, Response

UPLOAD_PURPOSES = {"fine-tune", "batch", "user_data", "assistants", "vision", "evals"}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file's bytes and what is known about them."""

    id: str
    name: str
    purpose: str
    content: bytes
    created_at: int

    def as_json(self, status: str = "processed") -> dict[str, Any]:
        """The `file` object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.name,
            "purpose": self.purpose,
            "status": status,
            "status_details": None,
        }

    def lines(self) -> list[dict[str, Any] | None]:
        """The lines of a JSONL file; None where one is no JSON object."""
        return [_object(line) for line in self.content.splitlines() if line.strip()]


class Files:
    """All files, by id. Any thread may read and write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, StoredFile] = {}
        self._made = 0

    def add(self, name: str, purpose: str, content: bytes) -> StoredFile:
        """Keep a file."""
        with self._lock:
            self._made += 1
            file = StoredFile(f"file-stand-in-{self._made}", name, purpose, content, int(time.time()))
            self._files[file.id] = file
            return file

    def get(self, file_id: str) -> StoredFile:
        """That file; raises ApiError 404."""
        with self._lock:
            file = self._files.get(file_id)
        if file is None:
            raise no_such("File object", file_id, param="id")
        return file

    def upload(self, request: Request) -> Response:
        """Take a multipart upload with the fields `file` and `purpose`. Azure looks at it afterwards."""
        kind, options = parse_options_header(request.content_type)
        _, form, files = FormDataParser().parse(BytesIO(request.body), kind, len(request.body), options)
        sent, purpose = files.get("file"), form.get("purpose", "")
        if sent is None:
            raise ApiError(400, "'file' is a required property")
        if purpose not in UPLOAD_PURPOSES:
            raise invalid("purpose", f"'{purpose}' is not one of {sorted(UPLOAD_PURPOSES)}")
        file = self.add(sent.filename or "upload", purpose, sent.read())
        sent.close()
        return Response(
            file.as_json("pending" if request.azure else "processed"), 201 if request.azure else 200
        )

    def list(self, request: Request) -> Response:
        """Files, newest first; `purpose` narrows them down."""
        with self._lock:
            files = list(self._files.values())[::-1]
        purpose = request.query.get("purpose")
        return page([file.as_json() for file in files if purpose in {None, file.purpose}], request)

    def retrieve(self, _: Request, file_id: str) -> Response:
        """What is known about a file."""
        return Response(self.get(file_id).as_json())

    def content(self, _: Request, file_id: str) -> Response:
        """A file's bytes."""
        return Response(self.get(file_id).content)

    def delete(self, _: Request, file_id: str) -> Response:
        """Forget a file."""
        self.get(file_id)
        with self._lock:
            self._files.pop(file_id, None)
        return Response({"id": file_id, "object": "file", "deleted": True})


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    """One JSON object per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(
        "utf-8", "surrogatepass"
    )


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
