"""The student, where it needs more than the base installation, and why its last tuning failed."""

from __future__ import annotations

from collections.abc import Iterator

from redis import RedisError

from ale.errors import AleError, MissingExtra
from ml_backend.doctor.findings import Finding, broken, works
from ml_backend.marks import connect_redis
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings
from ml_backend.store.schema import Project
from ml_backend.tuning.notes import last_failure
from ml_backend.tuning.switch import check_student, tunes


def student(settings: Settings) -> Iterator[Finding]:
    """Whether an encoder can be tuned; no hop where none is."""
    if not tunes(settings):
        return
    try:
        check_student(settings)
    except MissingExtra as error:
        yield broken("student", str(error), "run the command that it names, or unset ALE_STUDENT")
    except AleError as error:
        yield broken("student", str(error), "do what it says, or unset ALE_STUDENT")
    else:
        yield works("student", f"transformer, tuned within {settings.tune_s:g} s")


def project_student(settings: Settings, row: Project) -> Iterator[Finding]:
    """Why the last tuning of the project came to nothing; what else is wrong with Redis is another hop."""
    if not tunes(settings):
        return
    try:
        failed = last_failure(connect_redis(resolve_redis_url(settings), timeout_s=3), row.key)
    except (AleError, RedisError):
        return
    if failed is not None:
        seen = f"the last tuning failed: {failed.problem}"
        fix = "raise ALE_TUNE_S, or use a GPU" if "OutOfTime" in failed.problem else "see the worker's log"
        yield broken(f"project {row.project_id} student", seen, fix)
