"""Who a project is: Label Studio's address, the project's id, and the second it was created.

An id alone is not enough: two servers share ids, and a server whose database was emptied uses them again.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit


def normalise_url(url: str) -> str:
    """The address in lower case, without a trailing slash, query or fragment; one name for loopback.

    `localhost` and `127.0.0.1` are one Label Studio: two names for it must not give two loops on a project.
    """
    parts = urlsplit(url.strip())
    host = "127.0.0.1" if parts.hostname in {"localhost", "::1"} else (parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme.lower()}://{host}{port}{parts.path.rstrip('/')}"


def created_seconds(value: str | datetime) -> int:
    """Whole Unix seconds of Label Studio's `created_at`, as it writes them into `project` of its requests."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """Identity of one project on one Label Studio; `str(key)` names its rows, Redis keys and folders."""

    server: str
    project_id: int
    created_at: int

    @classmethod
    def from_uid(cls, server: str, uid: str) -> ProjectKey | None:
        """Parse the `project` of /setup and /predict (`<id>.<created_at>`); None when it is not one."""
        project_id, _, created = str(uid).partition(".")
        if not (project_id.isascii() and project_id.isdigit() and created.isascii() and created.isdigit()):
            return None
        if len(project_id) > 18 or len(created) > 18:
            return None
        return cls(normalise_url(server), int(project_id), int(created))

    @classmethod
    def from_project(cls, server: str, project_id: int, created_at: str | datetime) -> ProjectKey:
        """The key of a project as Label Studio's API describes it."""
        return cls(normalise_url(server), project_id, created_seconds(created_at))

    def __str__(self) -> str:
        server = hashlib.sha256(self.server.encode()).hexdigest()[:8]
        return f"{server}-{self.project_id}-{self.created_at}"

    def webhook_secret(self, secret: str) -> str:
        """The header value by which Label Studio may mark this project, and only this one, as changed.

        Label Studio shows webhook headers to each of its users, so the header holds an HMAC over the
        project's identity, never the secret itself.
        """
        return hmac.new(secret.encode(), f"webhook:{self}".encode(), hashlib.sha256).hexdigest()
