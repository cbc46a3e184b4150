"""`ale fit` and `ale index`: a model without Label Studio, and what it does with millions of documents."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ale.errors import ConfigurationError
from ale.io.runtime import Runtime, quickest

if TYPE_CHECKING:
    from ale.cascade import Cascade
    from ale.io.embeddings import CachedEncoder
    from ale.model import Model

app = typer.Typer()

_MODEL, _WHAT, _HOW = "Model", "What is read and written", "How"


class Engine(StrEnum):
    """Who does the work."""

    THREADS = "threads"
    DASK = "dask"


@app.command()
def fit(
    data: Annotated[
        Path, typer.Argument(help="CSV, JSONL (both also .gz) or Parquet with texts and labels.")
    ],
    text_column: Annotated[str, typer.Option(help="Column with the text.")] = "text",
    label_column: Annotated[
        str, typer.Option(help="Column with the label; rows without one are taught by the student alone.")
    ] = "label",
    out: Annotated[Path, typer.Option(help="The model's folder; must not exist.")] = Path("ale-model"),
    student: Annotated[str, typer.Option(help="The encoder student: hybrid or linear.")] = "hybrid",
    encoder: Annotated[
        str, typer.Option(envvar="ALE_ENCODER", help="embedded, or a Hugging Face model by name.")
    ] = "embedded",
    seed: Annotated[int, typer.Option(help="Equal data and seed, equal model.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for embeddings. Default: the user's cache.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Make a model for `ale index` from labelled texts. Needs no Label Studio.

    Teaches the encoder student, then a scanner that imitates it some thousand times as fast, and measures both on
    texts they have not learnt from.
    """
    from ale.commands.index_screen import Steps, show_fit
    from ale.fitting import FitInput, fit_model
    from ale.io.encoder import resolve_lexicon
    from ale.io.labelled import read_labelled
    from ale.io.model_folder import check_free, write_model
    from ale.students import resolve_student
    from ale.text import text_hash

    kind = resolve_student(student)
    check_free(out)
    read = read_labelled(data, text_column, label_column)
    names = tuple(sorted(set(read.labels) - {""}))
    if len(names) < 2:
        raise ConfigurationError(
            f"{data} has {len(names)} labels in column {label_column!r}; a model needs at least two"
        )
    position = {name: number for number, name in enumerate(names)} | {"": -1}

    import numpy as np

    hashes = [text_hash(text) for text in read.texts]
    with Steps(quiet=as_json) as steps:
        lexicon = resolve_lexicon(encoder)
        model_encoder = _cached(encoder, cache)
        raw = model_encoder.encode(read.texts, steps.counting("encoding", len(read.texts)))
        fitted = fit_model(
            FitInput(
                texts=read.texts,
                raw=raw,
                targets=np.array([position[label] for label in read.labels], np.int64),
                groups=np.unique(hashes, return_inverse=True)[1].astype(np.int64),
                labels=names,
                student=kind,
                text_column=text_column,
                lexicon=lexicon,
                seed=seed,
            ),
            model_encoder,
            steps.now,
        )
    arrays, manifest = fitted.model.state()
    told = {
        "encoder_source": encoder,
        "label_column": label_column,
        "data": {"file": data.name, "snapshot": text_hash("".join(map("\0".join, zip(hashes, read.labels, strict=True))))[:12]},
        "metrics": {name: round(value, 6) for name, value in fitted.metrics.items()},
        "left_out": read.left_out,
    }  # fmt: skip
    written = write_model(out, arrays, {**manifest, **told})
    if as_json:
        typer.echo(json.dumps({"model": str(out), "version": written["version"], **told}))
    else:
        show_fit(out, written)


