"""The RQ jobs. Each opens its own connections, may be run twice, and may be killed anywhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import redis

from ale.errors import AleError, ProjectGone
from ale.types import LabelSpace
from ml_backend.adopt import adopt
from ml_backend.clean import clean_step
from ml_backend.controls import Control, find_control
from ml_backend.identity import ProjectKey, normalise_url
from ml_backend.instructions import plain_text
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.learn import LearnRun
from ml_backend.learning import build_learning
from ml_backend.lock import single_flight
from ml_backend.marks import connect_redis
from ml_backend.mirroring import mirror_step
from ml_backend.queues import (
    CLEAN,
    EVERY_PROJECT,
    LEARN,
    MIRROR,
    TEACH,
    end_chain,
    enqueue_chain,
    enqueue_tune,
    pause_chain,
    queue,
)
from ml_backend.redis_server import resolve_redis_url
from ml_backend.review_flags import SHOWN_PER_RUN
from ml_backend.runs import recorded
from ml_backend.settings import load_settings
from ml_backend.store import batches, mirror, projects, versions
from ml_backend.store.schema import Project
from ml_backend.teach import Teaching
from ml_backend.tuning.notes import LOCK, forget_failure, last_failure, note_failure
from ml_backend.tuning.step import Tuning
from ml_backend.tuning.switch import make_tuner, tunes
from ml_backend.wiring import Services, build_services

logger = logging.getLogger(__name__)

QUICK_TRIES = 3
"""Failed runs in a row after which a project is no longer tried again at once."""


def learn_project(project: str, force: bool = False) -> str:
    """One learn run; returns its outcome. Busy: the project is marked again, so that no change is lost."""
    services, connection = _open()
    with single_flight(connection, project) as mine:
        if not mine:
            services.marks.mark(project)
            return "busy"
        row = projects.find(services.db, project)
        if row is None or row.status not in {"wished", "connected"} or not _ours(services, row):
            return "ignored"
        before = _last_run(services, project)
        try:
            return _learn(services, connection, row, force=force)
        except ProjectGone as error:
            logger.info("project %s: gone (%s)", project, error)
            projects.change(services.db, project, status="gone", problem=str(error), version=None)
            mirror.forget_project(services.db, project)
            services.marks.forget(project)
            return "gone"
        except AleError as error:
            # The reason is in the run table and in `ale status`; reconcile tries again within a minute.
            logger.warning("project %s: %s: %s", project, type(error).__name__, error)
            projects.change(services.db, project, problem=f"{type(error).__name__}: {error}")
            services.marks.count(f"learn:failed:{type(error).__name__}")
            if _last_run(services, project) != before and not _failing(services, project):
                services.marks.mark(project)
            return "failed"


def _ours(services: Services, row: Project) -> bool:
    """Whether the project lives on the Label Studio that the settings name now."""
    return row.server == normalise_url(services.settings.label_studio_url)


def _last_run(services: Services, project: str) -> int | None:
    """Number of the newest run; the same as before when nothing could even be begun."""
    return next((run.run_id for run in versions.runs(services.db, project, 1)), None)


def _failing(services: Services, project: str) -> bool:
    """Whether the last runs all failed: then the next try is left to the reconcile timer."""
    last = versions.runs(services.db, project, QUICK_TRIES)
    return len(last) == QUICK_TRIES and all(run.outcome == "failed" for run in last)


def _learn(services: Services, connection: redis.Redis, row: Project, *, force: bool) -> str:
    client = LabelStudioClient(services.settings)
    theirs = same_project(client, projects.key_of(row))
    if row.status == "wished":
        adopted = adopt(services, client, row, theirs)
        if adopted is None:
            return "not_adopted"
        row, theirs = adopted, client.project(row.project_id)
    control = find_control(theirs["label_config"])
    run = LearnRun(
        settings=services.settings,
        db=services.db,
        client=client,
        learning=build_learning(services.settings),
        project=row,
        control=control,
        space=described(services, row, control, theirs),
        fence=projects.next_fence(services.db, row.key),
    )
    outcome = recorded(run, theirs, force=force)
    services.marks.count(f"learn:{outcome}")
    if run.counts.get("flags_written", 0) >= SHOWN_PER_RUN:
        services.marks.mark(row.key)  # more are waiting
    if run.teach_more or batches.are_open(services.db, row.key):
        enqueue_chain(connection, TEACH, row.key)
    enqueue_chain(connection, CLEAN, row.key)
    if run.tuning is not None:
        failed, seconds = last_failure(connection, row.key), services.settings.tune_s
        if failed is None or not failed.blocks(run.tuning, seconds):
            enqueue_tune(connection, row.key, run.tuning.labels, seconds)
    if services.settings.mlflow_address:
        enqueue_chain(connection, MIRROR, EVERY_PROJECT)
    return outcome


def teach_project(project: str) -> str:
    """One step of the teachers' pass; comes back until nothing is left. A learn run is due when it has news."""
    services, connection = _open()
    row = projects.find(services.db, project)
    if row is None or row.status != "connected" or not row.label_config or not _ours(services, row):
        return "ignored"
    try:
        control = find_control(row.label_config)
        space = replace(control.label_space, instructions=row.instructions)
        taught = Teaching(
            settings=services.settings,
            db=services.db,
            redis_url=resolve_redis_url(services.settings),
            learning=build_learning(services.settings),
            project=row,
            space=space,
            wanted_elsewhere=lambda: queue(LEARN, connection).count > 0,
        ).step()
    except AleError as error:
        logger.warning("project %s: teach: %s: %s", project, type(error).__name__, error)
        projects.change(services.db, project, teacher_problem=f"{type(error).__name__}: {error}")
        services.marks.count(f"teach:failed:{type(error).__name__}")
        end_chain(connection, TEACH, project)
        return "failed"
    if taught.news:
        services.marks.mark(project)
    if taught.left:
        enqueue_chain(connection, TEACH, project, next_step=True)
    else:
        end_chain(connection, TEACH, project)
    return f"{taught.answered} answers, {taught.left} left"


