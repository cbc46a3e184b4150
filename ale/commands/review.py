"""`ale review --data`: which labels of a finished data set are probably wrong. Needs no Label Studio."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ale.io.embeddings import CachedEncoder
    from ale.io.tables import Table
    from ale.review.labelled import Columns, Labelled
    from ale.review.numbering import Numbering
    from ale.review.whole import RowReview, WholeReview
    from ale.types import Probs

app = typer.Typer()

_DATA, _FLAGS, _RESULT = "Data", "Flags", "Result"
_KINDS = (".csv", ".parquet", ".html")
_SHOWN = 10
_LABEL_CHARS = 40


@app.command()
def review(
    data: Annotated[
        Path, typer.Option(help="CSV (or .csv.gz) with texts and labels.", rich_help_panel=_DATA)
    ],
    text_column: Annotated[str, typer.Option(help="Column with the text.", rich_help_panel=_DATA)] = "text",
    label_column: Annotated[
        str, typer.Option(help="Column with the label to be checked.", rich_help_panel=_DATA)
    ] = "label",
    annotator_column: Annotated[
        str | None, typer.Option(help="Column that says who gave the label.", rich_help_panel=_DATA)
    ] = None,
    teacher_columns: Annotated[
        str,
        typer.Option(
            help="Columns with answers of models to the same question, by comma. Empty cells are fine.",
            rich_help_panel=_DATA,
        ),
    ] = "",
    verdict_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the label that a reviewer settled on, empty where nobody looked.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    descriptions: Annotated[
        Path | None,
        typer.Option(
            help="YAML: label to description; adds the zero-shot teacher as a witness.", rich_help_panel=_DATA
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Also tune an encoder on the labels, as a witness that reads better: some minutes, and worth most "
            "where the errors are a model's. Needs the extra `transformers`.",
            rich_help_panel=_FLAGS,
        ),
    ] = False,
    precision: Annotated[
        float | None,
        typer.Option(
            min=0.05,
            max=0.99,
            help="Flag as many as are expected to be wrong at this rate. Default: what is more surely wrong "
            "than right.",
            rich_help_panel=_FLAGS,
        ),
    ] = None,
    max_flags: Annotated[
        int | None, typer.Option(min=0, help="At most so many flags.", rich_help_panel=_FLAGS)
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write a list of all rows here.", rich_help_panel=_RESULT),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            help="Files by comma: .csv or .parquet (all rows, worst first), .html (a page to read).",
            rich_help_panel=_RESULT,
        ),
    ] = "",
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for embeddings. Default: the user's cache.", rich_help_panel=_RESULT),
    ] = None,
) -> None:
    """Find labels that are probably wrong in a CSV file, with a suggestion and a reason.

    Nothing is changed in the file. Texts stay on this machine.
    """
    from ale.commands.cache import cache_folder, cached_encoder
    from ale.io.tables import read_table

    files = review_files(out, [data], json_file)
    if tune:
        from ale.io.tuner import check_tuning

        check_tuning()  # before anything long begins
    table = read_table(data)
    columns = _columns(table, text_column, label_column, annotator_column, teacher_columns, verdict_column)
    encoder = cached_encoder(cache or cache_folder())
    more = {} if descriptions is None else {"zero-shot": _zero_shot(descriptions, columns, encoder)}
    review_columns(
        columns,
        table.name,
        encoder,
        files,
        json_file,
        more=more,
        tune=tune,
        precision=precision,
        max_flags=max_flags,
    )


def review_files(out: str, read: Sequence[Path], json_file: Path | None) -> list[Path]:
    """The files of --out, checked before anything long begins; see `ale.io.out_files`."""
    from ale.io.out_files import out_files

    return out_files(out, _KINDS, [*read, *([json_file] if json_file else [])])


def review_columns(
    columns: Columns,
    name: str,
    encoder: CachedEncoder,
    files: list[Path],
    json_file: Path | None,
    *,
    more: Mapping[str, Probs] | None = None,
    tune: bool = False,
    precision: float | None = None,
    max_flags: int | None = None,
    numbering: Numbering | None = None,
) -> None:
    """Judge all labels, write the files and show the worst. `more` are teachers' distributions by name."""
    from ale.io.review_files import write_review_json
    from ale.review.labelled import read_columns
    from ale.review.numbering import ROWS
    from ale.review.whole import review_whole

    called = numbering or ROWS
    labelled = read_columns(columns, encoder.encode, more or {})
    if tune:
        labelled = _tuned(labelled)
    found = review_whole(labelled, list(columns.labels), precision=precision, most=max_flags)
    if json_file is not None:
        write_review_json(json_file, [_json(row, called) for row in found.rows])
    _write(files, name, found, columns, called)
    _show(found, name, [*([json_file] if json_file else []), *files], called)


