"""Requests as they come in, and how an answer goes out: whole, late, cut off in the middle, or not at all."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ml_backend.standin.errors import ApiError

BANNER = {"x-stand-in": "stand-in, not GPT"}
RESET_AFTER_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing the socket sends a reset instead of an orderly end."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` has lost the prefix that says OpenAI or Azure; `deployment` is Azure's name for
    a model.
    """

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: bytes
    azure: bool
    deployment: str = ""

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; raises ApiError 400."""
        try:
            data = json.loads(self.body or b"{}")
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise ApiError(400, "We could not parse the JSON body of your request.")
        return data


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out: JSON, or a file's bytes."""

    body: Mapping[str, Any] | bytes
    status: int = 200
    headers: Mapping[str, str] | None = None

    def encoded(self, *, html: bool = False) -> tuple[bytes, bytes]:
        """Head and body as they stand on the wire; `html` in place of the JSON, as a proxy in between answers."""
        if html:
            body, kind = b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html"
        elif isinstance(self.body, bytes):
            body, kind = self.body, "application/octet-stream"
        else:
            body, kind = json.dumps(self.body).encode(), "application/json"
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        headers = {
            "content-type": kind,
            "content-length": str(len(body)),
            **BANNER,
            **(self.headers or {}),
        }
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body


def client_left(connection: socket.socket, within_s: float) -> bool:
    """Wait that long; True as soon as the other side has closed."""
    try:
        connection.settimeout(within_s)
        return connection.recv(1, socket.MSG_PEEK) == b""
    except (TimeoutError, BlockingIOError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(None)


def reset(connection: socket.socket) -> None:
    """Close at once with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AFTER_CLOSE)
    os.close(connection.detach())
