"""The engine's commands: those that need no Label Studio. `ml_backend.cli` adds its own to them.

Commands import what they need when they run, so that `ale --help` is quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ale.errors import ConfigurationError
from ale.review_cli import app as review

if TYPE_CHECKING:
    from ale.benchmark.report import Report
    from ale.benchmark.run import Plan
    from ale.io.embeddings import CachedEncoder
    from ale.io.tables import Table
    from ale.io.tuner import MiniLMTuner
    from ale.protocols import Teacher
    from ale.teachers.llm import LLMTeacher


app = typer.Typer()
app.add_typer(review)

_DATA, _TEACHER, _COMPARED, _RESULT = "Data", "Teacher", "What is compared", "Result"

_SPLITS = {"train", "test", "pool", "dev"}
"""Names of files that say nothing of the data set that they are a part of."""

_MODEL_VARIABLES = ("OPENAI_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL")
"""What `openai` means, its key, and another server that speaks the same."""


@app.command()
def benchmark(
    pool: Annotated[
        Path,
        typer.Option(help="CSV (or .csv.gz) with the texts that may be labelled.", rich_help_panel=_DATA),
    ],
    test: Annotated[Path, typer.Option(help="CSV with texts that only measure.", rich_help_panel=_DATA)],
    text_column: Annotated[str, typer.Option(help="Column with the text.", rich_help_panel=_DATA)] = "text",
    label_column: Annotated[
        str, typer.Option(help="Column with the gold label.", rich_help_panel=_DATA)
    ] = "label",
    teacher: Annotated[
        str,
        typer.Option(
            help="none, zero-shot, recorded:COLUMN of the pool's file, openai, or openai:MODEL.",
            rich_help_panel=_TEACHER,
        ),
    ] = "none",
    descriptions: Annotated[
        Path | None,
        typer.Option(help="YAML: label to description, for the teacher.", rich_help_panel=_TEACHER),
    ] = None,
    budget_usd: Annotated[
        float | None,
        typer.Option(min=0, help="The most that --teacher openai may cost.", rich_help_panel=_TEACHER),
    ] = None,
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            min=0, help="The same in tokens, for a model without a known price.", rich_help_panel=_TEACHER
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            envvar="ALE_PRICES",
            help="JSON file with prices, before the known ones.",
            rich_help_panel=_TEACHER,
        ),
    ] = None,
    strategies: Annotated[
        str,
        typer.Option(
            help="Query strategies to run beside `ale` (the committed default), by comma.",
            rich_help_panel=_COMPARED,
        ),
    ] = "random",
    students: Annotated[
        str,
        typer.Option(
            help="Students for these strategies, by comma: hybrid, linear, transformer.",
            rich_help_panel=_COMPARED,
        ),
    ] = "hybrid",
    tune_seconds: Annotated[
        float,
        typer.Option(
            min=1, help="The most that the transformer student may take to tune.", rich_help_panel=_COMPARED
        ),
    ] = 170.0,
    peers: Annotated[
        str,
        typer.Option(
            help="Other software on the same features, first batch and schedule, by comma: small-text.",
            rich_help_panel=_COMPARED,
        ),
    ] = "",
    budgets: Annotated[
        str, typer.Option(help="Numbers of human labels, by comma.", rich_help_panel=_COMPARED)
    ] = "10,25,50,100,200,300,500,800,1200",
    seeds: Annotated[int, typer.Option(min=1, help="Runs per method.", rich_help_panel=_COMPARED)] = 5,
    batch: Annotated[
        int, typer.Option(min=1, help="Most labels between two fits.", rich_help_panel=_COMPARED)
    ] = 25,
    audit: Annotated[
        int,
        typer.Option(
            min=0,
            help="Random labels per run that calibrate and are never trained on. Not counted in --budgets.",
            rich_help_panel=_COMPARED,
        ),
    ] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write the report here, after every curve.", rich_help_panel=_RESULT),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the learning curves here (.png, .svg).", rich_help_panel=_RESULT),
    ] = None,
    reliability: Annotated[
        Path | None,
        typer.Option(
            help="Draw confidence against truth here, at 200 and 500 labels.", rich_help_panel=_RESULT
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for embeddings and paid answers. Default: the user's cache.", rich_help_panel=_RESULT
        ),
    ] = None,
) -> None:
    """Measure how many human labels a data set needs, with gold labels instead of people.

    The same engine as the live loop asks for labels of --pool batch by batch; --test only measures.
    Ctrl+C stops early: what is finished is shown and written.
    """
    from importlib.metadata import version

    from ale.benchmark.data import Rows, make_data
    from ale.benchmark.run import Plan, run_benchmark
    from ale.benchmark.screen import Bars, show
    from ale.io.answers import AnswerFile
    from ale.io.plots import check_picture
    from ale.io.tables import fingerprint, read_descriptions, read_table
    from ale.text import text_hash

    plan = Plan(_names(strategies), _names(students), _numbers(budgets), seeds, batch, _names(peers), audit)
    for path in (json_file, plot, reliability):
        if path is not None and not path.parent.is_dir():
            raise ConfigurationError(f"cannot write {path}: there is no folder {path.parent}")
    for picture in (plot, reliability):
        if picture is not None:
            check_picture(picture)
    table, other = read_table(pool), read_table(test)
    data = make_data(
        data_set(pool),
        Rows(table.name, table.column(text_column), table.column(label_column)),
        Rows(other.name, other.column(text_column), other.column(label_column)),
        None if descriptions is None else read_descriptions(descriptions),
    )
    files = {"pool": pool, "test": test, "descriptions": descriptions}
    source = {
        "ale_version": version("ale-label-studio"),
        "files": {name: fingerprint(path) for name, path in files.items() if path is not None},
        "text_column": text_column,
        "label_column": label_column,
        "teacher_option": teacher,
        "descriptions": dict(zip(data.labels.labels, data.labels.hints, strict=True)),
        "tune_seconds": tune_seconds,
    }
    cache = cache or cache_folder()
    encoder = cached_encoder(cache)
    asked: Teacher | None
    store: AnswerFile | None = None
    if teacher.partition(":")[0] in {"openai", "azure"}:
        asked = model = _language_model(teacher, prices, budget_usd, budget_tokens)
        question = f"{model.name} {model.prompt_fingerprint(data.labels)}"
        store = AnswerFile(cache / "answers" / f"{text_hash(question)}.jsonl")
    else:
        asked = _free_teacher(teacher, table, text_column, encoder)
    keep = None if json_file is None else partial(_write_json, path=json_file)
    tuner = _tuner(plan, tune_seconds)
    with Bars() as bars:
        report = run_benchmark(data, encoder, plan, asked, bars.heard, store, keep, tuner, source)
    show(report)
    if json_file is not None:
        _write_json(report, json_file)
    _draw(report, plot, reliability)
    if not report.finished:
        raise typer.Exit(130)  # as a shell says of a program that Ctrl+C ended


def data_set(pool: Path) -> str:
    """Its folder's name where the file is only named after its part (`agnews/train.csv`), else the file's."""
    name = pool.name.removesuffix(".gz")
    name = name.removesuffix(Path(name).suffix)
    return pool.parent.resolve().name or name if name.lower() in _SPLITS else name


def _names(given: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in given.split(",")) if name)


def _numbers(given: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _names(given))
    except ValueError as error:
        raise ConfigurationError(f"budgets are whole numbers by comma, not {given!r}") from error


def cache_folder() -> Path:
    """Where embeddings and paid answers are kept when nothing else is said."""
    from platformdirs import user_cache_path

    return user_cache_path("ale-label-studio")


def cached_encoder(cache: Path) -> CachedEncoder:
    """The encoder of ALE_ENCODER, each text once."""
    from ale.io.embeddings import CachedEncoder, EmbeddingCache
    from ale.io.encoder import resolve_encoder

    raw = resolve_encoder()
    return CachedEncoder(raw, EmbeddingCache(cache / "embeddings", raw.name, raw.dimensions))


def _tuner(plan: Plan, seconds: float) -> MiniLMTuner | None:
    """What the transformer student needs, and nobody else; MissingExtra before minutes are spent on the others."""
    from ale.students.transformer import TransformerStudent

    if TransformerStudent.kind not in plan.students:
        return None
    from ale.io.tuner import MiniLMTuner, check_tuning
    from ale.tuning.plan import Plan as Tuning

    check_tuning()
    return MiniLMTuner(Tuning(seconds=seconds))


def _language_model(said: str, prices: Path | None, usd: float | None, tokens: int | None) -> LLMTeacher:
    """`openai:MODEL`, or `openai` for OPENAI_MODEL, at OpenAI or at OPENAI_BASE_URL, with a budget that is kept."""
    from ale.io.chat import DEFAULT_MODEL, ChatSpec, make_chat
    from ale.io.chat.local import LocalLimiter, LocalMeter
    from ale.io.chat.polite import PoliteChat
    from ale.io.chat.prices import Tariff, load_prices
    from ale.teachers.llm import LLMTeacher

    provider, _, named = said.partition(":")
    if provider == "azure":
        raise ConfigurationError(
            f"--teacher {said}: Azure is not supported by ale benchmark; name openai, openai:MODEL or "
            "recorded:COLUMN"
        )
    default, key, url = (os.environ.get(name, "") for name in _MODEL_VARIABLES)
    model = named or default or DEFAULT_MODEL
    if not (key or url):
        raise ConfigurationError(
            f"--teacher {said} needs OPENAI_API_KEY, or OPENAI_BASE_URL (a server of your own)"
        )
    if usd is None and tokens is None:
        raise ConfigurationError(f"say what --teacher {said} may cost: --budget-usd or --budget-tokens")
    tariff = Tariff(load_prices(prices), model, "--teacher openai:")
    meter = LocalMeter(model, tariff.price, usd=usd, tokens=tokens, tariff=tariff)
    chat = make_chat(ChatSpec(model, api_key=key, url=url))
    return LLMTeacher(PoliteChat(chat, LocalLimiter(), meter))


def _free_teacher(name: str, pool: Table, text_column: str, encoder: CachedEncoder) -> Teacher | None:
    """The teacher of that name; a recorded one is read from the pool's table."""
    from ale.errors import UnknownName
    from ale.teachers import TEACHERS, resolve_teacher
    from ale.teachers.recorded import RecordedTeacher, answers_by_text

    kind, _, column = name.partition(":")
    if kind == "recorded":
        if not column:
            raise ConfigurationError("which column? For example --teacher recorded:gpt_label")
        return RecordedTeacher(column, answers_by_text(pool.column(text_column), pool.column(column)))
    if name not in TEACHERS:
        raise UnknownName("teacher", name, [*TEACHERS, "recorded:COLUMN", "openai", "openai:MODEL"])
    return resolve_teacher(name, encoder)


