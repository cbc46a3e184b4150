"""The API's own description: an OpenAPI 3.1 document, a page for people, and the check of what feedback says."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from werkzeug.exceptions import BadRequest

from ale.model import Model
from ale.scanner.texts import BadRow
from ml_backend.serving.options import Options

Json = dict[str, Any]
MOST_COMMENT = 4_000
MOST_TEXT = 40_000


def document(model: Model, options: Options) -> Json:
    """The OpenAPI document."""
    secured: list[Json] = [{"bearer": []}, {"basic": []}] if options.access else []
    return {
        "openapi": "3.1.0",
        "info": {"title": "ALE: a served model", "version": version("ale-label-studio"), "x-model-version": model.version},
        "paths": {
            "/v1/classify": _post(
                "Label texts, in order", "Classify", "Classified", _EXAMPLE, secured, status="200"
            ),
            "/v1/feedback": _post(
                "Say what you think of a prediction; served only where predictions are captured",
                "Feedback", "Heard", {"request_id": "0" * 32, "thumbs": "down", "label": model.labels[0]}, secured,
                status="201",
            ),
            "/v1/model": _get("What answers, and within which limits", "application/json", secured),
            "/health": _get("Whether the process answers", "application/json", []),
            "/metrics": _get("Prometheus counters", "text/plain", []),
            "/openapi.json": _get("This document", "application/json", []),
            "/docs": _get("This document, for people", "text/html", []),
        },
        "components": {
            "schemas": _schemas(model, options),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }  # fmt: skip


_EXAMPLE = {"texts": ["where is my parcel?"]}


def _schemas(model: Model, options: Options) -> Json:
    label = {"type": "string", "enum": list(model.labels)}
    maybe = {"enum": [*model.labels, None]}
    return {
        "Classify": {
            "type": "object",
            "required": ["texts"],
            "properties": {
                "texts": {"type": "array", "maxItems": options.max_batch, "items": {"type": ["string", "null"]}},
                "coverage": {
                    "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
                    "description": "Also give prediction sets, which hold the right label with this probability.",
                },
            },
        },
        "Classified": {
            "type": "object",
            "required": ["request_id", "model_version", "results"],
            "properties": {
                "request_id": {"type": "string"},
                "model_version": {"type": "string"},
                "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
            },
        },
        "Result": {
            "type": "object",
            "required": ["label", "confidence", "reason"],
            "properties": {
                "label": maybe,
                "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "Calibrated."},
                "reason": {"enum": [None, *(str(one) for one in BadRow)], "description": "Why there is no label."},
                "set": {"type": "array", "items": label},
            },
        },
        "Feedback": {
            "type": "object",
            "required": ["request_id"],
            "properties": {
                "request_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                "item": {"type": "integer", "minimum": 0, "default": 0, "description": "Which text of the request."},
                "thumbs": {"enum": ["up", "down"]},
                "label": {**label, "description": "The right label."},
                "comment": {"type": "string", "maxLength": MOST_COMMENT},
                "text": {
                    "type": "string", "maxLength": MOST_TEXT,
                    "description": "The text again, where only the client has it. Kept only where texts may be kept.",
                },
            },
        },
        "Heard": {"type": "object", "properties": {"request_id": {"type": "string"}}},
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"type": "string"}, "detail": {"type": "string"}},
        },
    }  # fmt: skip


def _post(what: str, given: str, answer: str, example: Json, secured: list[Json], *, status: str) -> Json:
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{given}"}, "example": example}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "post": {
            "summary": what,
            "security": secured,
            "requestBody": {"required": True, "content": body},
            "responses": {
                status: {
                    "description": "Done",
                    "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}},
                },
                "400": {"description": "The body is not what is asked for", "content": error},
                "401": {"description": "No password and no token, or a wrong one", "content": error},
                "413": {"description": "Too many texts, or too large a body", "content": error},
            },
        }
    }


def _get(what: str, kind: str, secured: list[Json]) -> Json:
    return {
        "get": {
            "summary": what,
            "security": secured,
            "responses": {"200": {"description": "Done", "content": {kind: {}}}},
        }
    }


def page(model: Model, options: Options) -> str:
    """The document as a page; it loads nothing from anywhere."""
    told = document(model, options)
    head = (
        f"<h1>{html.escape(told['info']['title'])}</h1><p>Model version <code>{html.escape(model.version)}</code>. "
        f"At most {options.max_batch:,} texts and {options.max_body:,} bytes in a request. The document itself: "
        '<a href="openapi.json">openapi.json</a>.</p>'
    )
    parts = [head]
    for path, methods in told["paths"].items():
        for method, what in methods.items():
            parts.append(
                f"<h2><code>{method.upper()} {path}</code></h2><p>{html.escape(what['summary'])}</p>"
            )
            if "requestBody" in what:
                body = what["requestBody"]["content"]["application/json"]
                parts.append(f"<pre>{_code(_curl(path, body['example'], options))}</pre>")
    for name, schema in told["components"]["schemas"].items():
        parts.append(f"<h3>{name}</h3><pre>{_code(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>")
    style = "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}pre{background:#f4f4f4;padding:1em;overflow:auto}"
    return f'<!doctype html><html lang="en"><title>ALE</title><style>{style}</style>{"".join(parts)}</html>'


def _curl(path: str, example: Json, options: Options) -> str:
    who = ' -H "Authorization: Bearer $ALE_SERVE_TOKEN"' if options.access else ""
    return f"curl{who} -H 'Content-Type: application/json' -d '{json.dumps(example)}' http://HOST{path}"


def _code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"


def read_feedback(body: Json, labels: Sequence[str]) -> Json:
    """The fields of the schema, checked; BadRequest says which is wrong, and never quotes it."""
    unknown = body.keys() - {"request_id", "item", "thumbs", "label", "comment", "text"}
    request_id, item = body.get("request_id"), body.get("item", 0)
    thumbs, label = body.get("thumbs"), body.get("label")
    comment, text = body.get("comment"), body.get("text")
    for wrong, what in (
        (bool(unknown), "feedback has request_id, item, thumbs, label, comment and text, and nothing else"),
        (not isinstance(request_id, str) or not re.fullmatch("[0-9a-f]{32}", request_id), "request_id must be that of an answer"),
        (isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < 2**31, "item must be the place of a text in its request, from 0"),
        (thumbs not in {None, "up", "down"} if isinstance(thumbs, str | None) else True, "thumbs must be up or down"),
        (label is not None and label not in labels, f"label must be one of {', '.join(labels)}"),
        (not _is_text(comment, MOST_COMMENT), f"comment must be a text of at most {MOST_COMMENT} characters"),
        (not _is_text(text, MOST_TEXT), f"text must be a text of at most {MOST_TEXT} characters"),
        (thumbs is None and label is None and not comment, "one of thumbs, label and comment must be there"),
    ):  # fmt: skip
        if wrong:
            raise BadRequest(what)
    return {
        "request_id": request_id,
        "item": item,
        "thumbs": thumbs,
        "label": label,
        "comment": comment,
        "text": text,
    }


def _is_text(value: object, most: int) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= most)
