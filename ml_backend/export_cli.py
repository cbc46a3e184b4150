"""`ale export`: people's labels as files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


class Format(StrEnum):
    """What can be written."""

    FINETUNE = "openai-finetune"
    JSONL = "jsonl"
    CSV = "csv"


@app.command()
def export(
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    format: Annotated[
        Format, typer.Option(help="Training files in the teacher's prompt, or the labels.")
    ] = Format.FINETUNE,
    base: Annotated[
        str, typer.Option(help="The model that is to be trained, for tokens and costs. [the teacher's]")
    ] = "",
) -> None:
    """Write people's labels: as files to fine-tune a model on, with their cost, or as a table. Asks nobody."""
    from rich.console import Console

    from ml_backend.export_command import run_export
    from ml_backend.settings import load_settings

    run_export(Console(), load_settings(), project, out, format.value, base)
