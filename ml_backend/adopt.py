"""Projects that were connected from Label Studio's own settings page.

Anybody who can reach `/setup` can name a project. So it only records the wish; what counts is that our own
token reads a project with that id and that second of creation at our own LABEL_STUDIO_URL.
"""

from __future__ import annotations

import logging

from ml_backend.connect import REFUSES, connect_project, is_ours
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.store import projects
from ml_backend.store.schema import Project
from ml_backend.wiring import Services

logger = logging.getLogger(__name__)


def adopt(services: Services, client: LabelStudioClient, row: Project, theirs: Json) -> Project | None:
    """The connected project's row, or None with the reason in `problem`. `theirs` was read by our token."""
    if services.settings.auto_connect == "off":
        return _refused(services, row, f"ALE_AUTO_CONNECT is off: run `ale connect {row.project_id}`")
    if not any(is_ours(services.settings, backend["url"]) for backend in client.backends(row.project_id)):
        # Read again: `ale connect` may have found the reason since.
        if projects.get(services.db, row.key).problem.startswith(REFUSES):
            return None
        return _refused(
            services,
            row,
            f"no ML backend of the project has the address ALE_URL={services.settings.url}: set ALE_URL to the "
            f"address that Label Studio uses, or run `ale connect {row.project_id}`",
        )
    connected = connect_project(services, row.project_id, paid=services.settings.auto_connect == "all")
    logger.info("project %s (%s): adopted: %s", row.key, theirs["id"], "; ".join(connected.steps))
    return connected.project


def _refused(services: Services, row: Project, why: str) -> Project | None:
    projects.change(services.db, row.key, problem=why)
    logger.info("project %s: not adopted: %s", row.key, why)
    return None
