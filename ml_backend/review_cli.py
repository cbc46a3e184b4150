"""`ale review`: of a file, as the engine offers it, or of a Label Studio project's suspects as tasks of their own."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ale.commands.review import review as review_file
from ale.commands.review import review_columns, review_files
from ale.errors import ConfigurationError

if TYPE_CHECKING:
    from ml_backend.review_project.run import Report
    from ml_backend.store.schema import ReviewVerdict

app = typer.Typer()

_PANEL = "Label Studio project"

Project = Annotated[
    int | None,
    typer.Argument(min=1, help="The project's number, as in its address. Without one: --data."),
]
AsProject = Annotated[
    bool,
    typer.Option(
        "--as-project",
        help="Keep the suspects as tasks of a second project; collect what was answered there.",
        rich_help_panel=_PANEL,
    ),
]
WriteBack = Annotated[
    bool,
    typer.Option(
        "--write-back",
        help="Write fixed labels as new annotations on the original tasks. Else they are only reported.",
        rich_help_panel=_PANEL,
    ),
]
LabelsOf = Annotated[
    str | None,
    typer.Option(
        metavar="TEACHER",
        help="Check this teacher's answers in the project as if they were labels; what people labelled steers that.",
        rich_help_panel=_PANEL,
    ),
]

_WHY = {
    "task_deleted": "the task was deleted",
    "text_changed": "the text has changed since",
    "label_changed": "the label has changed since",
    "label_gone": "the project has no such label any more",
}
_COLUMNS = (
    *("task", "given_label", "suggested_label", "answer", "outcome", "why", "reviewer", "answered_at"),
    *("written_annotation", "text"),
)


def review(
    project: Project = None,
    as_project: AsProject = False,
    write_back: WriteBack = False,
    labels_of: LabelsOf = None,
    **of_file: Any,
) -> None:
    """Find labels that are probably wrong: in a CSV file, or among a teacher's answers in a project; or have a
    project's suspects reviewed in a second project.

    Nothing is changed in a file, and texts stay on this machine. No annotation in Label Studio is ever altered.
    """
    if project is None:
        if as_project or write_back or labels_of:
            raise ConfigurationError("--as-project, --write-back and --labels-of need the project's number")
        if of_file["data"] is None:
            raise ConfigurationError("name a project (`ale review 7 --as-project`) or a file (--data FILE)")
        review_file(**of_file)
        return
    if of_file["data"] is not None:
        raise ConfigurationError(f"name a project ({project}) or a file (--data), not both")
    if as_project == (labels_of is not None):
        raise ConfigurationError(
            f"the suspects of project {project} stand in its tab of suspected label errors. "
            f"`ale review {project} --as-project` keeps them in a project of their own as well; "
            f"`ale review {project} --labels-of TEACHER` checks a teacher's answers. One of the two at a time"
        )
    if labels_of is not None and write_back:
        raise ConfigurationError("--write-back goes with --as-project; a teacher's answers are only reported")
    _check_unused(of_file, {"out", "json_file", *(_OF_LABELS if labels_of else ())})
    if labels_of is None:
        _review_project(project, of_file["out"], of_file["json_file"], write_back=write_back)
    else:
        _review_labels_of(project, labels_of, of_file)


_OF_LABELS = ("tune", "precision", "max_flags", "cache")


def _check_unused(of_file: dict[str, Any], used: set[str]) -> None:
    """Raises ConfigurationError for options that would do nothing."""
    defaults = inspect.signature(review_file).parameters
    unused = [
        name
        for name, value in of_file.items()
        if name not in used and value != defaults[name].default and name != "data"
    ]
    if unused:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ConfigurationError(
            f"{names}: only for a file (--data); a project has its own flags and settings"
        )


def _review_labels_of(project: int, teacher: str, of_file: dict[str, Any]) -> None:
    from ale.commands.cache import cache_folder, cached_encoder
    from ale.io.tuner import check_tuning
    from ale.review.numbering import Numbering
    from ml_backend.settings import load_settings
    from ml_backend.teacher_labels import teacher_labels
    from ml_backend.wiring import build_services

    files = review_files(of_file["out"], [], of_file["json_file"])
    if of_file["tune"]:
        check_tuning()
    services = build_services(load_settings(), redis_timeout_s=1.0, redis_needed=False)
    try:
        found = teacher_labels(services, project, teacher)
    finally:
        services.db.dispose()
    review_columns(
        found.columns,
        found.title,
        cached_encoder(of_file["cache"] or cache_folder()),
        files,
        of_file["json_file"],
        tune=of_file["tune"],
        precision=of_file["precision"],
        max_flags=of_file["max_flags"],
        numbering=Numbering("task", found.tasks),
    )


def _merged() -> inspect.Signature:
    """Our parameters and the engine's; a file is no longer required."""
    ours = [p for p in inspect.signature(review, eval_str=True).parameters.values() if p.name != "of_file"]
    theirs = inspect.signature(review_file, eval_str=True).parameters.values()
    asked = []
    for parameter in theirs:
        if parameter.name == "data":
            kind, option = parameter.annotation.__origin__, parameter.annotation.__metadata__[0]
            asked.append(parameter.replace(annotation=Annotated[kind | None, option], default=None))
        else:
            asked.append(parameter)
    return inspect.Signature([*ours, *asked])


