"""Putting the sample project on a Label Studio, and waiting until it can be labelled."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from sqlalchemy import func, select

from ale.errors import AleError
from ml_backend.demo import sample
from ml_backend.demo.steps import Steps
from ml_backend.label_studio import LabelStudioClient
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.store.schema import Project, Reply, Task
from ml_backend.wiring import Services

FIRST_PASS_S = 600.0
POLL_S = 0.2


class NoFirstPass(AleError):
    """The worker published nothing in time; the message says what is known about why."""


def create_sample_project(client: LabelStudioClient) -> int:
    """A new project with the sample's messages, without any label; its id."""
    project_id = int(client.create_project(**sample.project_values())["id"])
    client.import_tasks(project_id, [{sample.FIELD: message.text} for message in sample.pool()])
    return project_id


def create_and_connect(console: Console) -> None:
    """`ale demo-project`: the sample on the Label Studio of the settings, connected and pre-annotated.

    Raises LabelStudioError; NoFirstPass when no worker publishes (the project stays connected).
    """
    from ml_backend.connect import connect_project
    from ml_backend.settings import load_settings
    from ml_backend.wiring import build_services

    steps = Steps(console)
    services = build_services(load_settings())
    client = LabelStudioClient(services.settings)
    with steps.step("sample project is created"):
        project_id = create_sample_project(client)
    with steps.step("sample project is connected to ALE"):
        project = connect_project(services, project_id).project
    with steps.step("sample project is pre-annotated and ordered") as say:
        first_pass(services, project, say)
    steps.say(_what_now(services.settings, project_id, str(client.whoami().get("email", ""))))


def first_pass(
    services: Services,
    project: Project,
    say: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
) -> Project:
    """The project's row once the first suggestions are in force; `check` may raise when waiting is in vain."""
    deadline = time.monotonic() + FIRST_PASS_S
    while True:
        check()
        row = projects.find(services.db, project.key) or project
        answered, tasks, unplaced = _progress(services, project.key)
        heard = answered >= tasks or row.full_publish_at is not None or services.settings.teacher == "none"
        if row.version and (row.teacher_problem or (heard and not unplaced)):
            return row
        problem = f" ({row.problem})" if row.problem else ""
        say(f"pre-annotating: {answered} of {tasks or '?'} texts{problem}")
        if time.monotonic() > deadline:
            raise NoFirstPass(f"no first pass within {FIRST_PASS_S:.0f} s{problem}: `ale doctor` says why")
        time.sleep(POLL_S)


def _progress(services: Services, project: str) -> tuple[int, int, int]:
    """Distinct texts with a teacher's answer, distinct texts, and tasks that no published order holds."""
    with services.db.session() as session:
        texts = select(func.count(Task.text_hash.distinct())).where(Task.project == project)
        answered = texts.where(Task.text_hash.in_(select(Reply.text_hash)))
        unplaced = select(func.count()).where(
            Task.project == project, Task.text_hash.is_not(None), Task.placed_in.is_(None)
        )
        return (
            int(session.scalar(answered) or 0),
            int(session.scalar(texts) or 0),
            int(session.scalar(unplaced) or 0),
        )


def _what_now(settings: Settings, project_id: int, user: str) -> str:
    lines = [f"\nOpen      {settings.browser_url}/projects/{project_id}/data"]
    if settings.deployment == "compose":
        lines += [
            f"Sign in   {user}",
            "Password  docker compose exec label-studio cat /run/secrets/ale/LABEL_STUDIO_PASSWORD",
        ]
    return "\n".join(
        [*lines, "Press     Label All Tasks; after some ten answers the suggestions and the order change"]
    )
