"""The command `ale`. Commands import what they need when they run, so that `ale --help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ale.cli import app as engine
from ale.errors import AleError, ConfigurationError
from ml_backend import ports
from ml_backend.capture_cli import app as capture
from ml_backend.export_cli import app as export
from ml_backend.finish_cli import app as finish
from ml_backend.import_cli import app as import_tasks
from ml_backend.patch_cli import patch
from ml_backend.report_cli import app as report
from ml_backend.review_cli import app as review
from ml_backend.serve_cli import app as serve_one

if TYPE_CHECKING:
    from ml_backend.store.schema import Project


class _AleGroup(TyperGroup):
    """Turns an AleError into one readable message: exit code 2 for a wrong setting, 1 for the rest."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AleError as error:
            typer.secho(f"ale: {error}", fg="red", err=True)
            raise typer.Exit(2 if isinstance(error, ConfigurationError) else 1) from error


app = typer.Typer(
    cls=_AleGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="ALE for Label Studio: a teacher labels first, a small student learns from every answer.",
)

app.add_typer(engine)  # the commands that need no Label Studio
app.add_typer(export)
app.add_typer(finish)
app.add_typer(report)
app.add_typer(import_tasks)
app.add_typer(serve_one)
app.add_typer(capture)
app.add_typer(review)  # after the engine, whose command of that name it takes along

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ProjectId = Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")]


# -- trying it out ---------------------------------------------------------------------------------------


