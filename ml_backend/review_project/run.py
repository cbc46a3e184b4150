"""`ale review PROJECT --as-project`: the whole of it, in its order. May be repeated, and killed, at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from redis import RedisError

from ale.errors import ConfigurationError, LabelStudioRefused, ProjectGone
from ale.types import LabelSpace
from ml_backend.controls import Control, find_control
from ml_backend.identity import ProjectKey
from ml_backend.instructions import plain_text
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.learning import build_learning
from ml_backend.only_one import only_one
from ml_backend.review_flags import flags
from ml_backend.review_project.evidence import evidence_for
from ml_backend.review_project.layout import SAMPLING, project_values, review_config
from ml_backend.review_project.serving import Served, Server
from ml_backend.review_project.tasks import VERSION, read_tasks
from ml_backend.review_project.verdicts import carry_out, note_answers, take_back
from ml_backend.store import projects
from ml_backend.store import review_project as stored
from ml_backend.store.schema import Project, ReviewVerdict
from ml_backend.wiring import Services


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found and did. `new` answers came since the last run; `verdicts` are all that there are."""

    title: str
    url: str
    created: bool
    to_review: int
    served: Served
    new: int
    verdicts: Sequence[ReviewVerdict]

    @property
    def outcomes(self) -> dict[str, int]:
        """Verdicts by what became of them; the void ones by their reason."""
        return dict(Counter(row.why or row.outcome for row in self.verdicts))


def review_as_project(services: Services, project_id: int, *, write_back: bool) -> Report:
    """Collect the answers, carry them out, then serve what is doubted now. Raises ConfigurationError, LabelStudioError."""
    settings = services.settings
    row = projects.find_by_id(services.db, settings.label_studio_url, project_id)
    if row is None or row.status != "connected":
        raise ConfigurationError(f"project {project_id} is not connected: run `ale connect {project_id}`")
    client = LabelStudioClient(settings)
    theirs = client.project(project_id)
    if projects.key_of(row) != _key(services, theirs):
        raise ProjectGone(f"project {project_id} was deleted, and its id now belongs to another one")
    control = find_control(theirs["label_config"])
    space = replace(
        control.label_space, instructions=plain_text(theirs.get("expert_instruction") or "")
    )  # as the teachers were asked
    with only_one(settings.home, f"review project of {row.key}"):
        return _Review(services, client, row, theirs, control, space).run(write_back=write_back)


def _key(services: Services, theirs: Json) -> ProjectKey:
    return ProjectKey.from_project(
        services.settings.label_studio_url, int(theirs["id"]), theirs["created_at"]
    )


@dataclass(frozen=True, slots=True)
class _Review:
    services: Services
    client: LabelStudioClient
    project: Project
    theirs: Json
    control: Control
    space: LabelSpace

    def run(self, *, write_back: bool) -> Report:
        """See `review_as_project`."""
        db, key = self.services.db, self.project.key
        config = review_config(self.theirs["label_config"], self.control)
        review, created = self._ensure(config)
        review_id, asks = int(review["id"]), find_control(config)
        tasks = read_tasks(self.client, review_id, asks)
        new = note_answers(db, key, tasks)
        taken_back = take_back(db, key, tasks)
        if taken_back + carry_out(db, self.client, self.project, self.control, write_back=write_back):
            self._look_again()
        verdicts = stored.verdicts(db, key)
        suspects = [flag for flag in flags(db, key) if flag.status == "suspect"]
        learning = build_learning(self.services.settings)
        server = Server(
            client=self.client,
            project=self.project,
            control=self.control,
            review_id=review_id,
            asks=asks,
            space=self.space,
            evidence=lambda some: evidence_for(db, key, learning, self.space, some),
        )
        served = server.serve(suspects, tasks, {row.question for row in verdicts})
        self._hold_order(review_id)
        return Report(
            title=str(review["title"]),
            url=f"{self.services.settings.browser_url}/projects/{review_id}/data",
            created=created,
            to_review=sum(task.answer is None for task in tasks) + served.made - served.removed,
            served=served,
            new=new,
            verdicts=verdicts,
        )

    def _ensure(self, config: str) -> tuple[Json, bool]:
        """The review project, made anew where there is none (any more), its page put right; whether it is new."""
        found = self._known() or self._found()
        if found is None:
            values = project_values(self.project.key, self.theirs, config)
            made = self.client.create_project(**values)
            stored.keep(self.services.db, self.project.key, _key(self.services, made))
            return made, True
        stored.keep(self.services.db, self.project.key, _key(self.services, found))
        if found["label_config"] != config:
            try:
                self.client.update_project(int(found["id"]), label_config=config)
            except LabelStudioRefused as error:
                raise LabelStudioRefused(
                    error.status,
                    f"the labels of project {self.project.project_id} have changed, and Label Studio does not "
                    f"take them into its review project {found['id']}, where answers use the old ones ({error}): "
                    f"delete project {found['id']} in Label Studio and run this again; its verdicts are kept",
                ) from error
        return found, False

    def _known(self) -> Json | None:
        row = stored.find(self.services.db, self.project.key)
        if row is None:
            return None
        try:
            found = self.client.project(row.review_project_id)
        except ProjectGone:
            found = None
        if found is not None and str(_key(self.services, found)) == row.review_key:
            return found
        stored.forget(self.services.db, self.project.key)
        return None

    def _found(self) -> Json | None:
        """One that a run made which was killed before it could remember it."""
        values = project_values(self.project.key, self.theirs, "")
        for project in self.client.projects():
            if project["title"] == values["title"]:
                theirs = self.client.project(int(project["id"]))
                if theirs.get("description") == values["description"]:
                    return theirs
        return None

    def _hold_order(self, review_id: int) -> None:
        """Worst first, with the suggestion chosen."""
        theirs = self.client.project(review_id)
        wanted = {"sampling": SAMPLING, "show_collab_predictions": True}
        if VERSION in self.client.model_versions(review_id):
            wanted["model_version"] = VERSION
        changes = {name: value for name, value in wanted.items() if theirs[name] != value}
        if changes:
            self.client.update_project(review_id, **changes)

    def _look_again(self) -> None:
        """The worker takes settled flags out of the review tab; without Redis its timer does so a little later."""
        with suppress(RedisError):
            self.services.marks.mark(self.project.key)
