"""What a call to /webhook means: which project changed, and whether the caller may say so.

A webhook is a hint. It has one second and one attempt, so all that happens here is a mark in Redis; the
worker reads the state from Label Studio. Nothing of the body is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.auth import header_opens
from ml_backend.identity import ProjectKey
from ml_backend.store import projects
from ml_backend.wiring import Services

START_TRAINING = "START_TRAINING"

ACTIONS = frozenset(
    {
        "ANNOTATION_CREATED",
        "ANNOTATIONS_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_DELETED",
        "TASKS_CREATED",
        "TASKS_DELETED",
        "PROJECT_UPDATED",
        START_TRAINING,
    }
)
"""Everything that Label Studio Community sends and that may change what is to be learnt."""


@dataclass(frozen=True, slots=True)
class Received:
    """HTTP status, and what is told to the caller; `status` is also the counted outcome."""

    http: int
    status: str
    reason: str = ""

    def body(self) -> dict[str, str]:
        """The JSON answer."""
        return {"status": self.status} | ({"reason": self.reason} if self.reason else {})


REFUSED = Received(401, "refused", "send Basic credentials, or the X-ALE-Webhook header of this project")


def receive(
    services: Services, body: Mapping[str, Any], *, header: str | None, trusted: bool, loopback: bool
) -> Received:
    """Mark the project as changed if the caller may; raises redis.RedisError when the mark is not recorded.

    `trusted`: the caller sent Basic credentials. Without a password the process listens on loopback only,
    and there Label Studio's Start Training button, which can send no header, is believed for known projects.
    """
    action, project = body.get("action"), body.get("project")
    if not isinstance(action, str) or not isinstance(project, Mapping | None):
        return Received(400, "malformed", "expected {action: text, project: object}")
    key = _key(services, project)
    if header is not None and not trusted:
        # send_payload=false leaves the project out: then the header alone must say which one.
        candidates = _connected(services) if project is None else [key] if key else []
        key = header_opens(header, candidates, services.settings)
        if key is None:
            return REFUSED
    elif not trusted:
        if action != START_TRAINING or services.settings.has_password or not loopback:
            return REFUSED
        if key and projects.find(services.db, key) is None:
            key = None
    return _mark(services, key, action)


def known_header(services: Services, header: str) -> bool:
    """Whether this header value belongs to any project of ours."""
    return header_opens(header, _connected(services), services.settings) is not None


def _mark(services: Services, key: ProjectKey | None, action: str) -> Received:
    if action not in ACTIONS:
        return Received(202, "ignored", "unknown action")
    if key is None:
        return Received(202, "ignored", "unknown project")
    services.marks.mark(str(key))
    return Received(202, "marked")


def _key(services: Services, project: Mapping[str, Any] | None) -> ProjectKey | None:
    if project is None:
        return None
    project_id, created_at = project.get("id"), project.get("created_at")
    if not isinstance(project_id, int) or not isinstance(created_at, str) or not 0 < project_id < 2**31:
        return None
    try:
        return ProjectKey.from_project(services.settings.label_studio_url, project_id, created_at)
    except ValueError:
        return None


def _connected(services: Services) -> list[ProjectKey]:
    return [
        projects.key_of(row)
        for row in projects.every(
            services.db, "connected", "wished", server=services.settings.label_studio_url
        )
    ]
