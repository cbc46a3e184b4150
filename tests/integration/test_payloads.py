"""What a real Label Studio 1.23.2 sent (tests/record_payloads.py), sent again: every request is understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_backend.identity import ProjectKey
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.webhook import ACTIONS
from tests.integration.web import Web, running

FOLDER = Path(__file__).parents[1] / "payloads"
RECORDED: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
WEBHOOKS = {name: entry for name, entry in RECORDED.items() if entry["path"] == "/webhook"}
UID = RECORDED["setup"]["body"]["project"]


@pytest.fixture
def web(settings: Settings) -> Iterator[Web]:
    """A web process that knows the recorded project."""
    with running(settings) as web:
        assert web.post("/setup", RECORDED["setup"]["body"]).json() == {"model_version": "ale-0"}
        projects.change(web.services.db, key_of(web), status="connected")
        web.services.marks.forget(str(key_of(web)))
        yield web


def key_of(web: Web) -> ProjectKey:
    """The recorded project."""
    key = ProjectKey.from_uid(web.services.settings.label_studio_url, UID)
    assert key
    return key


def test_nothing_secret_was_recorded() -> None:
    """No token, no password, no address of a person."""
    for name, entry in RECORDED.items():
        text = json.dumps(entry)
        assert "@" not in text, name
        assert entry["headers"].get("Authorization", "REPLACED") == "REPLACED"
        assert entry["body"].get("access_token", "REPLACED") == "REPLACED"


def test_every_action_was_recorded() -> None:
    """The table of known actions is the table of what Label Studio sends."""
    assert {entry["body"]["action"] for entry in WEBHOOKS.values()} == ACTIONS


@pytest.mark.parametrize("name", WEBHOOKS)
def test_webhooks_mark_their_project(web: Web, name: str) -> None:
    """Each one, with the header that we gave out, marks the project that it is about, payload or not."""
    header = key_of(web).webhook_secret(web.services.settings.webhook_secret)
    body = WEBHOOKS[name]["body"]
    assert web.post("/webhook", body).status_code == (202 if body["action"] == "START_TRAINING" else 401)
    web.services.marks.forget(str(key_of(web)))
    assert web.post("/webhook", body, headers={"X-ALE-Webhook": header}).json() == {"status": "marked"}
    assert list(web.services.marks.pending()) == [str(key_of(web))]


def test_predict(web: Web) -> None:
    """One slot for each recorded task."""
    body = RECORDED["predict"]["body"]
    assert web.post("/predict", body).json() == {"results": [[] for _ in body["tasks"]]}
    assert web.services.marks.counts()["predict:no_model"] == len(body["tasks"])
