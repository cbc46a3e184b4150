"""Fine-tuning jobs: the files are checked in earnest, the training is only told. Nothing learns here."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ml_backend.standin import tokens
from ml_backend.standin.errors import ApiError, invalid, no_such
from ml_backend.standin.files import Files, StoredFile
from ml_backend.standin.models import Models
from ml_backend.standin.paging import page
from ml_backend.standin.stages import Stages
from ml_backend.standin.wire import Request, Response

STATUSES = ("validating_files", "queued", "running", "running", "running", "succeeded")
"""By stage."""

ENDED = {"succeeded", "failed", "cancelled"}
MIN_EXAMPLES = 10
EPOCHS = 3
ROLES = {"system", "user", "assistant", "developer", "tool"}
FILTER = "metadata["


@dataclass(slots=True)
class Job:
    """One job, changed under its owner's lock only."""

    id: str
    model: str
    training: StoredFile
    validation: StoredFile | None
    suffix: str
    metadata: dict[str, str]
    azure: bool
    epochs: int
    seed: int
    created_at: int
    stages: Stages
    status: str = "validating_files"
    stage: int = 0
    error: dict[str, Any] | None = None
    tuned: str | None = None
    finished_at: int | None = None
    results: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Training steps: one per example and epoch, as small data sets have it."""
        return len(self.training.lines()) * self.epochs

    @property
    def trained_tokens(self) -> int:
        """Tokens that are charged: those of the training file, once per epoch."""
        return tokens.count(self.training.content.decode("utf-8", "replace")) * self.epochs

    def tell(self, message: str, data: dict[str, Any] | None = None) -> None:
        """Add an event."""
        self.events.append(
            {
                "object": "fine_tuning.job.event",
                "id": f"ftevent-stand-in-{self.id.rsplit('-', 1)[-1]}-{len(self.events) + 1}",
                "created_at": int(time.time()),
                "level": "error" if self.status == "failed" else "info",
                "message": message,
                "type": "message" if data is None else "metrics",
                "data": data or {},
            }
        )

    def as_json(self) -> dict[str, Any]:
        """The `fine_tuning.job` object."""
        done = self.status == "succeeded"
        hyperparameters = {"n_epochs": self.epochs, "batch_size": 1, "learning_rate_multiplier": 1.0}
        return {
            "object": "fine_tuning.job",
            "id": self.id,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
            "model": self.model,
            "fine_tuned_model": self.tuned,
            "organization_id": "org-stand-in",
            "status": self.status,
            "training_file": self.training.id,
            "validation_file": self.validation.id if self.validation else None,
            "result_files": list(self.results),
            "trained_tokens": self.trained_tokens if done else None,
            "error": self.error or {},
            "hyperparameters": hyperparameters,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "seed": self.seed,
            "estimated_finish": None,
            "integrations": [],
            "metadata": dict(self.metadata),
        }


class FineTuning:
    """All jobs. Any thread may ask."""

    def __init__(self, files: Files, models: Models, stage_s: float) -> None:
        self._files = files
        self._models = models
        self._stage_s = stage_s
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def create(self, request: Request) -> Response:
        """Start a job; raises ApiError 400 for a file or a model that is not there."""
        body = request.json()
        model = str(body.get("model", ""))
        if model not in self._models:
            raise invalid("model", f"Model {model} is not available for fine-tuning.", "model_not_available")
        training = self._file(body, "training_file")
        if training is None:
            raise invalid("training_file", "Missing required parameter: 'training_file'.")
        with self._lock:
            job = Job(
                id=f"ftjob-stand-in-{len(self._jobs) + 1}",
                model=model,
                training=training,
                validation=self._file(body, "validation_file"),
                suffix=str(body.get("suffix") or ""),
                metadata=dict(body.get("metadata") or {}),
                azure=request.azure,
                epochs=_epochs(body),
                seed=int(body.get("seed") or 0),
                created_at=int(time.time()),
                stages=Stages(self._stage_s),
            )
            self._jobs[job.id] = job
            job.tell(f"Created fine-tuning job: {job.id}")
            job.tell(f"Validating training file: {training.id}")
            return Response(job.as_json(), 201 if request.azure else 200)

    def retrieve(self, _: Request, job_id: str) -> Response:
        """A job as it is by now."""
        with self._lock:
            job = self._job(job_id)
            self._advance(job)
            return Response(job.as_json())

    def list(self, request: Request) -> Response:
        """Jobs, newest first; `metadata[KEY]=VALUE` narrows them down."""
        wanted = {
            name.removeprefix(FILTER).removesuffix("]"): value
            for name, value in request.query.items()
            if name.startswith(FILTER)
        }
        with self._lock:
            jobs = [job for job in reversed(self._jobs.values()) if wanted.items() <= job.metadata.items()]
            return page([job.as_json() for job in jobs], request)

    def events(self, request: Request, job_id: str) -> Response:
        """A job's events, newest first."""
        with self._lock:
            return page(self._job(job_id).events[::-1], request)

    def cancel(self, _: Request, job_id: str) -> Response:
        """Stop a job; one that has ended stays as it is (400)."""
        with self._lock:
            job = self._job(job_id)
            if job.status in ENDED:
                raise ApiError(400, f"Job has already ended: {job.status}", code="invalid_status")
            self._end(job, "cancelled", "The job was cancelled")
            return Response(job.as_json())

    def _job(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise no_such("fine-tuning job", job_id, param="fine_tuning_job_id")
        return self._jobs[job_id]

    def _file(self, body: dict[str, Any], name: str) -> StoredFile | None:
        if not body.get(name):
            return None
        try:
            file = self._files.get(str(body[name]))
        except ApiError as error:
            raise invalid(name, f"invalid {name}: {body[name]}") from error
        if file.purpose != "fine-tune":
            raise invalid(name, f"File '{file.id}' must have purpose 'fine-tune', has '{file.purpose}'.")
        return file

    def _advance(self, job: Job) -> None:
        """Go through all stages up to the one that is reached by now."""
        reached = min(job.stages.reached(), len(STATUSES) - 1)
        while job.stage < reached and job.status not in ENDED:
            job.stage += 1
            self._enter(job, STATUSES[job.stage])

    def _enter(self, job: Job, status: str) -> None:
        if status == "queued":
            job.error = problem(job.training, "training_file", MIN_EXAMPLES)
            if job.error is None and job.validation is not None:
                job.error = problem(job.validation, "validation_file", 1)
            if job.error is not None:
                self._end(job, "failed", job.error["message"])
                return
            job.tell("Files validated, moving job to queued state")
        if status == "running":
            if job.status != "running":
                job.tell("Fine-tuning job started")
            self._train(job)
        job.status = status
        if status == "succeeded":
            number = job.id.rsplit("-", 1)[-1]
            suffix = f"-{job.suffix}" if job.suffix else ""
            job.tuned = (
                f"{job.model}.ft-{number}{suffix}"
                if job.azure
                else f"ft:{job.model}:stand-in:{job.suffix}:{number}"
            )
            self._models.add_tuned(job.tuned, deployed=not job.azure)
            rows = [f"{event['data']['step']},{event['data']['train_loss']}" for event in _metrics(job)]
            table = "\n".join(["step,train_loss", *rows]) + "\n"
            job.results.append(self._files.add("step_metrics.csv", "fine-tune-results", table.encode()).id)
            job.tell(f"New fine-tuned model created: {job.tuned}")
            self._end(job, "succeeded", "The job has successfully completed")

    def _train(self, job: Job) -> None:
        """A running stage's share of the steps, the last of them told."""
        share = STATUSES.count("running")
        done = job.stage - STATUSES.index("running") + 1
        step = max(1, job.steps * done // share)
        loss = round(2.0 * math.exp(-2.0 * done / share), 4)
        data = {"step": step, "total_steps": job.steps, "train_loss": loss}
        job.tell(f"Step {step}/{job.steps}: training loss={loss:.2f}", data)

    def _end(self, job: Job, status: str, message: str) -> None:
        job.status = status
        job.finished_at = int(time.time())
        job.tell(message)


def problem(file: StoredFile, param: str, at_least: int) -> dict[str, Any] | None:
    """What is wrong with a file of chat examples, or None."""
    lines = file.lines()
    for number, line in enumerate(lines, start=1):
        fault = _fault(line)
        if fault:
            return {"code": f"invalid_{param}", "param": param, "message": f"Line {number}: {fault}"}
    if len(lines) < at_least:
        message = f"File has {len(lines)} example(s), but must have at least {at_least} examples"
        return {"code": "invalid_n_examples", "param": param, "message": message}
    return None


def _fault(line: dict[str, Any] | None) -> str:
    if line is None:
        return "not a JSON object"
    messages = line.get("messages")
    if not isinstance(messages, list) or not messages:
        return "missing 'messages'"
    if not all(
        isinstance(m, dict) and m.get("role") in ROLES and isinstance(m.get("content"), str) for m in messages
    ):
        return "a message needs a known 'role' and a 'content'"
    return "" if messages[-1]["role"] == "assistant" else "the last message must be from the assistant"


def _epochs(body: dict[str, Any]) -> int:
    given = body.get("hyperparameters") or {}
    method = body.get("method") or {}
    given = (method.get("supervised") or {}).get("hyperparameters") or given
    epochs = given.get("n_epochs", "auto")
    return epochs if isinstance(epochs, int) else EPOCHS


def _metrics(job: Job) -> list[dict[str, Any]]:
    return [event for event in job.events if event["type"] == "metrics"]
