"""The command `ale`. Commands import what they need when they run, so that `ale --help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ale.errors import AleError, ConfigurationError

if TYPE_CHECKING:
    import click


class _AleGroup(TyperGroup):
    """Turns an AleError into one readable message: exit code 2 for a wrong setting, 1 for the rest."""

    def invoke(self, ctx: click.Context) -> Any:
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
    port: Annotated[int, typer.Option(min=1, max=65535, help="Label Studio's port.")] = 8080,
    ale_port: Annotated[int, typer.Option(min=1, max=65535, help="ALE's port.")] = 9090,
    auto: Annotated[int, typer.Option(min=0, help="Label this many tasks by a simulated annotator.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated annotator.")] = 1,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between two simulated labels.")] = 0.4,
    wrong: Annotated[float, typer.Option(min=0, max=0.9, help="Share of labels planted wrong.")] = 0.1,
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything after the report.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Start Label Studio, Redis, ALE and a sample project on this machine. Stop with Ctrl+C."""
    from ml_backend.demo.launch import AutoPlan, DemoPlan, run_demo

    plan = DemoPlan.of(home, label_studio_venv, reset=reset, port=port, ale_port=ale_port)
    simulated = AutoPlan(auto, seed, pace, wrong, leave=leave, json_file=json_file) if auto else None
    raise typer.Exit(run_demo(plan, simulated))


@app.command("demo-project")
def demo_project() -> None:
    """Create the sample project on the Label Studio at LABEL_STUDIO_URL and connect it."""
    from ml_backend.demo.project import create_and_connect

    typer.echo(create_and_connect())


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


# -- projects (commands of the lead: connect, disconnect, status, doctor, train, versions) ---------------


def main() -> None:
    """Entry point for `python -m ml_backend.cli`."""
    app()


if __name__ == "__main__":
    main()
