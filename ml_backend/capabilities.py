"""What was found out about a paid endpoint, kept in Redis for a day: the probe is a call, and each step of a
teacher's pass is a process of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import redis

from ale.chat import Capabilities

KEEP_S = 86_400


def recall(connection: redis.Redis, endpoint: str) -> Capabilities | None:
    """What is known about the endpoint; None when nobody has asked it lately. Raises RedisError."""
    said = connection.get(_key(endpoint))
    try:
        return Capabilities(**json.loads(said)) if isinstance(said, bytes) else None
    except (TypeError, ValueError):
        return None  # written by another version: ask again


def remember(connection: redis.Redis, endpoint: str, found: Capabilities) -> None:
    """Keep it for all workers, for `ale status` and for `ale doctor`. Raises RedisError."""
    connection.set(_key(endpoint), json.dumps(asdict(found)), ex=KEEP_S)


def _key(endpoint: str) -> str:
    return f"ale:llm:capabilities:{endpoint}"