@app.command()
def demo(
    home: Annotated[
        Path | None, typer.Option(help="Folder that keeps the demo for the next start. [ALE_HOME/demo]")
    ] = None,
    label_studio_venv: Annotated[
        Path | None, typer.Option(help="Where Label Studio gets installed. [<home>/label-studio-venv]")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the last demo and start over.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Label Studio's port.")] = ports.LABEL_STUDIO,
    ale_port: Annotated[int, typer.Option(min=1, max=65535, help="ALE's port.")] = ports.ALE,
    auto: Annotated[int, typer.Option(min=0, help="Label this many tasks by a simulated annotator.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated annotator.")] = 1,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between two simulated labels.")] = 0.4,
    wrong: Annotated[float, typer.Option(min=0, max=0.9, help="Share of labels planted wrong.")] = 0.1,
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything after the report.")] = False,
    teacher: Annotated[
        str | None, typer.Option(help="Who labels first: `openai` is played by a stand-in. [ALE_TEACHER]")
    ] = None,
    real: Annotated[bool, typer.Option("--real", help="Ask the real paid teacher, with your key.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Start Label Studio, Redis, ALE and a sample project on this machine. Stop with Ctrl+C."""
    from ml_backend.demo.annotator import AutoPlan
    from ml_backend.demo.launch import run_demo
    from ml_backend.demo.plan import DemoPlan

    plan = DemoPlan.of(home, label_studio_venv, port=port, ale_port=ale_port, teacher=teacher, real=real)
    simulated = AutoPlan(auto, seed, pace, wrong, json_file) if auto else None
    raise typer.Exit(run_demo(plan, simulated, reset=reset, leave=leave))


@app.command("demo-project")
def demo_project() -> None:
    """Create the sample project on the Label Studio at LABEL_STUDIO_URL, connect and pre-annotate it."""
    from rich.console import Console

    from ml_backend.demo.project import create_and_connect

    create_and_connect(Console())


# -- running it ------------------------------------------------------------------------------------------


@app.command()
def serve() -> None:
    """Run the web process. Without REDIS_URL it brings a Redis of its own."""
    from ml_backend.processes import serve as run

    run()


@app.command()
def worker() -> None:
    """Run the worker that learns and publishes. Without REDIS_URL it brings a Redis of its own."""
    from ml_backend.processes import work

    work()


# -- projects --------------------------------------------------------------------------------------------


@app.command()
def connect(project: ProjectId) -> None:
    """Connect a Label Studio project: webhook, backend, order, two tabs, first pass. May be repeated."""
    from ml_backend.connect import connect_project
    from ml_backend.settings import load_settings
    from ml_backend.wiring import build_services

    connected = connect_project(build_services(load_settings()), project)
    for step in connected.steps:
        typer.echo(f"- {step}")
    typer.echo(f"Project {project} ({connected.project.title}) is connected. Watch it: ale status")


@app.command()
def disconnect(project: ProjectId) -> None:
    """Undo `connect`: webhook, backend, order, tabs. Annotations, predictions and `ale_*` fields stay."""
    from ml_backend.connect import disconnect_project
    from ml_backend.settings import load_settings
    from ml_backend.wiring import build_services

    for step in disconnect_project(build_services(load_settings()), project):
        typer.echo(f"- {step}")
    typer.echo(f"Project {project} is disconnected.")


@app.command()
def doctor(json_output: AsJson = False) -> None:
    """Check every hop and name the line to change for each that fails. Exit code 1 when one fails."""
    import json

    from rich.console import Console

    from ml_backend.doctor import examine
    from ml_backend.screens import show_findings
    from ml_backend.settings import load_settings

    findings = examine(load_settings())
    if json_output:
        found = list(findings)
        typer.echo(json.dumps([finding.as_json() for finding in found], indent=2))
        failed = sum(not finding.ok for finding in found)
    else:
        failed = show_findings(Console(), findings)
    raise typer.Exit(1 if failed else 0)


@app.command()
def status(json_output: AsJson = False) -> None:
    """Show queue, versions, last runs, counts and what was not learnt from, project by project."""
    import json

    from rich.console import Console

    from ml_backend.screens import show_status
    from ml_backend.settings import load_settings
    from ml_backend.status import overview
    from ml_backend.wiring import build_services

    services = build_services(load_settings(), redis_timeout_s=1.0, redis_needed=False)
    seen = overview(services)
    if json_output:
        typer.echo(json.dumps(seen, indent=2))
    else:
        show_status(Console(), seen)


@app.command()
def teach(
    project: ProjectId,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Only try it on so many texts. [20 for a new question]"),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Agree to pay, and ask all that is worth asking.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Ask anew what was answered to other examples or hints.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Draws the sample; the same seed asks nothing twice.")] = 0,
    batch: Annotated[
        bool, typer.Option("--batch", help="Ask by files: half the price, within a day. [with --yes]")
    ] = False,
    batch_deployment: Annotated[
        str, typer.Option(help="Azure: the deployment that takes batches. [the teacher's]")
    ] = "",
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Train the teacher on people's labels; --yes starts it.")
    ] = False,
    base: Annotated[str, typer.Option(help="The model to fine-tune. [the teacher's]")] = "",
    json_output: AsJson = False,
) -> None:
    """See what a paid teacher says to a few texts and what all of them would cost; with --yes, ask them all."""
    from ml_backend.settings import load_settings
    from ml_backend.teach_command.run import Files, Tuning, Wish, run_teach

    files = Files(batch, batch_deployment)
    tuning = Tuning(finetune, base)
    wish = Wish(sample, yes, again, seed, json_output, files, tuning)
    raise typer.Exit(run_teach(load_settings(), project, wish))


app.command()(patch)


@app.command()
def train(project: ProjectId) -> None:
    """Queue a learn run now, whether or not something changed."""
    from ml_backend.marks import connect_redis
    from ml_backend.queues import enqueue_learn
    from ml_backend.redis_server import resolve_redis_url
    from ml_backend.settings import load_settings

    settings = load_settings()
    row = _connected(project)
    if row.status != "connected":
        raise ConfigurationError(f"project {project} is {row.status}: run `ale connect {project}` first")
    queued = enqueue_learn(connect_redis(resolve_redis_url(settings)), row.key, row.fence + 1, force=True)
    typer.echo("A learn run is queued." if queued else "A learn run is queued already.")


@app.command()
def versions(project: ProjectId) -> None:
    """List a project's versions, newest first."""
    from rich.console import Console

    from ml_backend.screens import show_versions
    from ml_backend.settings import load_settings
    from ml_backend.store import versions as stored
    from ml_backend.store.database import Database

    show_versions(Console(), stored.every(Database(load_settings().database), _connected(project).key))


def _connected(project: int) -> Project:
    from ml_backend.settings import load_settings
    from ml_backend.store import projects
    from ml_backend.store.database import Database

    settings = load_settings()
    row = projects.find_by_id(Database(settings.database), settings.label_studio_url, project)
    if row is None:
        raise ConfigurationError(f"project {project} is not known here: run `ale connect {project}`")
    return row


def main() -> None:
    """Entry point for `python -m ml_backend.cli`."""
    app()


if __name__ == "__main__":
    main()
