"""Fine-tuning jobs at OpenAI and Azure OpenAI: started once, found again, followed to their end.

A job is found again by its training file, which no other job has: a start whose answer was lost is looked up,
never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ale.io.chat.account import Account, Json, identity
from ale.io.chat.faults import QUOTABLE

MIN_EXAMPLES = 10
"""Fewer are refused by every provider."""

ENDED = frozenset({"succeeded", "failed", "cancelled"})
SUFFIX_CHARS = 18
"""Azure takes no more; OpenAI takes 64."""

DATED = {
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-35-turbo": "gpt-35-turbo-0125",
}
"""Only dated models can be fine-tuned; those that the short names stand for."""

_ADVICE = {
    "invalid_n_examples": "there are too few examples for the provider",
    "invalid_training_file": "the provider does not take a line of the training file",
    "invalid_validation_file": "the provider does not take a line of the validation file",
    "invalid_file_format": "the provider does not take the file",
    "exceeded_quota": "the account's quota is used up; check plan and billing",
    "insufficient_quota": "the account's quota is used up; check plan and billing",
    "unsafe_file": "the provider's moderation refuses texts of the training file",
    "content_policy": "the provider's moderation refuses texts of the training file",
    "model_not_available": "this account may not fine-tune that model",
    "server_error": "a fault on the provider's side",
}


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as the provider has it. `trained_tokens` are charged, epochs counted; None before the end.

    `problem` says why it failed, in words for the user; `step` of `steps` is how far it is.
    """

    id: str
    status: str
    model: str = ""
    trained_tokens: int | None = None
    problem: str = ""
    step: int = 0
    steps: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


class Tuning:
    """The fine-tuning jobs of one account."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def start(
        self,
        model: str,
        training: str,
        validation: str | None,
        *,
        epochs: int,
        suffix: str,
        seed: int,
        metadata: Mapping[str, str],
    ) -> JobState:
        """Start a job over uploaded files. Asked once: after an unclear end look with `find`."""
        wanted: dict[str, Any] = {
            "model": model,
            "training_file": training,
            "suffix": suffix[:SUFFIX_CHARS],
            "seed": seed,
        }
        hyperparameters = {"n_epochs": epochs}
        if self.account.azure:  # its stable API versions know neither metadata nor methods
            wanted["hyperparameters"] = hyperparameters
        else:
            wanted["metadata"] = dict(metadata)
            wanted["method"] = {
                "type": "supervised",
                "supervised": {"hyperparameters": hyperparameters},
            }
        if validation is not None:
            wanted["validation_file"] = validation
        made = self.account.ask(
            lambda client: client.fine_tuning.jobs.with_raw_response.create(**wanted), again=False
        )
        return read_job(made, self.account.place)

    def find(self, training: str) -> JobState | None:
        """The job over this training file, None where there is none."""
        rows = self.account.rows(
            lambda where: lambda client: client.fine_tuning.jobs.with_raw_response.list(extra_query=where)
        )
        mine = (row for row in rows if row.get("training_file") == training)
        return next((read_job(row, self.account.place) for row in mine), None)

    def look(self, job_id: str) -> JobState:
        """The job as it is by now, with its last step where the provider tells."""
        row = self.account.ask(lambda client: client.fine_tuning.jobs.with_raw_response.retrieve(job_id))
        if row.get("status") != "running":
            return read_job(row, self.account.place)
        events = self.account.ask(
            lambda client: client.fine_tuning.jobs.with_raw_response.list_events(job_id, limit=20)
        )
        told = [event.get("data") for event in events.get("data") or [] if isinstance(event, Mapping)]
        steps = [data for data in told if isinstance(data, Mapping) and data.get("total_steps")]
        newest: Json = max(steps, key=lambda data: int(data.get("step") or 0), default={})
        step, of = int(newest.get("step") or 0), int(newest.get("total_steps") or 0)
        return read_job(row, self.account.place, step, of)


def read_job(row: Json, place: str, step: int = 0, steps: int = 0) -> JobState:
    """A job as the provider describes it. Raises TeacherUnavailable when this is none."""
    trained = row.get("trained_tokens")
    return JobState(
        id=identity(row, place),
        status=str(row.get("status") or ""),
        model=str(row.get("fine_tuned_model") or ""),
        trained_tokens=trained if isinstance(trained, int) else None,
        problem=_problem(row.get("error")),
        step=step,
        steps=steps,
    )


def epochs_for(examples: int) -> int:
    """How often training goes over the examples: three times, more often for few (at least 100 steps, at most 25
    times), less often for very many. Stated by us, so that the cost can be told beforehand.
    """
    return max(1, min(25, max(3, 100 // max(1, examples)), 25_000 // max(1, examples)))


def _problem(error: object) -> str:
    """The provider's code with what it means; not its message, which may quote a text."""
    fields: Json = error if isinstance(error, Mapping) else {}
    words = [str(fields[name]) for name in ("code", "param") if fields.get(name)]
    known = [word for word in words if QUOTABLE.fullmatch(word)]
    if not known:
        return ""
    meaning = _ADVICE.get(known[0], "")
    return f"{known[0]}: {meaning}" if meaning else " ".join(known)
