"""The HTTP API of one model. /health, /metrics, /openapi.json and /docs are open; /v1 asks for a password or token.

Bodies are read only after that, and never larger than the limit. No text is logged or counted.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound, RequestEntityTooLarge, Unauthorized

from ale.errors import ConfigurationError
from ale.model import Model
from ml_backend import web_log
from ml_backend.serving import meters, openapi
from ml_backend.serving.answers import Answer, answer
from ml_backend.serving.options import Options
from ml_backend.web_errors import register_errors

Json = dict[str, Any]
REQUEST_ID = "X-Request-Id"
OPEN = frozenset({"/", "/health", "/metrics", "/openapi.json", "/docs"})


class Keeper(Protocol):
    """Where served predictions and what people say of them go."""

    def take(self, request_id: str, texts: list[str | None], answers: list[Answer]) -> None:
        """Must not wait: it is called while somebody waits for the answer."""
        ...

    def feedback(self, given: Json) -> None:
        """Kept when this returns."""
        ...


@dataclass(frozen=True, slots=True)
class Serving:
    """One model and how it is served."""

    model: Model
    options: Options
    keeper: Keeper | None = None
    given: meters.Meters | None = None
    meters: meters.Meters = field(init=False)

    def __post_init__(self) -> None:
        own = self.given or meters.Meters(self.model.version, self.model.labels)
        object.__setattr__(self, "meters", own)


def create_app(serving: Serving) -> Flask:
    """The application. The model is asked once, so that its loops are compiled before the first request."""
    answer(serving.model, ["warm"], serving.options.cascade)
    app = Flask("ale_serving")
    app.config["MAX_CONTENT_LENGTH"] = serving.options.max_body
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    routes: list[tuple[str, Callable[[Serving], Response], str]] = [
        ("/", _health, "GET"),
        ("/health", _health, "GET"),
        ("/metrics", _metrics, "GET"),
        ("/openapi.json", _openapi, "GET"),
        ("/docs", _docs, "GET"),
        ("/v1/model", _model, "GET"),
        ("/v1/classify", _classify, "POST"),
        ("/v1/feedback", _feedback, "POST"),
    ]
    app.before_request(lambda: _admit(serving))
    for rule, view, method in routes:
        app.add_url_rule(rule, rule, _with(serving, view), methods=[method])
    app.after_request(lambda response: _told(serving, response))
    register_errors(app)
    web_log.register(app)
    return app


def _with(serving: Serving, view: Callable[[Serving], Response]) -> Callable[[], Response]:
    return lambda: view(serving)


def _admit(serving: Serving) -> None:
    g.request_id, g.begun = uuid.uuid4().hex, time.perf_counter()
    if request.path not in OPEN and not serving.options.access.allows(request.authorization):
        raise Unauthorized


def _told(serving: Serving, response: Response) -> Response:
    """Every answer has its id, and is counted; a path that is no route is counted as none."""
    route = request.url_rule.rule if request.url_rule else "none"
    serving.meters.requests.labels(route, response.status_code).inc()
    serving.meters.seconds.labels(route).observe(time.perf_counter() - g.begun)
    response.headers[REQUEST_ID] = g.request_id
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _health(serving: Serving) -> Response:
    return jsonify(status="UP", model_version=serving.model.version)


def _metrics(serving: Serving) -> Response:
    return Response(serving.meters.render(), content_type=meters.CONTENT_TYPE)


def _openapi(serving: Serving) -> Response:
    return jsonify(openapi.document(serving.model, serving.options))


def _docs(serving: Serving) -> Response:
    response = Response(openapi.page(serving.model, serving.options), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def _model(serving: Serving) -> Response:
    """What answers, and within which limits."""
    model, options = serving.model, serving.options
    return jsonify(
        model_version=model.version,
        labels=list(model.labels),
        captures=serving.keeper is not None,
        max_batch=options.max_batch,
        max_body=options.max_body,
    )


def _classify(serving: Serving) -> Response:
    """One result per text, in order."""
    body = _body(serving)
    texts, coverage = body.get("texts"), body.get("coverage")
    if not isinstance(texts, list) or not all(isinstance(text, str | None) for text in texts):
        raise BadRequest("texts must be a list of texts")
    if len(texts) > serving.options.max_batch:
        raise RequestEntityTooLarge(
            f"{len(texts)} texts in one request; at most {serving.options.max_batch}: send several"
        )
    if coverage is not None and not (isinstance(coverage, float) and 0 < coverage < 1):
        raise BadRequest("coverage must be a number between 0 and 1")
    try:
        answers = answer(serving.model, texts, serving.options.cascade, coverage)
    except ConfigurationError as error:  # too few texts were held out for this coverage
        raise BadRequest(str(error)) from error
    serving.meters.count(answers)
    if serving.keeper is not None:
        serving.keeper.take(g.request_id, texts, answers)
    return jsonify(
        request_id=g.request_id,
        model_version=serving.model.version,
        results=[one.as_json() for one in answers],
    )


def _feedback(serving: Serving) -> Response:
    """What somebody thinks of a served prediction."""
    if serving.keeper is None:
        raise NotFound("feedback is kept where predictions are: start `ale serve-model` with --capture")
    given = openapi.read_feedback(_body(serving), serving.model.labels)
    serving.keeper.feedback(given)
    serving.meters.feedback.labels(given["thumbs"] or ("label" if given["label"] else "comment")).inc()
    response = jsonify(request_id=given["request_id"])
    response.status_code = 201
    return response


def _body(serving: Serving) -> Json:
    """The JSON object in the request."""
    if not request.is_json:
        raise BadRequest("the body must be JSON (Content-Type: application/json)")
    if (request.content_length or 0) > serving.options.max_body:
        raise RequestEntityTooLarge(
            f"a body of more than {serving.options.max_body} bytes: send several requests"
        )
    try:
        body = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body