review.__signature__ = _merged()  # type: ignore[attr-defined]
app.command()(review)


def _review_project(project: int, out: str, json_file: Path | None, *, write_back: bool) -> None:
    from ale.io.out_files import out_files
    from ml_backend.export import csv_of
    from ml_backend.review_project.run import review_as_project
    from ml_backend.settings import load_settings
    from ml_backend.store import mirror
    from ml_backend.wiring import build_services

    files = out_files(out, (".csv",), [json_file] if json_file else [])
    services = build_services(load_settings(), redis_timeout_s=1.0, redis_needed=False)
    try:
        report = review_as_project(services, project, write_back=write_back)
        hashes = [row.text_hash for row in report.verdicts]
        key = report.verdicts[0].project if report.verdicts else ""
        rows = verdict_rows(report.verdicts, mirror.texts(services.db, key, hashes))
    finally:
        services.db.dispose()
    for file in files:
        _write(file, csv_of(rows, _COLUMNS))
    if json_file is not None:
        _write(json_file, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    for line in told(report, project):
        typer.echo(line)


def _write(file: Path, content: str) -> None:
    """For us only: it holds the project's texts."""
    from ml_backend.private_files import write_private

    try:
        write_private(file, content)
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}") from error


def verdict_rows(verdicts: Sequence[ReviewVerdict], texts: dict[str, str]) -> list[dict[str, Any]]:
    """Verdicts as a table."""
    values = [
        (v.task_id, v.given, v.suggested, v.answer, v.outcome, v.why, v.reviewer, v.answered_at, v.written_id)
        for v in verdicts
    ]
    return [
        dict(zip(_COLUMNS, (*value, texts.get(v.text_hash, "")), strict=True))
        for value, v in zip(values, verdicts, strict=True)
    ]


def told(report: Report, project: int) -> list[str]:
    """What a run says on the screen."""
    made = "new" if report.created else "kept"
    served = report.served
    lines = [
        f"{report.title} ({made}): {report.url}",
        f"{report.to_review} to review: {served.made} new, {served.changed} changed, {served.removed} taken back.",
    ]
    if served.waiting:
        lines.append(
            f"{served.waiting} more wait: text or label has changed, the next learn run looks again."
        )
    if not report.verdicts:
        return lines
    found = report.outcomes
    lines.append(
        f"{len(report.verdicts)} answered, {report.new} of them since the last run: "
        f"{found.get('confirmed', 0)} confirmed, {found.get('fixed', 0)} fixed on the original task, "
        f"{found.get('reported', 0)} with another label."
    )
    lines += [f"- not applied, {why}: {found[name]}" for name, why in _WHY.items() if name in found]
    if found.get("reported"):
        lines.append(
            "- the others are only reported (--out FILE.csv); to write them as new annotations: "
            f"ale review {project} --as-project --write-back"
        )
    return lines
