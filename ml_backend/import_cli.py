"""`ale import`: a file becomes the tasks of a project."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ml_backend.importing import Wish

app = typer.Typer()

_CLEAN, _SPLIT, _HOW = "Cleaning", "Held-out set", "How"


class Split(StrEnum):
    """How the held-out rows are drawn."""

    STRATIFIED = "stratified"
    RANDOM = "random"


@app.command("import")
def import_file(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV, JSONL (both also .gz, .zst) or Parquet: a file, a folder, a glob or a URL.",
        ),
    ],
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    text_column: Annotated[str, typer.Option(help="Column with the text.")] = "text",
    label_column: Annotated[
        str | None, typer.Option(help="Column with the label, where there is one; annotators never see it.")
    ] = None,
    with_labels: Annotated[
        bool, typer.Option("--with-labels", help="Import the labels, as annotations.")
    ] = False,
    near: Annotated[
        float,
        typer.Option(
            help="Leave out texts at least so similar to an earlier one; 0: only equal ones.",
            rich_help_panel=_CLEAN,
        ),
    ] = 0.85,
    held_out: Annotated[
        float,
        typer.Option("--hold-out", help="Share of the rows to keep for measuring.", rich_help_panel=_SPLIT),
    ] = 0.0,
    split: Annotated[
        Split | None,
        typer.Option(help="By label, or not. [by label where there is one]", rich_help_panel=_SPLIT),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the held-out rows.", rich_help_panel=_SPLIT)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the report and the held-out rows. [import-PROJECT]", rich_help_panel=_HOW
        ),
    ] = None,
    chunk: Annotated[
        int, typer.Option(min=1, max=5000, help="Tasks per request.", rich_help_panel=_HOW)
    ] = 500,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only clean, split and report.", rich_help_panel=_HOW)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for a script.", rich_help_panel=_HOW)
    ] = False,
) -> None:
    """Import a file as tasks: cleaned, each text once, a part held out. Killed, the same command goes on.

    Texts that the project has already are not imported again.
    """
    from ml_backend.importing import Wish

    stratified = split is Split.STRATIFIED or (split is None and label_column is not None)
    wish = Wish(source, text_column, label_column, near, held_out, stratified, seed, with_labels)
    _run(wish, project, out or Path(f"import-{project}"), chunk, dry_run=dry_run, as_json=as_json)


def _run(wish: Wish, project: int, out: Path, chunk: int, *, dry_run: bool, as_json: bool) -> None:
    from rich.console import Console

    from ale.io.rows import size_of
    from ml_backend.controls import find_control
    from ml_backend.identity import ProjectKey
    from ml_backend.import_screen import Bars, show_prepared, show_sent
    from ml_backend.importing import account, prepare, send, write_folder
    from ml_backend.label_studio import LabelStudioClient
    from ml_backend.only_one import only_one
    from ml_backend.settings import load_settings
    from ml_backend.task_import import Import

    settings = load_settings()
    client = LabelStudioClient(settings)
    theirs = client.project(project)
    control = find_control(theirs["label_config"])
    key = ProjectKey.from_project(settings.label_studio_url, project, theirs["created_at"])
    console = Console(quiet=as_json)
    with only_one(settings.home, f"import into project {project}"), Bars(quiet=as_json) as bars:
        prepared = prepare(wish, control, bars.reading(size_of(wish.source)))
        write_folder(out, prepared, wish)
        told = account(prepared, wish)
        show_prepared(console, told)
        if not dry_run:
            journal = settings.home / "imports" / f"{key}-{prepared.snapshot}.jsonl"
            journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            job = Import(client, project, f"{prepared.snapshot}/", journal, chunk)
            sent = send(job, prepared, control, wish.near, bars)
            told |= asdict(sent)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
    elif not dry_run:
        show_sent(console, project, sent, out)
