"""One fine-tuning job as it goes on, and what is wrong with a training file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from ml_backend.standin import tokens
from ml_backend.standin.files import StoredFile
from ml_backend.standin.stages import Stages

STATUSES = ("validating_files", "queued", "running", "running", "running", "succeeded")
"""By stage."""

ENDED = {"succeeded", "failed", "cancelled"}
MIN_EXAMPLES = 10
ROLES = {"system", "user", "assistant", "developer", "tool"}


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
            "error": self.error,
            "hyperparameters": hyperparameters,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "seed": self.seed,
            "estimated_finish": None,
            "integrations": [],
            "metadata": dict(self.metadata),
        }

    def train(self) -> None:
        """Tell of the running stage's share of the steps."""
        share = STATUSES.count("running")
        done = self.stage - STATUSES.index("running") + 1
        step = max(1, self.steps * done // share)
        loss = round(2.0 * math.exp(-2.0 * done / share), 4)
        data = {"step": step, "total_steps": self.steps, "train_loss": loss}
        self.tell(f"Step {step}/{self.steps}: training loss={loss:.2f}", data)

    def table(self) -> str:
        """The metrics so far, as the result file has them."""
        data = [event["data"] for event in self.events if event["type"] == "metrics"]
        return "".join(["step,train_loss\n", *(f"{row['step']},{row['train_loss']}\n" for row in data)])

    def end(self, status: str, message: str) -> None:
        """Take a last status."""
        self.status = status
        self.finished_at = int(time.time())
        self.tell(message)


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
