"""Records what a real Label Studio sends to an ML backend and a webhook, into tests/payloads/*.json.

    python tests/record_payloads.py http://127.0.0.1:8080 TOKEN

It makes a project of its own, connects a small receiver to it, does what users do, and deletes the project.
Label Studio must be allowed to call this machine (USE_DEFAULT_BANNED_SUBNETS=false). Long lists are cut, and
tokens, passwords, names and mail addresses are replaced.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "payloads"
CONFIG = (ROOT / "label_config" / "sentiment.xml").read_text()
SECRET = re.compile(
    r"token|password|secret|email|username|first_name|last_name|avatar|hostname|phone", re.IGNORECASE
)
KEPT_HEADERS = ("Content-Type", "Authorization", "X-ALE-Webhook")
LONG = 3

Json = dict[str, Any]


class Recorder:
    """A backend that answers like a healthy one and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[Json] = []
        app = Flask("recorder")
        app.add_url_rule("/<path>", "any", self._any, methods=["GET", "POST"])
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _any(self, path: str) -> Response:
        body = request.get_json(silent=True) or {}
        headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        self.seen.append({"path": f"/{path}", "headers": headers, "body": body})
        answers: dict[str, Json] = {
            "health": {"status": "UP"},
            "setup": {"model_version": "recorded-1"},
            "predict": {"results": [[] for _ in body.get("tasks", [])]},
        }
        return jsonify(answers.get(path, {}))

    def save(self, name: str, wanted: Callable[[Json], bool]) -> None:
        """Write the newest request that is wanted."""
        found = [entry for entry in self.seen if wanted(entry)]
        if not found:
            raise SystemExit(f"Label Studio sent no {name}; may it call {self.url}?")
        text = json.dumps(_clean(found[-1]), indent=1, ensure_ascii=False, sort_keys=True)
        (FOLDER / f"{name}.json").write_text(text + "\n")

    def action(self, name: str, action: str) -> None:
        """Write the newest webhook of that action."""
        self.save(name, lambda e: e["path"] == "/webhook" and e["body"].get("action") == action)


def _clean(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _clean(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [_clean(entry, name) for entry in value[:LONG]]
    secret = SECRET.search(name) or name in {"Authorization", "X-ALE-Webhook"}
    return "REPLACED" if secret and value not in (None, "", False, True) else value


def main() -> None:
    """Do what users do, and write what arrives."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("token")
    given = parser.parse_args()
    recorder = Recorder()
    FOLDER.mkdir(exist_ok=True)
    with httpx.Client(
        base_url=given.url, headers={"Authorization": f"Token {given.token}"}, timeout=60
    ) as http:
        project = _call(http, "POST", "/api/projects", {"title": "web-payloads", "label_config": CONFIG})[
            "id"
        ]
        try:
            _record(http, recorder, project)
        finally:
            http.delete(f"/api/projects/{project}")


def _record(http: httpx.Client, recorder: Recorder, project: int) -> None:
    hook = {
        "project": project,
        "url": f"{recorder.url}/webhook",
        "headers": {"X-ALE-Webhook": "value"},
        "send_for_all_actions": True,
        "send_payload": True,
        "actions": [],
    }
    hook_id = _call(http, "POST", "/api/webhooks/", hook)["id"]
    login = {"auth_method": "BASIC_AUTH", "basic_auth_user": "ls", "basic_auth_pass": "password"}
    backend = _call(
        http, "POST", "/api/ml/", {"url": recorder.url, "project": project, "title": "ALE", **login}
    )["id"]
    recorder.save("setup", lambda e: e["path"] == "/setup")
    texts = ["I love it.", "It broke after a day.", "It is blue.", "Great support!", "Never again."]
    _call(http, "POST", f"/api/projects/{project}/import", [{"text": text} for text in texts])
    recorder.action("tasks_created", "TASKS_CREATED")
    ids = [task["id"] for task in _call(http, "GET", f"/api/tasks?project={project}&page_size=100")["tasks"]]
    _act(http, project, "retrieve_tasks_predictions", ids)
    recorder.save("predict", lambda e: e["path"] == "/predict")

    made = _call(
        http,
        "POST",
        f"/api/tasks/{ids[0]}/annotations",
        {"result": _result("Positive", origin="manual"), "lead_time": 2.5},
    )
    recorder.action("annotation_created", "ANNOTATION_CREATED")
    _call(
        http,
        "PATCH",
        f"/api/annotations/{made['id']}",
        {"result": _result("Neutral", origin="manual"), "lead_time": 4.0},
    )
    recorder.action("annotation_updated", "ANNOTATION_UPDATED")
    _call(
        http,
        "POST",
        f"/api/tasks/{ids[1]}/annotations",
        {"result": [], "was_cancelled": True, "lead_time": 1.0},
    )
    recorder.action("annotation_skipped", "ANNOTATION_CREATED")

    rows = [{"task": i, "result": _result("Negative"), "score": 0.5, "model_version": "v1"} for i in ids[2:]]
    _call(http, "POST", f"/api/projects/{project}/import/predictions", rows)
    _act(http, project, "predictions_to_annotations", ids[2:], model_version="v1")
    recorder.action("annotations_created", "ANNOTATIONS_CREATED")
    _act(http, project, "delete_tasks_annotations", ids[2:3])
    recorder.action("annotations_deleted", "ANNOTATIONS_DELETED")
    _act(http, project, "delete_tasks", ids[3:])
    recorder.action("tasks_deleted", "TASKS_DELETED")
    changed = CONFIG.replace('value="Neutral"', 'value="Neither"')
    _call(
        http, "PATCH", f"/api/projects/{project}", {"title": "web-payloads changed", "label_config": changed}
    )
    recorder.action("project_updated", "PROJECT_UPDATED")
    http.post(f"/api/ml/{backend}/train").raise_for_status()
    recorder.action("start_training", "START_TRAINING")

    _call(http, "PATCH", f"/api/webhooks/{hook_id}/", {**hook, "send_payload": False})
    _call(
        http,
        "POST",
        f"/api/tasks/{ids[2]}/annotations",
        {"result": _result("Positive", origin="manual"), "lead_time": 2.5},
    )
    recorder.save("without_payload", lambda e: e["path"] == "/webhook" and set(e["body"]) == {"action"})


def _result(label: str, **more: str) -> list[Json]:
    """What an annotator's page sends; a prediction has no `origin`."""
    value = {"choices": [label]}
    return [
        {"id": "r1", "from_name": "sentiment", "to_name": "text", "type": "choices", "value": value, **more}
    ]


def _act(http: httpx.Client, project: int, action: str, tasks: list[int], **more: Any) -> None:
    body = {"selectedItems": {"all": False, "included": tasks}, "project": str(project), **more}
    _call(http, "POST", f"/api/dm/actions?id={action}&project={project}", body)


def _call(http: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    answer = http.request(method, path, json=body)
    if answer.is_error:
        raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
    return answer.json() if answer.content else None


if __name__ == "__main__":
    main()