def _write_json(report: Report, path: Path) -> None:
    """Whole or not at all: a run that is killed leaves the report of the curves before."""
    import json

    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error}") from error


def _draw(report: Report, plot: Path | None, reliability: Path | None) -> None:
    """Both pictures, if one fails the other still."""
    wanted: list[tuple[Path | None, Callable[[Report, Path], None]]] = [
        (plot, _draw_curves),
        (reliability, _draw_reliability),
    ]
    failed: list[ConfigurationError] = []
    for path, draw in wanted:
        if path is not None:
            try:
                draw(report, path)
            except ConfigurationError as error:
                failed.append(error)
    if failed:
        raise ConfigurationError("; ".join(map(str, failed)))


def _draw_curves(report: Report, path: Path) -> None:
    from ale.benchmark.curves import WITHOUT
    from ale.io.plots import Line, draw_curves

    plain = [name for name in report.curves if not name.endswith(WITHOUT)]
    lines = {
        name: Line(
            curve.labels.tolist(),
            curve.accuracy.tolist(),
            curve.spread.tolist(),
            colour=plain.index(name.removesuffix(WITHOUT)),
            dashed=name.endswith(WITHOUT),
        )
        for name, curve in report.curves.items()
    }
    full = report.full_data_accuracy
    draw_curves(path, report.dataset, lines, {"full data": full, "95 % of it": 0.95 * full})


def _draw_reliability(report: Report, path: Path) -> None:
    from ale.io.plots import Line, draw_reliability

    panels = {}
    for labels in report.judged:
        audit = f"{report.settings['audit']} audit labels"
        both = {"no audit": report.reliability(labels, audited=False)}
        both[audit] = report.reliability(labels, audited=True)
        panels[f"{labels} labels{report.stands_for(labels)}"] = {
            name: Line(bins.confidence, bins.accuracy, bins.spread)
            for name, bins in both.items()
            if bins is not None
        }
    draw_reliability(path, f"{report.dataset}: calibration of ale", panels)
