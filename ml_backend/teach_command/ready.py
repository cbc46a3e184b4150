"""All that asking needs, at a terminal: Redis, the project as Label Studio has it now, and the teachers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ale.errors import ConfigurationError
from ml_backend.controls import find_control
from ml_backend.instructions import space_of
from ml_backend.jobs import described, same_project
from ml_backend.label_studio import LabelStudioClient
from ml_backend.learning import build_learning
from ml_backend.limiter import close_breaker
from ml_backend.lock import single_flight
from ml_backend.redis_server import ensure_redis
from ml_backend.settings import Settings
from ml_backend.store import consents, projects
from ml_backend.store.schema import Project
from ml_backend.sync import sync
from ml_backend.teach import Teaching
from ml_backend.teachers import NamedTeacher
from ml_backend.wiring import Services, build_services


@dataclass(frozen=True, slots=True)
class Ready:
    """A project whose teachers can be asked. Setting `stop` ends what is under way; answers in flight are kept."""

    services: Services
    teaching: Teaching
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def project(self) -> Project:
        """The project's row as it was when this was made."""
        return self.teaching.project

    @property
    def paid(self) -> list[NamedTeacher]:
        """The teachers that cost money, the cheap ones first."""
        return [teacher for teacher in self.teaching.learning.teachers if teacher.paid]

    def now(self) -> Ready:
        """The same with the project's row as it is now."""
        row = projects.get(self.services.db, self.project.key)
        return replace(self, teaching=replace(self.teaching, project=row, space=space_of(row)))

    def agreed(self) -> bool:
        """Whether somebody has said yes to paying all paid teachers for just this question."""
        db, key, space = self.services.db, self.project.key, self.teaching.space
        return self.project.paid_teacher and all(
            consents.said_yes(db, key, teacher.name, space) for teacher in self.paid
        )

    def agree(self) -> Ready:
        """Somebody wants all of it asked: that is written down, and what kept teachers silent is tried anew."""
        db, key = self.services.db, self.project.key
        for teacher in self.paid:
            consents.agree(db, key, teacher.name, self.teaching.space)
            close_breaker(self.services.marks.connection, teacher.endpoint)
        projects.change(db, key, paid_teacher=True, teacher_problem="")
        return self.now()


@contextmanager
def getting_ready(settings: Settings, project_id: int) -> Iterator[Ready]:
    """The project, read from Label Studio a moment ago. A worker may run beside it or not.

    Raises ConfigurationError when the project is not connected or no paid teacher is named, LabelStudioError.
    """
    with ensure_redis(settings) as url:
        services = build_services(settings)
        try:
            row = read_project(services, project_id)
            stop = threading.Event()
            teaching = Teaching(
                settings=settings,
                db=services.db,
                redis_url=url,
                learning=build_learning(settings),
                project=row,
                space=space_of(row),
                wanted_elsewhere=stop.is_set,
            )
            ready = Ready(services, teaching, stop)
            if not ready.paid:
                raise ConfigurationError(
                    f"ALE_TEACHER={settings.teacher} names no teacher that is asked for money: "
                    "set ALE_TEACHER=openai or ALE_TEACHER=azure:DEPLOYMENT"
                )
            yield ready
        finally:
            services.db.dispose()


def read_project(services: Services, project_id: int) -> Project:
    """The project's row after a look at Label Studio: a hint that was just changed there counts already."""
    row = projects.find_by_id(services.db, services.settings.label_studio_url, project_id)
    if row is None or row.status != "connected":
        raise ConfigurationError(
            f"project {project_id} is {row.status if row else 'not known here'}: "
            f"run `ale connect {project_id}` first"
        )
    client = LabelStudioClient(services.settings)
    theirs = same_project(client, projects.key_of(row))
    control = find_control(theirs["label_config"])
    with single_flight(services.marks.connection, row.key) as mine:
        if mine:  # else a learn run is reading it at this very moment
            sync(services.db, client, row, theirs, control)
            described(services, row, control, theirs)
    return projects.get(services.db, row.key)
