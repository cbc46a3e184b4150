"""One log line per request: method, path, status, milliseconds. No headers, no bodies, no query strings."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

logger = logging.getLogger("ml_backend.http")


def register(app: Flask) -> None:
    """Log every request of `app`; health checks only at DEBUG, Label Studio makes one before each call."""
    app.before_request(_start)
    app.after_request(_line)


def _start() -> None:
    g.started = time.perf_counter()


def _line(response: Response) -> Response:
    level = logging.DEBUG if request.path in {"/", "/health", "/metrics"} else logging.INFO
    spent = 1000 * (time.perf_counter() - g.get("started", time.perf_counter()))
    # %r: a path may hold line breaks.
    logger.log(level, "%s %.100r %d %.1f ms", request.method, request.path, response.status_code, spent)
    return response
