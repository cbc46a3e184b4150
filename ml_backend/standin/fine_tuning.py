"""Fine-tuning jobs: the files are checked in earnest, the training is only told. Nothing learns here."""

from __future__ import annotations

import threading
import time
from typing import Any

from ml_backend.standin.errors import ApiError, invalid, no_such
from ml_backend.standin.files import Files, StoredFile
from ml_backend.standin.models import Models
from ml_backend.standin.paging import page
from ml_backend.standin.stages import Stages
from ml_backend.standin.tuning_job import ENDED, MIN_EXAMPLES, STATUSES, Job, problem
from ml_backend.standin.wire import Request, Response

EPOCHS = 3
"""When the request leaves it to the provider."""

FILTER = "metadata["


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
            job.end("cancelled", "The job was cancelled")
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
                job.end("failed", job.error["message"])
                return
            job.tell("Files validated, moving job to queued state")
        elif status == "running":
            if job.status != "running":
                job.tell("Fine-tuning job started")
            job.train()
        else:
            self._succeed(job)
        job.status = status

    def _succeed(self, job: Job) -> None:
        """The model is there; on Azure it has yet to be deployed."""
        number = job.id.rsplit("-", 1)[-1]
        if job.azure:
            job.tuned = "-".join([f"{job.model}.ft-{number}", *([job.suffix] if job.suffix else [])])
        else:
            job.tuned = f"ft:{job.model}:stand-in:{job.suffix}:{number}"
        self._models.add_tuned(job.tuned, deployed=not job.azure)
        job.results.append(self._files.add("step_metrics.csv", "fine-tune-results", job.table().encode()).id)
        job.tell(f"New fine-tuned model created: {job.tuned}")
        job.end("succeeded", "The job has successfully completed")


def _epochs(body: dict[str, Any]) -> int:
    given = body.get("hyperparameters") or {}
    method = body.get("method") or {}
    given = (method.get("supervised") or {}).get("hyperparameters") or given
    epochs = given.get("n_epochs", "auto")
    return epochs if isinstance(epochs, int) else EPOCHS
