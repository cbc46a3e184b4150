"""Telling MLflow about a version: one experiment per project, one run and one model version per version.

MLflow itself says what it has: experiments and runs are looked up by tag before one is made, and a run is
FINISHED last of all. So a job that was killed anywhere goes on where it stopped, and a second one does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ale.errors import TrackingRefused
from ml_backend.settings import Settings
from ml_backend.tracking.account import PROJECT, VERSION, Account
from ml_backend.tracking.opening import open_client, translated

if TYPE_CHECKING:
    from mlflow.entities import Run

Given = ParamSpec("Given")
Got = TypeVar("Got")

ALIAS = "in-force"
MISSING = "RESOURCE_DOES_NOT_EXIST"
NO_REGISTRY = {"ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "NOT_IMPLEMENTED"}
PAGE = 1_000


class Tracker:
    """MLflow, as one step of the mirror sees it. Every method may raise TrackingError."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.mlflow_address
        self._client = open_client(settings)

    def answers(self) -> None:
        """Ask for the least there is; raises when that fails."""
        self._ask(self._client.search_experiments, max_results=1)

    def told(self, project: str) -> set[str]:
        """Versions of the project that MLflow has whole, or that somebody deleted there."""
        experiment = self._find_experiment(project)
        found: set[str] = set()
        token: str | None = None
        while experiment is not None:
            page = self._ask(
                self._client.search_runs, [experiment], run_view_type=3, max_results=PAGE, page_token=token
            )
            found |= {run.data.tags[VERSION] for run in page if VERSION in run.data.tags and _is_over(run)}
            token = page.token
            if not token:
                break
        return found

    def tell(self, account: Account, files: Path) -> Iterator[None]:
        """Write everything about a version, with all that lies in `files`; pauses between any two calls."""
        experiment = self._find_experiment(account.project)
        yield
        if experiment is None:
            experiment = self._make_experiment(account)
            yield
        run = self._find_run(experiment, account)
        yield
        if run is not None and _is_over(run):
            return
        if run is None:
            run = self._make_run(experiment, account)
            yield
        self._log(run, account)
        yield
        self._ask(self._client.log_artifacts, run.info.run_id, str(files))
        yield
        try:
            yield from self._register(run, account)
        except TrackingRefused as error:
            if error.code not in NO_REGISTRY:
                raise
        self._ask(
            self._client.set_terminated, run.info.run_id, "FINISHED", _milliseconds(account.in_force_at)
        )

    # -- the parts of it -------------------------------------------------------------------------------

    def _find_experiment(self, project: str) -> str | None:
        """By the project's key: neither we nor a user lose it by giving another name."""
        found = self._ask(
            self._client.search_experiments, filter_string=f"tags.`{PROJECT}` = '{project}'", max_results=1
        )
        return str(found[0].experiment_id) if found else None

    def _make_experiment(self, account: Account) -> str:
        beside = None
        if self._address.startswith(
            "sqlite:"
        ):  # else the files would go to the folder that we happen to be in
            beside = str(Path(self._address.removeprefix("sqlite:///")).parent / "mlartifacts")
        return self._ask(
            self._client.create_experiment,
            account.experiment,
            artifact_location=f"{beside}/{account.project}" if beside else None,
            tags={PROJECT: account.project},
        )

    def _find_run(self, experiment: str, account: Account) -> Run | None:
        found = self._ask(
            self._client.search_runs,
            [experiment],
            filter_string=f"tags.`{VERSION}` = '{account.version}'",
            run_view_type=3,
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        return found[0] if found else None

    def _make_run(self, experiment: str, account: Account) -> Run:
        """The tags come in the same call: a run that nobody could find again never exists."""
        return self._ask(
            self._client.create_run,
            experiment,
            start_time=_milliseconds(account.began_at),
            tags=account.tags,
            run_name=account.version,
        )

    def _log(self, run: Run, account: Account) -> None:
        """Equal values at an equal moment: logged again, they are the same."""
        from mlflow.entities import Metric, Param

        at = _milliseconds(account.in_force_at)
        self._ask(
            self._client.log_batch,
            run.info.run_id,
            [Metric(name, value, at, account.number) for name, value in account.metrics.items()],
            [Param(name, value) for name, value in account.params.items()],
            synchronous=True,
        )

    def _register(self, run: Run, account: Account) -> Iterator[None]:
        """A version of the project's registered model; the alias goes to the version in force."""
        name, run_id = account.model, run.info.run_id
        try:
            self._ask(self._client.get_registered_model, name)
        except TrackingRefused as error:
            if error.code != MISSING:
                raise
            self._ask(self._client.create_registered_model, name, tags={PROJECT: account.project})
        yield
        of_run = f"name = '{name}' and run_id = '{run_id}'"
        found = self._ask(self._client.search_model_versions, of_run, max_results=1)
        yield
        if found:
            number = str(found[0].version)
        else:
            made = self._ask(
                self._client.create_model_version,
                name,
                run.info.artifact_uri,
                run_id,
                tags={VERSION: account.version},
                await_creation_for=0,
            )
            number = str(made.version)
            yield
        if account.newest:
            self._ask(self._client.set_registered_model_alias, name, ALIAS, number)
            yield

    def _ask(self, call: Callable[Given, Got], *args: Given.args, **kwargs: Given.kwargs) -> Got:
        with translated(self._address):
            return call(*args, **kwargs)


def _is_over(run: Run) -> bool:
    return run.info.status == "FINISHED" or run.info.lifecycle_stage == "deleted"


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