def _tuned(data: Labelled) -> Labelled:
    from rich.console import Console

    from ale.io.tuner import MiniLMTuner
    from ale.review.tuned import PLAN, with_tuned

    with Console(stderr=True).status(f"tuning an encoder on {len(data.texts):,} texts, some minutes ..."):
        return with_tuned(data, MiniLMTuner(PLAN, threads=os.cpu_count() or 1))


def _json(row: RowReview, numbering: Numbering) -> dict[str, Any]:
    values = row.as_json()
    return {numbering.unit: numbering.of(values.pop("row")), **values}


def _columns(
    table: Table, text: str, label: str, annotator: str | None, teachers: str, verdict: str | None
) -> Columns:
    from ale.review.labelled import Columns

    names = [name.strip() for name in teachers.split(",") if name.strip()]
    return Columns(
        texts=table.column(text),
        labels=table.column(label),
        annotators=None if annotator is None else table.column(annotator),
        teachers={name: table.column(name) for name in names},
        verdicts=None if verdict is None else table.column(verdict),
    )


def _zero_shot(descriptions: Path, columns: Columns, encoder: CachedEncoder) -> Probs:
    """The zero-shot teacher's distributions, a row per row of the file."""
    from ale.io.tables import read_descriptions
    from ale.review.labelled import space_of
    from ale.teachers.zero_shot import ZeroShotTeacher
    from ale.text import normalise

    texts = [normalise(text) or "" for text in columns.texts]
    space = space_of(columns, read_descriptions(descriptions))
    return ZeroShotTeacher(encoder).predict_from_vectors(encoder.encode(texts), space)


def _write(files: list[Path], name: str, found: WholeReview, given: Columns, numbering: Numbering) -> None:
    from ale.io.review_files import COLUMNS, WITH_CONSENSUS, write_review_page, write_review_table
    from ale.review.page import page_of

    _, *columns = COLUMNS if given.annotators is None else WITH_CONSENSUS
    rows = [
        _json(row, numbering) | {"text": given.texts[row.row], "consensus_label": row.consensus_label}
        for row in found.ranked
    ]
    for file in files:
        if file.suffix == ".html":
            write_review_page(file, page_of(name, found, given.texts, numbering))
        else:
            write_review_table(file, rows, [numbering.unit, *columns])


def _show(found: WholeReview, name: str, files: Sequence[Path], numbering: Numbering) -> None:
    from rich.console import Console
    from rich.table import Table as Screen
    from rich.text import Text

    from ale.review.counted import counted
    from ale.review.reasons import short

    out = Console()
    flagged = found.flagged
    expected = "" if found.skipped else f"; expected to be wrong: about {found.errors:,.0f}"
    out.print(
        f"{name}: {counted(len(found.rows), 'row')}, {len(flagged):,} to check{expected}.", markup=False
    )
    if not flagged:
        out.print(found.why_no_flags, markup=False)
    else:
        screen = Screen(numbering.told, "score", "given", "suggested", "reason")
        for one in flagged[:_SHOWN]:
            labels = (short(label, _LABEL_CHARS) for label in (one.given_label, one.suggested_label))
            screen.add_row(*map(Text, (str(numbering.of(one.row)), f"{one.score:.2f}", *labels, one.reason)))
        out.print(screen)
    if len(flagged) > _SHOWN:
        hint = "" if files else " (--out FILE.html or FILE.csv shows all)"
        out.print(f"{len(flagged) - _SHOWN:,} more to check{hint}.", markup=False)
    for line in (*found.notes, *(tip.text for tip in found.tips)):
        out.print(f"- {line}", markup=False)
    if files:
        out.print(f"Written: {', '.join(map(str, files))}", markup=False, soft_wrap=True)
