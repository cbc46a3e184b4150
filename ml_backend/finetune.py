"""Fine-tuning a teacher: upload, start, follow, register. Killed anywhere and started again, it is one job.

Each step is written down before it is taken. What may have been started is looked up at the provider, by the
file that it was started with; it is started again only when it is surely not there.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ale.errors import BudgetReached, ConfigurationError, TeacherRefused, TeacherUnavailable
from ale.io.chat.account import Account, Patience
from ale.io.chat.faults import UNCLEAR
from ale.io.chat.finetune import MIN_EXAMPLES, JobState, Tuning
from ml_backend.learning import Learning, seed_of
from ml_backend.only_one import only_one
from ml_backend.settings import Settings
from ml_backend.store import spend, tunings
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, TunedModel
from ml_backend.store.spend import NANO, Settled
from ml_backend.teachers import budget_of, resolve_teachers
from ml_backend.training_set import TrainingSet, training_set, tunable
from ml_backend.tuned_teacher import entry_of

logger = logging.getLogger(__name__)

Tell = Callable[[TunedModel, JobState | None], None]
"""Called at each step, and at each look at the job."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What a run works with. `patience`: how often is looked, and how long a start may take to show."""

    settings: Settings
    db: Database
    learning: Learning
    project: Project
    patience: Patience = field(default_factory=Patience)
    tell: Tell = lambda _tuned, _state: None

    def plan(self, base: str = "") -> TrainingSet:
        """What would be trained on, and what it would cost. Asks nobody."""
        return training_set(self.settings, self.db, self.learning, self.project, base)

    def open_job(self) -> TunedModel | None:
        """The job that an earlier run has begun; a run goes on with it."""
        return tunings.find_open(self.db, self.project.key)

    def run(self, base: str = "") -> TunedModel:
        """The job at its end, succeeded or not: the one under way, else the one that had the same files, else a
        new one.

        Raises BudgetReached before anything is sent, TeacherUnavailable when the provider can not be reached
        (then run it again), ConfigurationError for too few examples or a missing key.
        """
        with only_one(self.settings.home, f"finetune-{self.project.key}"):
            teacher, spec = tunable(self.settings, self.learning)
            if teacher.problem:
                raise ConfigurationError(teacher.problem)
            tuning = Tuning(Account(spec, self.patience))
            tuned = self.open_job()
            if tuned is not None and tuned.provider != spec.provider:
                raise ConfigurationError(
                    f"a fine-tuning job is under way at {tuned.provider}: let ALE_TEACHER name that provider's "
                    "teacher until it has ended"
                )
            if tuned is None or tuned.state == "preparing":
                made = self.plan(base)
                before = self.trained_before(made)
                if tuned is None and before is not None:
                    return before
                tuned = self._prepared(tuned, made)
                self._upload(tuning, tuned, made)
                self._start(tuning, tuned, first=True)
            elif tuned.state == "starting":
                self._start(tuning, tuned, first=False)
            return self._follow(tuning, tuned)

    def trained_before(self, made: TrainingSet) -> TunedModel | None:
        """The job that has trained the same model on the very same files at the same provider."""
        wanted = ("succeeded", made.provider, made.base, made.checksums)
        for tuned in tunings.every(self.db, self.project.key):
            if (tuned.state, tuned.provider, tuned.base, tuned.files) == wanted:
                return tuned
        return None

    # -- before anything is started ------------------------------------------------------------------

    def _prepared(self, earlier: TunedModel | None, made: TrainingSet) -> TunedModel:
        """The row of a job that is not started, with its money set aside."""
        if earlier is not None:
            spend.release(self.db, self.project.key, earlier.reservation)
            if (earlier.base, earlier.files) == (made.base, made.checksums):
                self._reserve(earlier, made)
                return earlier
            tunings.forget(self.db, earlier)
        if made.examples < MIN_EXAMPLES:
            raise ConfigurationError(
                f"{made.examples} labelled texts to train on (and {made.validating} kept for measuring) are too "
                f"few: providers want {MIN_EXAMPLES} at least"
            )
        tuned = TunedModel(
            id=uuid.uuid4().hex,
            project=self.project.key,
            provider=made.provider,
            base=made.base,
            question=made.question,
            labels=list(made.codes.values()),
            prompt=made.prompt,
            prompt_version=made.prompt_version,
            snapshot=made.snapshot,
            files=made.checksums,
            state="preparing",
            reservation=uuid.uuid4().hex,
            epochs=made.cost.epochs,
            tokens=made.cost.epochs * made.cost.about,
            usd=made.cost.usd,
        )
        tunings.add(self.db, tuned)
        try:
            self._reserve(tuned, made)
        except BudgetReached:
            tunings.forget(self.db, tuned)
            raise
        return tuned

    def _reserve(self, tuned: TunedModel, made: TrainingSet) -> None:
        budget, usd = budget_of(self.settings), made.cost.usd_at_most
        if usd is None and budget.usd is not None and budget.tokens is None:
            raise BudgetReached(
                f"what it costs to train {made.base} is not known, so a budget of {budget.usd:g} USD cannot be "
                f'kept: name its "training" price in a file (ALE_PRICES, under "ft:{made.base}"), or limit the '
                "tokens (ALE_BUDGET_TOKENS)",
                reason="price_unknown",
            )
        tokens = made.cost.epochs * made.cost.most
        name = spend.reserve(
            self.db,
            self.project.key,
            math.ceil((usd or 0.0) * NANO),
            tokens,
            budget,
            name=tuned.reservation,
            held_until=datetime.now(UTC) + tunings.HELD,
        )
        if name is None:
            cost = "" if usd is None else f" (up to {usd:.2f} USD)"
            raise BudgetReached(
                f"the project's budget has no room for training on up to {tokens} tokens{cost}: raise "
                "ALE_BUDGET_USD or ALE_BUDGET_TOKENS",
                reason="budget_reached",
            )

    def _upload(self, tuning: Tuning, tuned: TunedModel, made: TrainingSet) -> None:
        """Both files, each once: one that arrived before we were stopped is found by its name."""
        for column, content in (("training_id", made.train), ("validation_id", made.validation)):
            if getattr(tuned, column) or not content:
                continue
            self.tell(tuned, None)
            name = f"ale-{tuned.id}-{column.removesuffix('_id')}.jsonl"
            file_id = tuning.account.find_file(name, "fine-tune")
            if file_id is None:
                file_id = tuning.account.upload(name, content.encode(), "fine-tune")
            tunings.change(self.db, tuned, **{column: file_id})

    # -- started once --------------------------------------------------------------------------------

    def _start(self, tuning: Tuning, tuned: TunedModel, *, first: bool) -> None:
        """Start the job, or find it where it may have been started before."""
        if first:
            tunings.change(self.db, tuned, state="starting", started_at=datetime.now(UTC))
            state = self._started(tuning, tuned)
        else:
            state = self._found(tuning, tuned) or self._started(tuning, tuned)
        tunings.change(self.db, tuned, state="running", job_id=state.id)
        self.tell(tuned, state)

    def _started(self, tuning: Tuning, tuned: TunedModel) -> JobState:
        try:
            return tuning.start(
                tuned.base,
                tuned.training_id,
                tuned.validation_id or None,
                epochs=tuned.epochs,
                suffix=f"ale-{self.project.project_id}",
                seed=seed_of(self.project.key) % 2**31,
                metadata={"ale": tuned.id, "project": self.project.key, "question": tuned.question},
            )
        except TeacherUnavailable as error:
            if error.reason in UNCLEAR:
                found = self._found(tuning, tuned)
                if found is not None:
                    return found
            if isinstance(error, TeacherRefused):
                self._end(tuned, "failed", problem=str(error))
            raise

    def _found(self, tuning: Tuning, tuned: TunedModel) -> JobState | None:
        """The job over our file. One that was asked for just now may not be listed yet."""
        return self.patience.until_listed(tuned.started_at, lambda: tuning.find(tuned.training_id))

    # -- to its end ----------------------------------------------------------------------------------

    def _follow(self, tuning: Tuning, tuned: TunedModel) -> TunedModel:
        while True:
            state = tuning.look(tuned.job_id)
            self.tell(tuned, state)
            if state.ended:
                break
            self.patience.sleep(self.patience.poll_s)
        if state.status == "succeeded":
            self._register(tuned, state)
        else:
            problem = state.problem or f"the provider says no more than: {state.status}"
            self._end(tuned, state.status, problem=problem, tokens=state.trained_tokens)
        return tuned

    def _register(self, tuned: TunedModel, state: JobState) -> None:
        """The model as a teacher with a name; the settings decide whether it is asked."""
        tuned.model = state.model
        settings = self.settings.model_copy(update={"teacher": entry_of(tuned, self.project)})
        (named,) = resolve_teachers(settings, self.learning.encoder)
        tokens = tuned.tokens if state.trained_tokens is None else state.trained_tokens
        self._end(tuned, "succeeded", model=state.model, teacher=named.name, tokens=tokens)

    def _end(self, tuned: TunedModel, state: str, *, tokens: int | None = None, **values: object) -> None:
        """Write down the end with what it cost, in one transaction.

        A job that failed costs nothing; of one that was cancelled it is not known unless the provider says it.
        """
        key = self.project.key
        unknown = tokens is None and state == "cancelled"
        if unknown:
            spend.lose(self.db, key, tuned.reservation)
        else:
            per_token = 0.0 if tuned.usd is None else tuned.usd / max(1, tuned.tokens)
            values |= {"tokens": tokens or 0, "usd": None if tuned.usd is None else per_token * (tokens or 0)}
        with self.db.session() as session:
            tunings.change_in(session, tuned, state=state, ended_at=datetime.now(UTC), **values)
            if tokens is not None:
                nano_usd = math.ceil((tuned.usd or 0.0) * NANO)
                spend.settle(session, key, [Settled(tuned.reservation, nano_usd, tokens)])
        if tokens is None:
            spend.release(self.db, key, tuned.reservation)  # nothing is left of one that was lost
        logger.info("project %s: fine-tuning job %s: %s", key, tuned.job_id or "(none)", state)
