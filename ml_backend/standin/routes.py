"""Which function answers which path. Chat stands apart: its answers may break the connection."""

from __future__ import annotations

import re
from collections.abc import Callable

from ml_backend.standin.batches import Batches
from ml_backend.standin.calls import CallLog
from ml_backend.standin.chat import ChatEndpoint
from ml_backend.standin.deployments import Deployments
from ml_backend.standin.errors import ApiError, model_not_found
from ml_backend.standin.files import Files
from ml_backend.standin.fine_tuning import FineTuning
from ml_backend.standin.models import Models, model_object
from ml_backend.standin.wire import Request, Response

View = Callable[..., Response]
ACCOUNT = r"/subscriptions/.+/providers/Microsoft\.CognitiveServices/accounts/[^/]+"


class Routes:
    """The table of paths."""

    def __init__(self, chat: ChatEndpoint, calls: CallLog, models: Models, stage_s: float) -> None:
        self._calls = calls
        self._models = models
        files = Files()
        tuning = FineTuning(files, models, stage_s)
        batches = Batches(files, chat, calls, stage_s)
        deployments = Deployments(models)
        table: tuple[tuple[str, str, View], ...] = (
            ("GET", r"/stand-in", self._summary),
            ("GET", r"/models", self._list_models),
            ("GET", r"/models/([^/]+)", self._one_model),
            ("POST", r"/files", files.upload),
            ("GET", r"/files", files.list),
            ("GET", r"/files/([^/]+)", files.retrieve),
            ("DELETE", r"/files/([^/]+)", files.delete),
            ("GET", r"/files/([^/]+)/content", files.content),
            ("POST", r"/fine_tuning/jobs", tuning.create),
            ("GET", r"/fine_tuning/jobs", tuning.list),
            ("GET", r"/fine_tuning/jobs/([^/]+)", tuning.retrieve),
            ("GET", r"/fine_tuning/jobs/([^/]+)/events", tuning.events),
            ("POST", r"/fine_tuning/jobs/([^/]+)/cancel", tuning.cancel),
            ("POST", r"/batches", batches.create),
            ("GET", r"/batches", batches.list),
            ("GET", r"/batches/([^/]+)", batches.retrieve),
            ("POST", r"/batches/([^/]+)/cancel", batches.cancel),
            ("PUT", ACCOUNT + r"/deployments/([^/]+)", deployments.create),
            ("GET", ACCOUNT + r"/deployments/([^/]+)", deployments.retrieve),
        )
        self._table = [(method, re.compile(pattern), view) for method, pattern, view in table]

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
