"""Which function answers which path, chat apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ml_backend.standin.calls import CallLog
from ml_backend.standin.chat import ChatEndpoint
from ml_backend.standin.errors import ApiError, model_not_found
from ml_backend.standin.models import Models, model_object
from ml_backend.standin.wire import Request, Response

View = Callable[..., Response]


class Routes:
    """The table of paths."""

    def __init__(self, chat: ChatEndpoint, calls: CallLog, models: Models, stage_s: float) -> None:
        self._calls = calls
        self._models = models
        self._table: list[tuple[str, re.Pattern[str], View]] = [
            (method, re.compile(pattern), view)
            for method, pattern, view in (
                ("GET", r"/stand-in", self._summary),
                ("GET", r"/models", self._list_models),
                ("GET", r"/models/([^/]+)", self._one_model),
            )
        ]

    def answer(self, request: Request) -> Response:
        """The answer to a request; raises ApiError."""
        for method, pattern, view in self._table:
            match = pattern.fullmatch(request.path)
            if match is not None and method == request.method:
                return view(request, *match.groups())
        raise ApiError(404, f"Invalid URL ({request.method} {request.path})")

    def _summary(self, _: Request) -> Response:
        return Response({"stand-in": "not GPT", **self._calls.summary()})

    def _list_models(self, _: Request) -> Response:
        return Response({"object": "list", "data": [model_object(name) for name in self._models.names()]})

    def _one_model(self, _: Request, name: str) -> Response:
        if name not in self._models:
            raise model_not_found(name)
        return Response(model_object(name))


def listed(rows: list[dict[str, Any]], request: Request) -> Response:
    """A page of a list: at most `limit` rows after the one with the id `after`."""
    after, limit = request.query.get("after"), int(request.query.get("limit", 20))
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    page = rows[start : start + limit]
    return Response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": start + limit < len(rows),
        }
    )
