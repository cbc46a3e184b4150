"""`ale export`: people's labels as files, or the student as a model that needs no server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ale.errors import ConfigurationError

app = typer.Typer()


class Format(StrEnum):
    """What can be written."""

    FINETUNE = "openai-finetune"
    JSONL = "jsonl"
    CSV = "csv"


_LABELS, _MODEL = "People's labels", "A model for `ale index`"


@app.command()
def export(
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    out: Annotated[Path, typer.Option(help="Folder to write into; with --for-index it must not exist.")],
    format: Annotated[
        Format,
        typer.Option(help="Training files in the teacher's prompt, or the labels.", rich_help_panel=_LABELS),
    ] = Format.FINETUNE,
    base: Annotated[
        str,
        typer.Option(
            help="The model that is to be trained, for tokens and costs. [the teacher's]",
            rich_help_panel=_LABELS,
        ),
    ] = "",
    for_index: Annotated[
        bool,
        typer.Option("--for-index", help="Write the student as a model folder.", rich_help_panel=_MODEL),
    ] = False,
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="CSV, JSONL or Parquet of more texts to teach it by.", rich_help_panel=_MODEL),
    ] = None,
    text_column: Annotated[
        str, typer.Option(help="Column with the text in these files.", rich_help_panel=_MODEL)
    ] = "text",
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON for a script.", rich_help_panel=_MODEL)
    ] = False,
) -> None:
    """Write people's labels: as files to fine-tune a model on, with their cost, or as a table. Asks nobody.

    With --for-index: the student instead, with a scanner that imitates it some thousand times as fast.
    """
    from rich.console import Console

    from ml_backend.settings import load_settings

    if for_index:
        from ml_backend.export_model import ModelWish, run_export_model

        wish = ModelWish(project, out, tuple(texts or ()), text_column, json_output)
        run_export_model(Console(), load_settings(), wish)
        return
    if texts or json_output:
        raise ConfigurationError("--texts and --json belong to --for-index")

    from ml_backend.export_command import run_export

    run_export(Console(), load_settings(), project, out, format.value, base)
