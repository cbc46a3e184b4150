"""`ale benchmark`: what a data set's gold labels say about labelling it. Needs no Label Studio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ale.errors import ConfigurationError

if TYPE_CHECKING:
    from ale.benchmark.data import BenchmarkData
    from ale.benchmark.noise.run import NoisePlan
    from ale.benchmark.run import Plan
    from ale.io.answers import AnswerFile
    from ale.io.embeddings import CachedEncoder
    from ale.io.tuner import MiniLMTuner
    from ale.protocols import Teacher

app = typer.Typer()

_DATA, _TEACHER, _COMPARED, _NOISE, _RESULT = "Data", "Teacher", "What is compared", "Label errors", "Result"

_SPLITS = {"train", "test", "pool", "dev"}
"""Names of files that say nothing of the data set that they are a part of."""


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
    label_noise: Annotated[
        str,
        typer.Option(
            help="Instead of learning curves: make gold labels wrong and see who finds them. By comma, kind and "
            "share: class:0.1, uniform:0.1, instance:0.1.",
            rich_help_panel=_NOISE,
        ),
    ] = "",
    noise_rows: Annotated[
        int, typer.Option(min=2, help="Labels of the pool per run.", rich_help_panel=_NOISE)
    ] = 1_000,
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
    """Measure how many human labels a data set needs, or who finds its label errors, with gold labels for people.

    The same engine as the live loop asks for labels of --pool batch by batch; --test only measures.
    Ctrl+C stops early: what is finished is shown and written.
    """
    from importlib.metadata import version

    from ale.benchmark.data import Rows, make_data
    from ale.benchmark.noise.injecting import Noise
    from ale.benchmark.noise.run import NoisePlan
    from ale.benchmark.run import Plan
    from ale.commands.benchmark_files import check_results
    from ale.commands.benchmark_teachers import free_teacher, language_model
    from ale.commands.cache import cache_folder, cached_encoder
    from ale.io.answers import AnswerFile
    from ale.io.tables import fingerprint, read_descriptions, read_table
    from ale.text import text_hash

    plan = Plan(_names(strategies), _names(students), _numbers(budgets), seeds, batch, _names(peers), audit)
    noises = tuple(Noise.parse(said) for said in _names(label_noise))
    if noises and (plot or reliability or audit or plan.peers):
        raise ConfigurationError(
            "--label-noise draws no curves: leave out --plot, --reliability, --audit and --peers"
        )
    check_results(json_file, plot, reliability)
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
    }
    cache = cache or cache_folder()
    encoder = cached_encoder(cache)
    asked: Teacher | None
    store: AnswerFile | None = None
    if teacher.partition(":")[0] in {"openai", "azure"}:
        asked = model = language_model(teacher, prices, budget_usd, budget_tokens)
        question = f"{model.name} {model.prompt_fingerprint(data.labels)}"
        store = AnswerFile(cache / "answers" / f"{text_hash(question)}.jsonl")
    else:
        asked = free_teacher(teacher, table, text_column, encoder)
    given = _Given(data, encoder, asked, store, source)
    if noises:
        finished = _search(given, NoisePlan(noises, noise_rows, seeds), json_file)
    else:
        finished = _learn(given, plan, tune_seconds, json_file, plot, reliability)
    if not finished:
        raise typer.Exit(130)  # as a shell says of a program that Ctrl+C ended


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """What both kinds of benchmark start from; see `ale.benchmark.run.run_benchmark`."""

    data: BenchmarkData
    encoder: CachedEncoder
    teacher: Teacher | None
    store: AnswerFile | None
    source: Mapping[str, Any]


def _learn(
    given: _Given,
    plan: Plan,
    tune_seconds: float,
    json_file: Path | None,
    plot: Path | None,
    reliability: Path | None,
) -> bool:
    """Learning curves. Whether all of them are whole."""
    from ale.benchmark.report import Report
    from ale.benchmark.run import run_benchmark
    from ale.benchmark.screen import Bars, show
    from ale.commands.benchmark_files import draw, write_json

    def keep(report: Report) -> None:
        if json_file is not None:
            write_json(report.as_json(), json_file)

    source = dict(given.source) | {"tune_seconds": tune_seconds}
    tuner = _tuner(plan, tune_seconds)
    with Bars() as bars:
        report = run_benchmark(
            given.data, given.encoder, plan, given.teacher, bars.heard, given.store, keep, tuner, source
        )
    show(report)
    keep(report)
    draw(report, plot, reliability)
    return report.finished


def _search(given: _Given, plan: NoisePlan, json_file: Path | None) -> bool:
    """Who finds label errors. Whether all runs are whole."""
    from ale.benchmark.noise.run import run_label_noise
    from ale.benchmark.noise.screen import show_noise
    from ale.benchmark.screen import Bars
    from ale.commands.benchmark_files import write_json

    with Bars() as bars:
        report = run_label_noise(
            given.data, given.encoder, plan, given.teacher, bars.heard, given.store, given.source
        )
    show_noise(report)
    if json_file is not None:
        write_json(report.as_json(), json_file)
    return report.finished


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


def _tuner(plan: Plan, seconds: float) -> MiniLMTuner | None:
    """What the transformer student needs, and nobody else; MissingExtra before minutes are spent on the others."""
    from ale.students.transformer import TransformerStudent

    if TransformerStudent.kind not in plan.students:
        return None
    from ale.io.tuner import MiniLMTuner, check_tuning
    from ale.tuning.plan import Plan as Tuning

    check_tuning()
    return MiniLMTuner(Tuning(seconds=seconds))
