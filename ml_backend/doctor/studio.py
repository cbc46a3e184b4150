"""Label Studio's side: reachable, token, and for each project config, way back to us, webhook and order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from ale.errors import AleError
from ml_backend.auth import WEBHOOK_HEADER
from ml_backend.connect import REFUSES, is_our_hook, is_ours, refused_address
from ml_backend.controls import find_control
from ml_backend.doctor.findings import Finding, broken, works
from ml_backend.doctor.order import order
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Project

SUBNETS = "USE_DEFAULT_BANNED_SUBNETS=false and USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16,fe80::/10"


def label_studio(settings: Settings) -> Generator[Finding, None, LabelStudioClient | None]:
    """Whether Label Studio answers and takes our token; returns a client when it does."""
    try:
        client = LabelStudioClient(settings)
        version = client.version().get("release", "?")
    except AleError as error:
        fix = (
            "set LABEL_STUDIO_URL to Label Studio's address"
            if "KEY" not in str(error)
            else "set LABEL_STUDIO_API_KEY"
        )
        yield broken("Label Studio", str(error), fix)
        return None
    yield works("Label Studio", f"{version} at {settings.label_studio_url}")
    try:
        user = client.whoami()
    except AleError as error:
        yield broken(
            "token",
            str(error),
            "set LABEL_STUDIO_API_KEY to a token from Account & Settings (legacy tokens must be switched on there)",
        )
        return None
    yield works("token", f"accepted, user {user.get('id')}")
    return client


def project_findings(
    settings: Settings, db: Database, client: LabelStudioClient, row: Project
) -> Iterator[Finding]:
    """One project: its config, Label Studio's way to us, the webhook, the order."""
    name = f"project {row.project_id}"
    try:
        theirs = client.project(row.project_id)
    except AleError as error:
        yield broken(
            name, str(error), f"run: ale disconnect {row.project_id}, or give the token's user access"
        )
        return
    again = f"run: ale connect {row.project_id}"
    if row.status == "wished" and row.problem.startswith(REFUSES):
        yield broken(
            f"{name}: Label Studio to ALE", row.problem, f"start Label Studio with {SUBNETS}; {again}"
        )
        return
    if row.status == "wished":
        yield broken(
            name,
            row.problem or "waits for the worker to adopt it",
            again,
        )
        return
    checks: tuple[Callable[[Settings, LabelStudioClient, Project, Json], Iterator[Finding]], ...] = (
        _config,
        _way_to_us,
        _webhook,
    )
    for check in checks:
        for finding in check(settings, client, row, theirs):
            yield replace(finding, hop=f"{name}: {finding.hop}")
    for finding in order(db, row, theirs):
        yield replace(finding, hop=f"{name}: {finding.hop}")


def _config(_s: Settings, _c: LabelStudioClient, row: Project, theirs: Json) -> Iterator[Finding]:
    try:
        control = find_control(theirs["label_config"])
    except AleError as error:
        yield broken("labels", str(error), "change the labelling config in Settings > Labeling Interface")
        return
    yield works("labels", f"{len(control.label_space)} choices on ${control.field}")
    if row.problem:
        yield broken("last run", row.problem, "see `ale status`; the worker tries again within a minute")


def _way_to_us(
    settings: Settings, client: LabelStudioClient, row: Project, _theirs: Json
) -> Iterator[Finding]:
    ours = [b for b in client.backends(row.project_id) if is_ours(settings, b["url"])]
    again = f"run: ale connect {row.project_id}"
    if not ours:
        yield broken("Label Studio to ALE", f"no ML backend with the address {settings.url}", again)
        return
    state, why = ours[0].get("readable_state"), str(ours[0].get("error_message") or "")
    if state == "Connected":
        yield works("Label Studio to ALE", f"{ours[0]['url']} is connected")
        return
    if not why and row.webhook_id is not None:  # Label Studio does not say that its own guard stopped it
        why = refused_address(settings, client, projects.key_of(row), row.webhook_id)
    if "reserved network address" in why:
        fix = f"start Label Studio with {SUBNETS}"
    elif "401" in why or "Unauthorized" in why:
        fix = f"BASIC_AUTH_USER/BASIC_AUTH_PASS differ from what Label Studio has; {again}"
    else:
        fix = (
            f"ALE_URL={settings.url} must be an address that Label Studio's own machine or container reaches"
        )
    yield broken("Label Studio to ALE", f"{state}: {why[:300]}", fix)


def _webhook(settings: Settings, client: LabelStudioClient, row: Project, _theirs: Json) -> Iterator[Finding]:
    key = projects.key_of(row)
    hooks = [h for h in client.webhooks(row.project_id) if is_our_hook(settings, h, key) and h["is_active"]]
    secret = key.webhook_secret(settings.webhook_secret)
    signed = [h for h in hooks if (h.get("headers") or {}).get(WEBHOOK_HEADER) == secret]
    again = f"run: ale connect {row.project_id}"
    if not signed:
        seen = "registered without our secret" if hooks else "not registered"
        yield broken("webhook", seen, again)
    elif len(hooks) > 1:
        yield broken("webhook", f"{len(hooks)} webhooks to ALE: events arrive more than once", again)
    else:
        yield works("webhook", "registered with its secret")
