"""Connecting a Label Studio project, and taking everything back. Both may be repeated at any time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ale.errors import LabelStudioError, LabelStudioRefused, ProjectGone
from ml_backend.auth import WEBHOOK_HEADER
from ml_backend.controls import find_control
from ml_backend.identity import ProjectKey, normalise_url
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.second_opinions import withdraw_all
from ml_backend.settings import Settings
from ml_backend.store import mirror, projects
from ml_backend.store.schema import Project
from ml_backend.tabs import ensure_tabs
from ml_backend.webhook import ACTIONS, START_TRAINING
from ml_backend.wiring import Services

logger = logging.getLogger(__name__)

SAMPLING = "Uncertainty sampling"
BACKEND_TITLE = "ALE"
REFUSES = "Label Studio refuses ALE's address as a private one"
"""How the reason begins that a project keeps when Label Studio's guard refused us; the doctor looks for it."""
EVENTS = sorted(ACTIONS - {START_TRAINING})  # that one is no webhook event: it comes from the ML client


@dataclass(frozen=True, slots=True)
class Connected:
    """What connecting found and did, for the user to read."""

    project: Project
    steps: list[str]


def connect_project(services: Services, project_id: int, *, paid: bool = True) -> Connected:
    """Connect a project and start its first pass.

    `paid` allows teachers that cost money. Raises UnsupportedConfig, LabelStudioError. Our web process must
    answer at ALE_URL: Label Studio calls it before it accepts a backend.
    """
    client = LabelStudioClient(services.settings)
    theirs = client.project(project_id)
    key = ProjectKey.from_project(services.settings.label_studio_url, project_id, theirs["created_at"])
    control = find_control(theirs["label_config"])
    projects.wish(services.db, key)
    row = projects.get(services.db, key)
    steps: list[str] = []
    backends = client.backends(project_id)
    ours = [b for b in backends if is_ours(services.settings, b["url"])]
    url = ours[0]["url"].rstrip("/") if ours else services.settings.url
    if row.status != "connected" and not row.previous_sampling:
        projects.change(services.db, key, previous_sampling=str(theirs["sampling"]))
    try:
        # The webhook first: Label Studio then adds no secretless one of its own with the backend.
        webhook = _ensure_webhook(services.settings, client, key, url, steps)
        backend_id = (
            int(ours[0]["id"]) if ours else _add_backend(services.settings, client, project_id, steps)
        )
    except LabelStudioRefused as error:
        projects.change(services.db, key, problem=str(error))  # for `ale doctor`
        raise
    _delete_secretless(services.settings, client, key, webhook, steps)
    _set_project(client, project_id, row, steps)
    projects.change(
        services.db,
        key,
        status="connected",
        title=str(theirs["title"]),
        webhook_id=webhook,
        backend_id=backend_id,
        problem="",
        paid_teacher=paid or row.paid_teacher,
    )
    ensure_tabs(services.db, client, projects.get(services.db, key), control)
    services.marks.mark(str(key), at_once=True)
    steps.append("first pass queued")
    return Connected(projects.get(services.db, key), steps)


def disconnect_project(services: Services, project_id: int) -> list[str]:
    """Undo what connecting did; annotations and predictions stay. What was undone, for the user to read."""
    client = LabelStudioClient(services.settings)
    try:
        theirs = client.project(project_id)
    except ProjectGone:
        return _forget_gone(services, project_id)
    key = ProjectKey.from_project(services.settings.label_studio_url, project_id, theirs["created_at"])
    row = projects.get(services.db, key)
    projects.next_fence(services.db, key)  # a run that is under way discards itself
    projects.change(services.db, key, status="disconnected", version=None)
    services.marks.forget(str(key))
    steps = []
    for backend in client.backends(project_id):
        if is_ours(services.settings, backend["url"]):
            client.delete_backend(int(backend["id"]))
            steps.append("ML backend removed")
    for hook in client.webhooks(project_id):
        if is_our_hook(services.settings, hook, key):
            client.delete_webhook(int(hook["id"]))
            steps.append("webhook removed")
    for view_id in (row.review_view_id, row.unsure_view_id):
        if view_id is not None:
            client.delete_view(view_id)
            steps.append("tab removed")
    if withdraw_all(services.db, client, str(key)):
        steps.append("tasks that waited for a second answer set back")
    before = row.previous_sampling or "Sequential sampling"
    client.update_project(project_id, sampling=before, model_version="")
    steps.append(f"order set back to {before}")
    projects.change(
        services.db,
        key,
        webhook_id=None,
        backend_id=None,
        review_view_id=None,
        unsure_view_id=None,
        content_hash="",
        previous_sampling="",
    )
    return steps


def _forget_gone(services: Services, project_id: int) -> list[str]:
    """Label Studio has no such project any more: what is left is ours to forget."""
    row = projects.find_by_id(services.db, services.settings.label_studio_url, project_id)
    if row is None:
        raise ProjectGone(f"project {project_id} is known neither to Label Studio nor here")
    projects.change(services.db, row.key, status="gone", version=None)
    mirror.forget_project(services.db, row.key)
    services.marks.forget(row.key)
    return ["the project is gone from Label Studio; its texts and labels are forgotten here"]


