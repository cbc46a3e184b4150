"""Everything that the demo needs, up as long as a block runs: processes, sample project, first pass."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ale.errors import AleError, ProjectGone
from ml_backend.connect import connect_project
from ml_backend.demo.label_studio_server import Account, healthy, label_studio_child
from ml_backend.demo.label_studio_venv import VERSION, ensure_label_studio
from ml_backend.demo.plan import (
    DemoPlan,
    Kept,
    demo_environment,
    demo_settings,
    shell_environment,
)
from ml_backend.demo.project import NoFirstPass, create_sample_project, first_pass
from ml_backend.demo.steps import Steps
from ml_backend.label_studio import LabelStudioClient
from ml_backend.ports import is_free
from ml_backend.private_files import write_private
from ml_backend.processes import web_command, worker_command
from ml_backend.redis_server import ensure_redis
from ml_backend.store.schema import Project
from ml_backend.supervisor import Child, Supervisor, tail
from ml_backend.wiring import Services, build_services


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """Everything is up, and the sample project is pre-annotated."""

    plan: DemoPlan
    kept: Kept
    account: Account
    services: Services
    client: LabelStudioClient
    supervisor: Supervisor
    project: Project


@contextmanager
def running_demo(plan: DemoPlan, steps: Steps) -> Iterator[RunningDemo]:
    """All processes, as long as the block runs. The caller holds `own_home`."""
    kept, notes = Kept.load(plan)
    for note in notes:
        steps.say(f"[yellow]![/] {note}")
    if plan.teacher.stand_in:
        kept.need_stand_in()
    if plan.teacher.note():
        steps.say(f"[yellow]![/] {plan.teacher.note()}")
    account = Account.kept_in(plan.home / "account.json")
    with steps.step(f"Label Studio {VERSION} is installed") as say:
        program = ensure_label_studio(plan.venv, say)
    alone = demo_settings(plan, kept, account.token)
    logs = plan.home / "logs"
    with ensure_redis(alone) as redis_url, Supervisor() as supervisor:
        steps.say("[green]✓[/] Redis is up")
        settings = demo_settings(plan, kept, account.token, redis_url)
        env = demo_environment(settings)
        write_private(plan.home / "env", shell_environment(settings, real=plan.teacher.real))
        if plan.teacher.stand_in:
            with steps.step("the stand-in is up (not GPT)"):
                supervisor.start(_stand_in(kept, logs / "stand-in.log", env))
        with steps.step("ALE's web process is up"):
            web = Child(
                "web", web_command(settings), logs / "web.log", env, lambda: healthy(f"{settings.url}/health")
            )
            supervisor.start(web)
        kept.save(plan)
        with steps.step(f"Label Studio is up at {kept.label_studio_url}") as say:
            say("starting Label Studio (half a minute the first time: it creates its database)")
            data = plan.home / "label-studio"
            supervisor.start(label_studio_child(program, data, logs / "label-studio.log", kept.port, account))
        supervisor.start(Child("worker", worker_command(), logs / "worker.log", env))
        services = build_services(settings)
        client = LabelStudioClient(settings)
        _ensure_project(plan, kept, client, steps)
        project = _connect(plan, kept, services, supervisor, steps)
        yield RunningDemo(plan, kept, account, services, client, supervisor, project)


def _stand_in(kept: Kept, log: Path, env: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "ml_backend.demo.standin", str(kept.standin_port)]
    # It has no page of its own; whatever it answers, it listens.
    return Child("stand-in", command, log, env, lambda: not is_free(kept.standin_port))


def _ensure_project(plan: DemoPlan, kept: Kept, client: LabelStudioClient, steps: Steps) -> int:
    if kept.project_id is not None:
        try:
            client.project(kept.project_id)
        except ProjectGone:
            steps.say("[yellow]![/] the sample project was deleted; creating it again")
        else:
            return kept.project_id
    with steps.step("sample project is created"):
        kept.project_id = create_sample_project(client)
        kept.save(plan)
    return kept.project_id


def _connect(plan: DemoPlan, kept: Kept, services: Services, supervisor: Supervisor, steps: Steps) -> Project:
    with steps.step("sample project is connected to ALE"):
        project = connect_project(services, kept.project_id or 0).project
    with steps.step("sample project is pre-annotated and ordered") as say:
        try:
            return first_pass(services, project, say, supervisor.check)
        except NoFirstPass as error:
            log = plan.home / "logs" / "worker.log"
            raise AleError(f"{error}; the worker's log:\n{tail(log)}") from error
