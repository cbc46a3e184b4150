"""Lists that come in pages."""

from __future__ import annotations

from typing import Any

from ml_backend.standin.errors import invalid
from ml_backend.standin.wire import Request, Response

MAX_PAGE = 100
"""The most rows that a page may have; OpenAI allows more for some lists."""


def page(rows: list[dict[str, Any]], request: Request) -> Response:
    """At most `limit` rows (20 unless told) after the one with the id `after`; raises ApiError 400."""
    limit = request.query.get("limit", "20")
    if not limit.isdigit() or not 1 <= int(limit) <= MAX_PAGE:
        raise invalid("limit", f"Invalid 'limit': {limit!r} is not between 1 and {MAX_PAGE}.")
    ids = [row["id"] for row in rows]
    after = request.query.get("after")
    if after is not None and after not in ids:
        raise invalid("after", "Invalid 'after': no such object in this list.")
    start = 0 if after is None else ids.index(after) + 1
    shown = rows[start : start + int(limit)]
    return Response(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": start + len(shown) < len(rows),
        }
    )
