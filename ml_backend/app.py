"""The web process: Label Studio's routes and ours. Every answer comes from SQL, Redis and a loaded checkpoint.

/health, /setup, /predict, /webhook and /versions are Label Studio's wire contract. Basic credentials are
asked on all but /health, /webhook (which has its own proof) and /metrics (counts only) when a password is set.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Response, jsonify, request
from redis import RedisError
from sqlalchemy import select
from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from ml_backend import metrics, web_log
from ml_backend.auth import WEBHOOK_HEADER, basic_ok, is_loopback
from ml_backend.controls import UnsupportedConfig, find_control
from ml_backend.identity import ProjectKey
from ml_backend.predict import FIRST_VERSION, predict
from ml_backend.report.web import report_answer
from ml_backend.settings import Settings
from ml_backend.status import overview
from ml_backend.store import projects
from ml_backend.store.schema import Version
from ml_backend.web_errors import register_errors
from ml_backend.webhook import REFUSED, Received, known_header, receive
from ml_backend.wiring import Services, build_services

logger = logging.getLogger(__name__)

MAX_BODY = 64 * 1024 * 1024
MAX_UNTRUSTED_BODY = 1024 * 1024
LARGEST_ID = 2**31 - 1
"""Of what a column of ids holds."""
REDIS_TIMEOUT_S = 0.3
"""Label Studio waits one second for a webhook's answer, inside an annotator's Submit."""

Json = dict[str, Any]


def create_app(settings: Settings, services: Services | None = None) -> Flask:
    """The application. Opens the database; Redis may be away and come back at any time."""
    app = Flask("ml_backend")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    services = services or build_services(settings, redis_timeout_s=REDIS_TIMEOUT_S)
    app.extensions["ale"] = services
    for rule, view, methods in (
        ("/", _health, ["GET"]),
        ("/health", _health, ["GET"]),
        ("/setup", _setup, ["POST"]),
        ("/predict", _predict, ["POST"]),
        ("/webhook", _webhook, ["POST"]),
        ("/versions", _versions, ["GET", "POST"]),
        ("/status", _status, ["GET"]),
        ("/metrics", _metrics, ["GET"]),
    ):
        app.add_url_rule(rule, f"{view.__name__}{rule}", _with(services, view), methods=methods)
    app.add_url_rule("/projects/<number>/report", "_report", partial(_report, services), methods=["GET"])
    register_errors(app)
    web_log.register(app)
    return app


View = Callable[[Services], "AnyResponse | tuple[AnyResponse, int]"]


def _with(services: Services, view: View) -> Callable[[], AnyResponse | tuple[AnyResponse, int]]:
    return lambda: view(services)


def _health(_: Services) -> Response:
    """Says that the process answers. Nothing else is asked: Label Studio waits one second for this."""
    return jsonify(status="UP", model_class="ALE")


def _setup(services: Services) -> Response:
    """Remembers that somebody wants this project connected, and says which version is in force.

    The body's host name and access token are neither used nor kept: the worker adopts a project only after
    our own token has read it.
    """
    _ask_password(services)
    body = _body()
    key = _project_key(services, body.get("project"))
    schema = body.get("schema", "")
    if not isinstance(schema, str):
        raise BadRequest("schema must be text")
    wished = projects.wish(services.db, key)
    row = projects.find(services.db, key)
    answer: Json = {"model_version": (row.version if row else None) or FIRST_VERSION}
    if row is None or wished or row.status == "wished" or row.label_config != schema:
        try:
            services.marks.mark(str(key))
        except RedisError as error:
            # The wish is in SQL: the periodic look finds it.
            logger.warning("setup %s: not marked, Redis failed: %s", key, type(error).__name__)
    try:
        find_control(schema)
    except UnsupportedConfig as error:
        answer["problem"] = str(error)
    return jsonify(answer)


def _predict(services: Services) -> Response:
    """One slot per task."""
    _ask_password(services)
    body = _body()
    tasks, config = body.get("tasks"), body.get("label_config")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise BadRequest("tasks must be a list of objects")
    if not isinstance(config, str | None):
        raise BadRequest("label_config must be text")
    return jsonify(results=predict(services, str(body.get("project", "")), config, tasks))


def _webhook(services: Services) -> tuple[Response, int]:
    """Marks a project as changed; 503 at once when that cannot be recorded."""
    header = request.headers.get(WEBHOOK_HEADER)
    trusted = basic_ok(request.authorization, services.settings)
    if not trusted:
        # Before the body is read: a stranger's large body must cost nothing.
        if header is None and services.settings.has_password:
            return _counted(services, REFUSED)
        large = (request.content_length or 0) > MAX_UNTRUSTED_BODY
        if large and (header is None or not known_header(services, header)):
            return _counted(services, REFUSED)
    body = _body()
    received = receive(
        services, body, header=header, trusted=trusted, loopback=is_loopback(request.remote_addr)
    )
    return _counted(services, received)


def _counted(services: Services, received: Received) -> tuple[Response, int]:
    try:
        services.marks.count(f"webhook:{received.status}")
    except RedisError as error:
        logger.warning("webhook: not counted, Redis failed: %s", type(error).__name__)
    return jsonify(received.body()), received.http


def _versions(services: Services) -> Response:
    """Published versions, newest first: of one project when the request names it, else of all connected ones."""
    _ask_password(services)
    named = (_body() if request.method == "POST" else request.args).get("project")
    if named is None:
        rows = list(projects.every(services.db, "connected"))
    else:
        row = projects.find(services.db, _project_key(services, named))
        rows = [row] if row else []
    with services.db.session() as session:
        versions = session.scalars(
            select(Version.version)
            .where(
                Version.project.in_([row.key for row in rows]), Version.state.in_(["in_force", "superseded"])
            )
            .order_by(Version.created_at.desc(), Version.number.desc())
        ).all()
    current = rows[0].version if len(rows) == 1 else None
    return jsonify(versions=list(versions), model_version=current)


def _status(services: Services) -> Response:
    """Everything that `ale status` says, as JSON."""
    _ask_password(services)
    return jsonify(overview(services))


def _report(services: Services, number: str) -> Response:
    """One project's page, for people."""
    _ask_password(services)
    known = number.isascii() and number.isdigit() and len(number) <= len(str(LARGEST_ID))
    if not known or int(number) > LARGEST_ID:
        raise NotFound("a project has a number: /projects/NUMBER/report")
    return report_answer(services, int(number))


def _metrics(services: Services) -> Response:
    """Prometheus' page."""
    return Response(metrics.render(services), content_type=metrics.CONTENT_TYPE)


def _ask_password(services: Services) -> None:
    if services.settings.has_password and not basic_ok(request.authorization, services.settings):
        raise Unauthorized


def _project_key(services: Services, uid: object) -> ProjectKey:
    key = ProjectKey.from_uid(services.settings.label_studio_url, str(uid))
    if key is None or not (0 < key.project_id <= LARGEST_ID and key.created_at <= LARGEST_ID):
        raise BadRequest("project must be <id>.<created_at>")
    return key


def _body() -> Json:
    """The JSON object in the request. Its content type must say JSON: a web page cannot send that unasked."""
    if not request.is_json:
        raise BadRequest("the body must be JSON (Content-Type: application/json)")
    try:
        body = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body
