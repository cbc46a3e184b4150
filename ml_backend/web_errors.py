"""The only mapping from errors to HTTP answers. An answer has a stable word and our own words, never a
traceback, an exception's message or anything of the request.
"""

from __future__ import annotations

import logging
import traceback

from flask import Flask, Response, jsonify
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, HTTPException, NotFound, RequestEntityTooLarge

logger = logging.getLogger(__name__)


def register_errors(app: Flask) -> None:
    """Give every error its answer."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RedisError, _redis)
    app.register_error_handler(SQLAlchemyError, _database)
    app.register_error_handler(Exception, _unforeseen)


def _http(error: HTTPException) -> tuple[Response, int]:
    code = error.code or 500
    response = jsonify(error=error.name.lower().replace(" ", "_"))
    # Only words of our own: Flask's might quote the request.
    ours = isinstance(error, BadRequest | NotFound | RequestEntityTooLarge)
    if ours and error.description != type(error).description:
        response = jsonify(error=error.name.lower().replace(" ", "_"), detail=error.description)
    if code == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="ALE"'
    if code == 405:
        response.headers.extend(error.get_headers())
        response.headers["Content-Type"] = "application/json"
    return response, code


def _redis(error: RedisError) -> tuple[Response, int]:
    logger.warning("Redis failed: %s", type(error).__name__)
    return _away("redis_unavailable")


def _database(error: SQLAlchemyError) -> tuple[Response, int]:
    # The message of a database error quotes the statement's values.
    logger.error("the database failed: %s at %s", type(error).__name__, _where(error))
    return _away("database_unavailable")


def _away(what: str) -> tuple[Response, int]:
    response = jsonify(error=what)
    response.headers["Retry-After"] = "5"
    return response, 503


def _unforeseen(error: Exception) -> tuple[Response, int]:
    logger.error("unforeseen %s at %s", type(error).__name__, _where(error))
    return jsonify(error="internal"), 500


def _where(error: BaseException) -> str:
    """Places in the code, without the values that a traceback's message may quote."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