def is_ours(settings: Settings, url: str) -> bool:
    """Whether an address in Label Studio means this ALE: ALE_URL, by whatever name of loopback."""
    return normalise_url(settings.url) == normalise_url(url)


def is_our_hook(settings: Settings, hook: Json, key: ProjectKey) -> bool:
    """By its address, or by our header (ALE_URL may have changed since it was registered)."""
    base, slash, last = str(hook["url"]).rstrip("/").rpartition("/")
    carries = (hook.get("headers") or {}).get(WEBHOOK_HEADER) == key.webhook_secret(settings.webhook_secret)
    return carries or (bool(slash) and last == "webhook" and is_ours(settings, base))


def webhook_values(settings: Settings, key: ProjectKey, url: str) -> Json:
    """Our webhook as Label Studio's API wants it.

    Without a payload: the event says that something changed, the state is read from Label Studio. That
    spares the annotator's Submit the time to write out the project, and keeps texts out of the request.
    """
    return {
        "project": key.project_id,
        "url": f"{url}/webhook",
        "send_payload": False,
        "send_for_all_actions": False,
        "actions": EVENTS,
        "headers": {WEBHOOK_HEADER: key.webhook_secret(settings.webhook_secret)},
        "is_active": True,
    }


def refused_address(settings: Settings, client: LabelStudioClient, key: ProjectKey, hook: int) -> str:
    """Why Label Studio would call no such address as ours: our webhook is saved once more as it is. Empty: it would."""
    try:
        _understood(lambda: client.save_webhook(webhook_values(settings, key, settings.url), hook))
    except LabelStudioRefused as error:
        return str(error)
    return ""


def _ensure_webhook(
    settings: Settings, client: LabelStudioClient, key: ProjectKey, url: str, steps: list[str]
) -> int:
    hooks = [h for h in client.webhooks(key.project_id) if is_our_hook(settings, h, key)]
    wanted = webhook_values(settings, key, url)
    first = hooks[0] if hooks else None
    if first is None:
        steps.append("webhook registered with its secret")
    elif any(_other(first.get(name), value) for name, value in wanted.items() if name != "project"):
        steps.append("webhook put right")
    else:
        return int(first["id"])
    return int(_understood(lambda: client.save_webhook(wanted, int(first["id"]) if first else None))["id"])


def _other(theirs: object, ours: object) -> bool:
    """Label Studio gives lists back in an order of its own."""
    if isinstance(theirs, list) and isinstance(ours, list):
        return sorted(theirs) != sorted(ours)
    return theirs != ours


def _delete_secretless(
    settings: Settings, client: LabelStudioClient, key: ProjectKey, keep: int, steps: list[str]
) -> None:
    """Another webhook to us would deliver every event twice, or without the secret."""
    for hook in client.webhooks(key.project_id):
        if int(hook["id"]) != keep and is_our_hook(settings, hook, key):
            client.delete_webhook(int(hook["id"]))
            steps.append("second webhook to ALE removed")


def _add_backend(settings: Settings, client: LabelStudioClient, project_id: int, steps: list[str]) -> int:
    values: Json = {
        "project": project_id,
        "url": settings.url,
        "title": BACKEND_TITLE,
        "is_interactive": False,
    }
    if settings.has_password:
        values |= {
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": settings.basic_auth_user,
            "basic_auth_pass": settings.basic_auth_pass.get_secret_value(),
        }
    try:
        backend_id = int(_understood(lambda: client.add_backend(**values))["id"])
    except LabelStudioError:
        # A refused address leaves its row behind.
        for backend in client.backends(project_id):
            if is_ours(settings, backend["url"]):
                client.delete_backend(int(backend["id"]))
        raise
    steps.append("ML backend added")
    return backend_id


def _understood(call: Callable[[], Json]) -> Json:
    """The call's answer; a refused address says which setting of Label Studio refuses it."""
    try:
        return call()
    except LabelStudioRefused as error:
        if "reserved network address" in str(error):
            raise LabelStudioRefused(
                error.status,
                f"{REFUSES} ({error}). Start Label Studio with "
                "USE_DEFAULT_BANNED_SUBNETS=false and USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16,fe80::/10",
            ) from error
        if "valid URL" in str(error):
            raise LabelStudioRefused(
                error.status,
                f"Label Studio takes no webhook to the address in ALE_URL ({error}): its host must have a dot in "
                "its name, or be localhost or an IP address",
            ) from error
        raise


def _set_project(client: LabelStudioClient, project_id: int, row: Project, steps: list[str]) -> None:
    """Uncertainty sampling by our versions; a backend's title in `model_version` would mean random order."""
    theirs = client.project(project_id)
    changes: Json = {}
    if theirs["sampling"] != SAMPLING:
        changes["sampling"] = SAMPLING
    if not theirs["show_collab_predictions"]:
        changes["show_collab_predictions"] = True
    if changes:
        client.update_project(project_id, **changes)
        steps.append("order set to uncertainty sampling")
    known = client.model_versions(project_id)
    wanted = row.version if row.version in known else ""
    if theirs["model_version"] != wanted:
        client.update_project(project_id, model_version=wanted)