@app.command()
def index(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Parquet, JSONL or CSV (both also .gz, .zst): a file, a folder, a glob or a URL.",
        ),
    ],
    output: Annotated[
        str,
        typer.Argument(
            help="A folder (a file per part, resumes and writes fastest), or one file of the same format."
        ),
    ],
    model: Annotated[
        str, typer.Option(help="Folder that `ale fit` made.", rich_help_panel=_MODEL)
    ] = "ale-model",
    defer: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of least confident texts for the encoder student.",
            rich_help_panel=_MODEL,
        ),
    ] = 0.0,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Defer as little as reaches this accuracy, by the texts held out from `ale fit`.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Add prediction sets that hold the true label this often; abstain where it is more than one.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    encoder_runtime: Annotated[
        Runtime | None,
        typer.Option(
            help="What computes the texts that are deferred. Default: the quickest that is installed, for this processor.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option(help="Column with the text. Default: as in `ale fit`.", rich_help_panel=_WHAT),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what an earlier run wrote.", rich_help_panel=_WHAT)
    ] = False,
    engine: Annotated[
        Engine, typer.Option(help="Threads of this process, or a Dask cluster.", rich_help_panel=_HOW)
    ] = Engine.THREADS,
    scheduler: Annotated[
        str,
        typer.Option(
            help="Of the cluster, tcp://HOST:8786. Its workers reach INPUT, OUTPUT and the model by the same names.",
            rich_help_panel=_HOW,
        ),
    ] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads. Default: one per core.", rich_help_panel=_HOW)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for a script.", rich_help_panel=_HOW)
    ] = False,
) -> None:
    """Label every document of a large data set. Stopped or killed, the same command goes on where it was.

    All columns are kept; label, confidence, model_version and reason are added (label_ale and so on where the name
    is taken). Rows without a readable text are kept and have a reason instead of a label.
    """
    from ale.commands.index_screen import Bar, show_index
    from ale.io.index.inputs import need_arrow
    from ale.loading import Elsewhere, load
    from ale.shares import shares_json

    need_arrow()
    from ale.io.index.run import Wish, run_index

    if defer and min_accuracy is not None:
        raise ConfigurationError("give --defer or --min-accuracy: the one is a share, the other finds it")
    if (engine is Engine.DASK) != bool(scheduler):
        raise ConfigurationError("--engine dask and --scheduler tcp://HOST:8786 belong together")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    runtime = encoder_runtime or quickest()
    found = load(model, workers or cores, runtime)
    cascade = _cascade(found, defer, min_accuracy)
    threshold = None if coverage is None else found.set_threshold(coverage, cascade)
    with Bar(quiet=as_json) as bar:
        summary = run_index(
            Wish(
                source=source,
                output=output,
                text_column=text_column or found.text_column,
                labels=found.labels,
                model_version=found.version,
                options={
                    "cascade": [cascade.share, cascade.below],
                    "set_threshold": threshold,
                    "encoder_runtime": runtime.value if cascade else None,
                },
                sets=threshold is not None,
                workers=workers or cores,
                scheduler=scheduler,
                restart=restart,
            ),
            Elsewhere(_absolute(model), found.version, cascade, threshold, runtime)
            if scheduler
            else lambda texts, heard: found.classify(texts, cascade, heard, threshold=threshold),
            bar,
        )
    shares = found.shares(summary.counts.labels, cascade)
    if as_json:
        told = summary.as_json() | {"coverage": coverage, "set_threshold": threshold}
        told["encoder_runtime"] = runtime.value if cascade else None
        typer.echo(json.dumps(told | {"shares": shares_json(shares, len(found.held_out.truth))}))
    else:
        show_index(summary, shares, len(found.held_out.truth), runtime)


def _absolute(place: str) -> str:
    """A path as other processes understand it; a URL stays."""
    return place if "://" in place else str(Path(place).absolute())


def _cascade(model: Model, defer: float, min_accuracy: float | None) -> Cascade:
    from ale.cascade import Cascade

    return Cascade(share=defer) if min_accuracy is None else model.held_out.deferring(min_accuracy)[0]


def _cached(source: str, cache: Path | None) -> CachedEncoder:
    from platformdirs import user_cache_path

    from ale.io.embeddings import CachedEncoder, EmbeddingCache
    from ale.io.encoder import resolve_encoder

    raw = resolve_encoder(source)
    folder = (cache or user_cache_path("ale-label-studio")) / "embeddings"
    return CachedEncoder(raw, EmbeddingCache(folder, raw.name, raw.dimensions))
