"""`ale capture` and `ale drift`: what a served model meets outside, for annotators and for its owner."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ml_backend.capturing import Wish
    from ml_backend.store.database import Database

app = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Service = Annotated[
    str | None, typer.Option(help="Only what this service said (`ale serve-model --name`). [all]")
]


@app.command()
def capture(
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    service: Service = None,
    traces: Annotated[
        str | None,
        typer.Option(help="Read traces of another program first: JSONL of input, output, feedback, time."),
    ] = None,
    below: Annotated[
        float, typer.Option(min=0, max=1, help="Texts of a lower confidence are worth a look.")
    ] = 0.6,
    novel: Annotated[
        bool, typer.Option("--novel/--no-novel", help="Look for texts that are unlike the project's.")
    ] = True,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks to make at most.")] = 100,
    near: Annotated[
        float, typer.Option(help="Leave out texts at least so similar to the project's; 0: only equal ones.")
    ] = 0.85,
    as_json: AsJson = False,
) -> None:
    """Make tasks of the served texts that are worth labelling: objected to, unsure, or new. Each text once."""
    from ml_backend.capturing import Wish

    _capture(Wish(service, below, limit, near), project, traces, novel=novel, as_json=as_json)


def _capture(wish: Wish, project: int, traces: str | None, *, novel: bool, as_json: bool) -> None:
    from ml_backend.capturing import START
    from ml_backend.capturing import capture as run
    from ml_backend.controls import find_control
    from ml_backend.identity import ProjectKey
    from ml_backend.import_screen import Bars
    from ml_backend.label_studio import LabelStudioClient
    from ml_backend.learning import build_learning
    from ml_backend.only_one import only_one
    from ml_backend.settings import load_settings
    from ml_backend.store.database import Database
    from ml_backend.task_import import Import

    settings = load_settings()
    client = LabelStudioClient(settings)
    theirs = client.project(project)
    control = find_control(theirs["label_config"])
    key = str(ProjectKey.from_project(settings.label_studio_url, project, theirs["created_at"]))
    encoder = build_learning(settings).encoder if novel else None
    journal = settings.home / "imports" / f"{key}-captured.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = Database(settings.database)
    try:
        with only_one(settings.home, f"import into project {project}"), Bars(quiet=as_json) as bars:
            told = {"traces": _read_traces(db, traces)} if traces else {}
            done = run(db, Import(client, project, START, journal), key, control, encoder, wish, bars)
    finally:
        db.dispose()
    if as_json:
        typer.echo(json.dumps({**told, **asdict(done)}))
        return
    for line in told.values():
        typer.echo(
            f"{line['new']:,} new traces, {line['known']:,} known, {line['bad']:,} lines without an input."
        )
    if not done.looked_at:
        typer.echo(
            "No served text waits: `ale serve-model` keeps them with --capture and --keep-texts, "
            "`ale capture --traces FILE` reads those of another program."
        )
        return
    reasons = ", ".join(f"{n:,} {why}" for why, n in done.why.items()) or "none is worth a look"
    typer.echo(
        f"{done.looked_at:,} served texts, {done.in_project:,} of them in the project already. "
        f"{done.tasks:,} new tasks ({reasons})."
    )


def _read_traces(db: Database, url: str) -> dict[str, int]:
    from ale.io.traces import read_traces
    from ml_backend.capturing import keep_traces

    return dict(zip(("new", "known", "bad"), keep_traces(db, read_traces(url)), strict=True))


@app.command()
def drift(
    service: Service = None,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How far back.")] = 30,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model folder: what it met in `ale fit` is the reference, and texts are compared. [the first day]"
        ),
    ] = None,
    below: Annotated[float, typer.Option(min=0, max=1, help="Confidence that counts as unsure.")] = 0.6,
    plot: Annotated[Path | None, typer.Option(help="Draw it: .png, .svg or .pdf.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show day by day whether labels, confidence and texts of what was served change. Random samples only."""
    from ml_backend.drifting import drifting, show
    from ml_backend.settings import load_settings
    from ml_backend.store.database import Database

    db = Database(load_settings().database)
    try:
        measured = drifting(db, service, days, model, below)
    finally:
        db.dispose()
    if plot is not None:
        from ale.io.plots import draw_days

        draw_days(plot, measured)
    if as_json:
        typer.echo(json.dumps([asdict(day) for day in measured]))
    else:
        show(measured)
