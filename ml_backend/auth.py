"""Who may call what. Two proofs: Basic credentials, and a webhook header that can only mark one project."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import ip_address

from werkzeug.datastructures import Authorization

from ml_backend.identity import ProjectKey
from ml_backend.settings import Settings

WEBHOOK_HEADER = "X-ALE-Webhook"


def basic_ok(given: Authorization | None, settings: Settings) -> bool:
    """Whether these are the credentials of BASIC_AUTH_USER; always False when no password is set.

    Both halves are compared whatever the first one says, so that the time taken tells nothing.
    """
    if not settings.has_password or given is None or given.type != "basic":
        return False
    user = _same(given.username or "", settings.basic_auth_user)
    password = _same(given.password or "", settings.basic_auth_pass.get_secret_value())
    return user and password


def header_opens(header: str, candidates: Iterable[ProjectKey], settings: Settings) -> ProjectKey | None:
    """The project that this header value was given out for, among `candidates`; None when there is none."""
    opened = None
    for key in candidates:
        if _same(header, key.webhook_secret(settings.webhook_secret)):
            opened = key
    return opened


def is_loopback(address: str | None) -> bool:
    """Whether the caller sits on this machine."""
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False


def _same(given: str, expected: str) -> bool:
    # As bytes: compare_digest refuses text that is not ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
