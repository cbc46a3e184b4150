"""What `ale export` does: read Label Studio, write files, say what is in them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ale.errors import ConfigurationError, LabelStudioUnreachable
from ml_backend.export import read_labelled, write_files, write_labels
from ml_backend.learning import build_learning
from ml_backend.redis_server import ensure_redis
from ml_backend.settings import Settings
from ml_backend.store import projects
from ml_backend.store.schema import Project
from ml_backend.teach_command.ready import read_project
from ml_backend.teacher_screens import money
from ml_backend.training_set import training_set
from ml_backend.wiring import Services, build_services


def run_export(console: Console, settings: Settings, number: int, out: Path, kind: str, base: str) -> None:
    """Write the files. Raises ConfigurationError for a project that is not known, LabelStudioError."""
    with ensure_redis(settings):
        services = build_services(settings)
        try:
            project = _read(console, services, number)
            learning = build_learning(settings)
            if kind == "openai-finetune":
                made = training_set(settings, services.db, learning, project, base)
                write_files(out, made.files, made.manifest(project))
                cost = made.cost
                console.print(
                    f"{made.examples:,} texts to train on and {made.validating:,} to measure on are in {out}. "
                    f"Training {escape(made.base)} for {cost.epochs} epochs is about "
                    f"{cost.epochs * cost.about:,} tokens, {money(cost.usd)} (prices of {cost.prices_checked}).",
                    highlight=False,
                )
            else:
                rows = write_labels(read_labelled(services.db, learning, project), project, out, kind)
                console.print(f"{rows:,} labels are in {out}.", highlight=False)
        finally:
            services.db.dispose()


def _read(console: Console, services: Services, number: int) -> Project:
    """The project as Label Studio has it now; as it was read last where that can not be reached, and said so."""
    try:
        return read_project(services, number)
    except LabelStudioUnreachable as error:
        row = projects.find_by_id(services.db, services.settings.label_studio_url, number)
        if row is None:
            raise ConfigurationError(f"project {number} is not known here") from error
        console.print(f"[yellow]{escape(str(error))}: exporting what was read last.[/]")
        return row