def tune_project(project: str) -> str:
    """One tuning of the project's encoder, beside the learn runs; one is due when it came to something new."""
    services, connection = _open()
    with single_flight(connection, project, LOCK) as mine:
        if not mine:
            return "busy"
        row = projects.find(services.db, project)
        wanted = tunes(services.settings) and row is not None and row.status == "connected"
        if row is None or not wanted or not row.label_config or not _ours(services, row):
            return "ignored"
        labels = 0
        try:
            space = find_control(row.label_config).label_space
            tuning = Tuning(services.settings, services.db, row, space, make_tuner(services.settings))
            dataset = tuning.dataset()
            labels = len(dataset.labelled)
            made = tuning.run(dataset)
        except AleError as error:
            # The hybrid student goes on alone; more labels, or more time, bring another try.
            problem = f"{type(error).__name__}: {error}"
            logger.warning("project %s: tune: %s", project, problem)
            note_failure(connection, project, labels, services.settings.tune_s, problem)
            services.marks.count(f"tune:failed:{type(error).__name__}")
            return "failed"
        except (
            RuntimeError
        ) as error:  # torch's, above all when a GPU has no memory left; its text may hold paths
            problem = f"{type(error).__name__}, see the worker's log"
            logger.exception("project %s: tune", project)
            note_failure(connection, project, labels, services.settings.tune_s, problem)
            services.marks.count(f"tune:failed:{type(error).__name__}")
            return "failed"
    if made is None:
        return "nothing new"
    forget_failure(connection, project)
    services.marks.count("tune:done")
    services.marks.mark(project)
    return made.id


def clean_project(project: str, listed: Sequence[int] = ()) -> str:
    """One step of deleting prediction rows that no open page can hold any more; `listed` as in `clean_step`."""
    services, connection = _open()
    row = projects.find(services.db, project)
    if row is None or row.status == "gone" or not _ours(services, row):
        return "ignored"
    try:
        client = LabelStudioClient(services.settings)
        left = clean_step(services.db, client, services.settings, row, listed)
    except AleError as error:
        # Superseded rows do no harm; the next learn run starts another round.
        logger.warning("project %s: clean: %s: %s", project, type(error).__name__, error)
        services.marks.count(f"clean:failed:{type(error).__name__}")
        end_chain(connection, CLEAN, project)
        return "failed"
    if left:
        enqueue_chain(connection, CLEAN, project, next_step=True, args=[left])
    else:
        end_chain(connection, CLEAN, project)
    return f"{len(left)} rows listed for the next step"


def mirror_versions(_everything: str) -> str:
    """One step of telling MLflow about the versions that it lacks; comes back until it lacks none."""
    services, connection = _open()
    if not services.settings.mlflow_address:
        return "off"
    with single_flight(connection, EVERY_PROJECT, MIRROR) as mine:
        if not mine:
            return "busy"
        try:
            left = mirror_step(services, wanted_elsewhere=lambda: queue(LEARN, connection).count > 0)
        except AleError as error:
            logger.warning("mirror: %s: %s", type(error).__name__, error)
            services.marks.count(f"mirror:failed:{type(error).__name__}")
            pause_chain(connection, MIRROR, EVERY_PROJECT, services.settings.reconcile_s)
            return "failed"
    if left:
        enqueue_chain(connection, MIRROR, EVERY_PROJECT, next_step=True)
    else:
        end_chain(connection, MIRROR, EVERY_PROJECT)
    return "more is left" if left else "all is told"


def same_project(client: LabelStudioClient, key: ProjectKey) -> Json:
    """Label Studio's description of the project; raises ProjectGone when its id now means another one."""
    theirs = client.project(key.project_id)
    found = ProjectKey.from_project(key.server, key.project_id, theirs["created_at"])
    if found != key:
        raise ProjectGone(f"project {key.project_id} was deleted, and its id now belongs to another one")
    return theirs


def described(services: Services, row: Project, control: Control, theirs: Json) -> LabelSpace:
    """The label space with the project's own labelling instructions: what annotators read, teachers read."""
    text = plain_text(theirs.get("expert_instruction") or "")
    if text != row.instructions or theirs["title"] != row.title:
        projects.change(services.db, row.key, instructions=text, title=str(theirs["title"]))
        row.instructions = text
    return replace(control.label_space, instructions=text)


def _open() -> tuple[Services, redis.Redis]:
    settings = load_settings()
    return build_services(settings), connect_redis(resolve_redis_url(settings))
