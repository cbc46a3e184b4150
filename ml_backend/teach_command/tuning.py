"""`ale teach --finetune`: what would be trained on and what it costs; with --yes, the job, followed to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ale.io.chat.account import Patience
from ale.io.chat.finetune import JobState
from ml_backend.finetune import FineTuning, Tell
from ml_backend.store.schema import Project, TunedModel
from ml_backend.teach_command.ready import Ready
from ml_backend.teacher_screens import money
from ml_backend.training_set import TrainingSet
from ml_backend.tuned_teacher import deployment_of, entry_of

Json = dict[str, Any]


def run_tuning(
    console: Console, ready: Ready, *, yes: bool, base: str = "", patience: Patience | None = None
) -> tuple[int, Json]:
    """The exit code, and the same as JSON. A job that is under way is followed; a new one needs `yes`.

    Ctrl+C stops the looking only: the provider goes on.
    """
    teaching, project = ready.teaching, ready.project
    tuning = FineTuning(teaching.settings, teaching.db, teaching.learning, project, patience or Patience())
    under_way = tuning.open_job()
    if under_way is None:
        made = tuning.plan(base)
        _show_plan(console, made)
        if tuning.trained_before(made) is not None:
            console.print("Trained already, on these very files: nothing is started, nothing is paid.")
        elif not yes:
            console.print(f"To train it: [bold]ale teach {project.project_id} --finetune --yes[/]")
            return 0, {"plan": made.manifest(project)}
    else:
        console.print(f"Going on with the job that trains {under_way.base}.", highlight=False)
    with _watching(console) as tell:
        try:
            tuned = replace(tuning, tell=tell).run(base)
        except KeyboardInterrupt:
            tuned = None
    if tuned is None:
        console.print(
            f"Stopped looking. The provider goes on: [bold]ale teach {project.project_id} --finetune[/] "
            "finds the job again.",
            highlight=False,
        )
        return 1, {"stopped": True}
    for line in _result(tuned, project):
        console.print(line, highlight=False, soft_wrap=True)
    return int(tuned.state != "succeeded"), _as_json(tuned, project)


def _show_plan(console: Console, made: TrainingSet) -> None:
    cost, table = made.cost, Table(show_header=False, title=f"Fine-tuning {made.base}", title_justify="left")
    exact = "" if cost.counted_by != "bytes/3" else ", estimated"
    for name, value in (
        ("trained on", f"{made.examples:,} labelled texts"),
        ("measured on", f"{made.validating:,} others, which no teacher is shown"),
        (
            "left out",
            f"{made.left_out:,} (several labels, ground truth, or doubted)" if made.left_out else "",
        ),
        ("per label", ", ".join(f"{label} {n:,}" for label, n in made.per_label.items())),
        ("epochs", str(cost.epochs)),
        ("tokens", f"about {cost.epochs * cost.about:,}, all epochs{exact}"),
        ("cost", f"about {money(cost.usd)}, at most {money(cost.usd_at_most)}"),
        ("prices", f"as of {cost.prices_checked}"),
    ):
        if value:
            table.add_row(name, escape(value))
    console.print(table)


@contextmanager
def _watching(console: Console) -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[steps]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("uploading", total=None, steps="")

        def tell(_: TunedModel, state: JobState | None) -> None:
            if state is None:
                return
            known = state.steps > 0
            bar.update(
                task,
                description=state.status.replace("_", " "),
                total=state.steps if known else None,
                completed=state.step,
                steps=f"step {state.step}/{state.steps}" if known else "",
            )

        yield tell


def _result(tuned: TunedModel, project: Project) -> Iterator[str]:
    if tuned.state != "succeeded":
        yield f"[yellow]The job {tuned.job_id} has {tuned.state}: {escape(tuned.problem)}[/]"
        return
    yield f"[green]Trained:[/] {escape(tuned.model)}, on {tuned.tokens:,} tokens, for {money(tuned.usd)}."
    if tuned.provider == "azure":
        name = deployment_of(tuned, project)
        yield "It answers once it is deployed (Azure charges a deployment by the hour, too):"
        yield (
            "  az cognitiveservices account deployment create --resource-group GROUP --name RESOURCE "
            f"--deployment-name {name} --model-name {escape(tuned.model)} --model-version 1 "
            "--model-format OpenAI --sku-name Standard --sku-capacity 1"
        )
        yield f'Name its price in a file (ALE_PRICES) under "{name}".'
    yield "Nobody asks it until you set, for the worker and for `ale teach`:"
    yield f"  ALE_TEACHER={escape(entry_of(tuned, project))}"
    yield f"and then agree to pay it: ale teach {project.project_id} --yes"


def _as_json(tuned: TunedModel, project: Project) -> Json:
    teacher = entry_of(tuned, project) if tuned.state == "succeeded" else None
    return {
        "state": tuned.state,
        "problem": tuned.problem,
        "job": tuned.job_id,
        "base": tuned.base,
        "model": tuned.model,
        "teacher": teacher,
        "tokens": tuned.tokens,
        "usd": tuned.usd,
        "snapshot": tuned.snapshot,
        "prompt": tuned.prompt,
    }
