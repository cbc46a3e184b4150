"""`ale finish`: label the rest automatically, with a promise."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


class Format(StrEnum):
    """What can be written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


@app.command()
def finish(
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    max_error: Annotated[
        float, typer.Option(help="At most this share of the automatic labels may be wrong.")
    ] = 0.02,
    confidence: Annotated[float, typer.Option(help="How sure that has to be.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder to write into. [finished-PROJECT]")] = None,
    format: Annotated[Format, typer.Option(help="Of the finished data set.")] = Format.JSONL,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Label what can be labelled automatically with a promise, and certify it; exit code 1 when it can not.

    Trying costs: each try with a changed model spends part of the risk and makes the later ones harder, though the
    promise stays valid however often it is tried. Other values of --max-error or --confidence are another promise
    with a risk of its own: of k promises with the same risk none is broken with a confidence of 1 - k * risk.
    """
    from rich.console import Console

    from ml_backend.finish import Wish, run_finish
    from ml_backend.settings import load_settings

    folder = out if out is not None else Path(f"finished-{project}")
    wish = Wish(project, max_error, confidence, folder, format.value, as_json=json_output)
    raise typer.Exit(run_finish(Console(), load_settings(), wish))
