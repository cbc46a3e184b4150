"""The API of a served model through Flask's own client: answers, limits, who may ask, its description."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import BadRequest
from werkzeug.test import TestResponse

from ale.cascade import Cascade
from ale.errors import ConfigurationError
from ml_backend.serving import openapi
from ml_backend.serving.app import Serving, create_app
from ml_backend.serving.options import Access, Options
from tests.unit.ale.scanning import LABELS, WordEncoder, make_texts, small_model

MODEL = replace(small_model().model, version="abc123")
TEXTS = make_texts(20, seed=7)[0]
BASIC = {"Authorization": "Basic " + base64.b64encode(b"me:secret").decode()}


def client(access: Access | None = None, **how: Any) -> FlaskClient:
    """A client of an application with these options."""
    return create_app(Serving(MODEL, Options(access or Access(), **how))).test_client()


OPEN = client()


def ask(texts: object, who: FlaskClient = OPEN, **more: Any) -> TestResponse:
    """POST /v1/classify."""
    return who.post("/v1/classify", json={"texts": texts, **more})


def test_every_text_has_its_answer_in_order() -> None:
    """What `load(dir).predict` says; bad ones have a reason; the answer names request and version."""
    answer = ask([*TEXTS, None, " \n"])
    assert answer.status_code == 200
    told = answer.json or {}
    assert [(r["label"], r["confidence"]) for r in told["results"][:-2]] == [
        (one.label, round(one.confidence, 4)) for one in MODEL.predict(TEXTS)
    ]
    assert [(r["label"], r["confidence"], r["reason"]) for r in told["results"][-2:]] == [
        (None, 0.0, "null"),
        (None, 0.0, "no_text"),
    ]
    assert told["model_version"] == "abc123"
    assert told["request_id"] == answer.headers["X-Request-Id"]
    assert ask(TEXTS).headers["X-Request-Id"] != told["request_id"]
    assert (ask([]).json or {})["results"] == []


def test_prediction_sets_hold_the_right_label() -> None:
    """As often as was asked for, on texts that nobody has seen; more coverage, larger sets; a bad text has none."""
    texts, targets = make_texts(600, seed=11)
    sizes = []
    for coverage in (0.6, 0.95):
        results = (ask([*texts, None], coverage=coverage).json or {})["results"]
        assert results[-1]["set"] == []
        held = [LABELS[target] in one["set"] for target, one in zip(targets, results, strict=False)]
        assert abs(np.mean(held) - coverage) < 0.12 or np.mean(held) > coverage
        sizes.append(sum(len(one["set"]) for one in results))
    assert sizes[0] < sizes[1]
    assert "set" not in (ask(texts[:1]).json or {})["results"][0]


def test_unsure_texts_go_to_the_encoder_student() -> None:
    """Those below the confidence, and no others."""
    encoder = WordEncoder()
    unsure = replace(MODEL, encoder=encoder)
    app = create_app(Serving(unsure, Options(cascade=Cascade(below=0.8))))
    encoder.asked.clear()
    ask(TEXTS, app.test_client())
    assert encoder.asked == [
        text for text, one in zip(TEXTS, MODEL.predict(TEXTS), strict=True) if one.confidence < 0.8
    ]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"texts": "one"}, "texts must be a list"),
        ({"texts": [1]}, "texts must be a list"),
        ({}, "texts must be a list"),
        ({"texts": ["a"], "coverage": 1}, "coverage must be a number"),
        ({"texts": ["a"], "coverage": 0.9999}, "takes at least"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(body: dict[str, Any], detail: str) -> None:
    """400, in words that say what to do."""
    answer = OPEN.post("/v1/classify", json=body)
    assert answer.status_code == 400
    assert detail in (answer.json or {})["detail"]


def test_limits_of_batch_and_body() -> None:
    """413 that names the limit; at the limit all is well."""
    small = client(max_batch=3, max_body=2_000)
    assert ask(["a"] * 3, small).status_code == 200
    assert "at most 3" in (ask(["a"] * 4, small).json or {})["detail"]
    answer = ask(["a" * 3_000], small)
    assert answer.status_code == 413
    assert "2000 bytes" in (answer.json or {})["detail"]
    assert small.post("/v1/classify", data="{", content_type="application/json").status_code == 400
    assert small.post("/v1/classify", data="[]").status_code == 400


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer right", 200),
        ("Bearer wrong", 401),
        ("Bearer ", 401),
        (BASIC["Authorization"], 200),
        ("Basic " + base64.b64encode(b"me:wrong").decode(), 401),
        ("Basic " + base64.b64encode(b"right:right").decode(), 401),
        ("Digest right", 401),
    ],
)
def test_who_may_ask(header: str | None, status: int) -> None:
    """Password or token for /v1; health, counters and description are open."""
    guarded = client(Access("me", "secret", "right"))
    headers = {"Authorization": header} if header else {}
    assert guarded.post("/v1/classify", json={"texts": ["a"]}, headers=headers).status_code == status
    assert guarded.get("/v1/model", headers=headers).status_code == status
    for path in ("/health", "/metrics", "/openapi.json", "/docs"):
        assert guarded.get(path).status_code == 200


def test_one_half_of_the_credentials_opens_nothing() -> None:
    """An empty token or password is none."""
    only_token = Access(token="t")
    assert not only_token.allows(Authorization("basic", {"username": "", "password": ""}))
    assert not Access("me", "secret").allows(Authorization("bearer", token=""))
    assert not Access("me", "")
    assert Access("me", "").host("") == "127.0.0.1"
    assert only_token.host("") == "0.0.0.0"  # noqa: S104
    with pytest.raises(ConfigurationError, match="ALE_SERVE_TOKEN"):
        Access().host("0.0.0.0")  # noqa: S104


def test_no_text_is_logged_and_none_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """One line per request; the counters have routes, statuses and labels."""
    caplog.set_level(logging.DEBUG)
    fresh = client()
    ask(["a very private parcel", None], fresh)
    fresh.get("/v1/nothing?private=parcel")
    fresh.post("/v1/classify", data="a very private parcel", content_type="application/json")
    page = fresh.get("/metrics").text
    assert "private" not in page + caplog.text
    assert 'ale_serve_requests_total{route="/v1/classify",status="200"} 1.0' in page
    assert 'ale_serve_requests_total{route="none",status="404"} 1.0' in page
    assert 'ale_serve_labels_total{label="delivery"} 1.0' in page
    assert 'ale_serve_bad_texts_total{reason="null"} 1.0' in page
    assert 'ale_serve_model{version="abc123"} 1.0' in page


def test_the_description_is_that_of_the_routes_and_answers() -> None:
    """Every route stands in it and no other; requests and answers are as its schemas say."""
    app = create_app(Serving(MODEL, Options(Access(token="t"))))
    document = app.test_client().get("/openapi.json").json or {}
    assert document["openapi"].startswith("3.1")
    routes = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"}
    assert set(document["paths"]) == routes - {"/"}
    root = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]}

    def check(name: str, value: object) -> None:
        jsonschema.Draft202012Validator({**root, "$ref": f"#/components/schemas/{name}"}).validate(value)

    for path, methods in document["paths"].items():
        for what in methods.values():
            if "requestBody" in what:
                body = what["requestBody"]["content"]["application/json"]
                check(body["schema"]["$ref"].rsplit("/", 1)[1], body["example"])
            assert what["security"] == ([{"bearer": []}, {"basic": []}] if path.startswith("/v1") else [])
    check("Classified", ask([*TEXTS, None], coverage=0.8).json)
    check("Error", ask("x").json)
    with pytest.raises(jsonschema.ValidationError):
        check("Classified", {"results": [{"label": "unheard of"}]})
    page = app.test_client().get("/docs")
    assert "POST /v1/classify" in page.text
    assert "http" not in page.text.replace("http://HOST", "").replace("&quot;http&quot;", "")


@given(
    st.dictionaries(
        st.sampled_from(["request_id", "item", "thumbs", "label", "comment", "text", "more"]),
        st.sampled_from(["0" * 32, "up", "down", LABELS[0], "x" * 5_000, 0, 3, -1, True, None, [], 1.5, ""]),
    )
)
def test_feedback_is_taken_exactly_when_the_schema_says_so(body: dict[str, Any]) -> None:
    """The check by hand and the published schema agree, but for "one of them must be there" and explicit nulls."""
    schema = openapi.document(MODEL, Options())["components"]["schemas"]["Feedback"]
    given_ = {name: value for name, value in body.items() if value is not None}
    says_something = bool(given_.keys() & {"thumbs", "label"}) or bool(given_.get("comment"))
    valid = jsonschema.Draft202012Validator(schema).is_valid(given_) and says_something and "more" not in body
    valid = valid and not isinstance(body.get("item"), bool | float) and body.get("item", 0) is not None
    try:
        openapi.read_feedback(body, LABELS)
    except BadRequest:
        assert not valid
    else:
        assert valid


def test_without_capture_there_is_no_feedback() -> None:
    """404 rather than feedback that is thrown away."""
    refused = OPEN.post("/v1/feedback", json={"request_id": "0" * 32, "thumbs": "up"})
    assert (refused.status_code, "--capture" in refused.get_json()["detail"]) == (404, True)
