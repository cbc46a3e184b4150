"""What the command line shows a person: tables and lines, from the same data that `--json` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ml_backend.store.schema import Version
from ml_backend.teacher_screens import CALIBRATION_FROM, share_of, teaching_panel
from ml_backend.tuning.seen import student_line

if TYPE_CHECKING:  # the doctor knows the whole house; the web process needs some of these lines
    from ml_backend.doctor.findings import Finding

Json = dict[str, Any]


def show_findings(console: Console, findings: Iterable[Finding]) -> int:
    """Print each finding as it is made; how many failed."""
    failed = 0
    for finding in findings:
        mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
        console.print(f"{mark} [bold]{escape(finding.hop)}[/]  {escape(finding.seen)}")
        if not finding.ok:
            failed += 1
            console.print(f"    [yellow]→ {escape(finding.fix)}[/]")
    console.print(
        "[green]All is well.[/]"
        if not failed
        else f"[red]{failed} {'hop' if failed == 1 else 'hops'} to mend.[/]"
    )
    return failed


def show_status(console: Console, overview: Json) -> None:
    """One table per project, and the event counts."""
    console.print(f"Redis: {overview['redis']}")
    if overview["problem"]:
        console.print(f"[red]settings: {escape(overview['problem'])}[/]")
    if overview["mirror"]:
        console.print(_mirror_line(overview["mirror"]))
    if not overview["projects"]:
        console.print("No project yet. Connect one: [bold]ale connect PROJECT_ID[/]")
    for entry in overview["projects"]:
        console.print(_project_table(entry))
        if entry["teaching"]:
            console.print(teaching_panel(entry["teaching"]))
    if overview["events"]:
        counts = "  ".join(f"{name} {n}" for name, n in overview["events"].items())
        console.print(f"[dim]Events: {escape(counts)}[/]")


def _mirror_line(mirror: Json) -> str:
    waiting = "?" if mirror["waiting"] is None else mirror["waiting"]
    line = f"MLflow: {escape(mirror['address'])}, versions that wait for it: {waiting}"
    return f"{line}; [red]{escape(mirror['problem'])}[/]" if mirror["problem"] else line


def _project_table(entry: Json) -> Table:
    table = Table(
        title=f"Project {entry['project']}  {escape(entry['title'])}", title_justify="left", show_header=False
    )
    table.add_column(style="bold")
    table.add_column()
    run = entry["last_run"] or {}
    counts = run.get("counts") or {}
    for name, value in (
        ("status", entry["status"]),
        ("problem", entry["problem"]),
        ("version in force", f"{entry['version'] or '-'} ({entry['kind']})"),
        ("student", student_line(entry["student"], entry["tuning"])),
        ("tasks", f"{entry['tasks']}, {entry['labeled_tasks']} labelled, {entry['skipped']} skipped answers"),
        ("annotations", str(entry["annotations"])),
        ("agreement, cross-validated", _percent(entry["metrics"].get("oof_accuracy"))),
        ("audit", audit_line(entry["audit"]) if entry["audit"] else ""),
        ("is it enough", stop_line(entry["audit"], entry["stop"])),
        ("suspected label errors", _pairs(entry["review"])),
        ("reviews", review_line(entry["payback"]) if entry["payback"] else ""),
        ("second opinions", _pairs(entry["second_opinions"])),
        ("annotators", people_line(entry["people"]) if entry["people"] else ""),
        ("predictions", f"{entry['rows_in_force']} in force, {entry['rows_superseded']} superseded"),
        ("runs", _pairs(entry["runs"])),
        (
            "last run",
            f"{run.get('outcome', '-')} {run.get('reason', '')} {run.get('finished_at') or ''}".strip(),
        ),
        ("its seconds", _pairs(run.get("seconds") or {})),
        ("not learnt from", _pairs(counts.get("excluded") or {})),
        (
            "texts with an answer",
            _pairs({k.removeprefix("teacher_"): v for k, v in counts.items() if k.startswith("teacher_")}),
        ),
        ("next run", _due(entry["due_in_s"])),
        ("report", entry["report"]),
    ):
        if value:
            table.add_row(name, escape(value))
    return table


def audit_line(audit: Json) -> str:
    """What the blind random sample says, e.g. `34 of 412 tasks so far, student 88% of 34 (74-95%)`."""
    said = [f"{audit['labels']} of {audit['reserve']} tasks so far"]
    said += [f"{audit['skipped']} skipped"] if audit["skipped"] else []
    said += [f"{audit['waiting']} wait for those before them"] if audit["waiting"] else []
    rates = {"student": audit["student"], **audit["teachers"]}
    said += [f"{name} {share_of(rate)}" for name, rate in rates.items() if rate]
    if audit["skipped"] and audit.get("at_least") is not None:  # runs of an earlier ALE have none
        said.append(f"student at least {audit['at_least']:.0%} with the skipped ones as errors")
    if audit["student"] and audit["labels"] >= CALIBRATION_FROM:
        said.append(f"calibration error {audit['ece']:.2f}")
    if audit.get("newer"):  # runs of an earlier ALE have none
        said.append(
            f"all of the first {audit['texts']:,} texts: newer ones ({audit['newer']:,}) count "
            f"after about {max(1, audit['to_come']):,} more"
        )
    return ", ".join(said)


def people_line(people: Json) -> str:
    """How good each annotator is by all evidence, the least first, and how often two of them differ."""
    found = sorted(people["annotators"].items(), key=lambda item: item[1]["quality"])
    said = [
        f"user {name}: about {one['quality']:.0%} of {one['answers']} right, {one['shared']} answered by others too"
        for name, one in found
    ]
    return f"{people['contradicted']} of {people['several']} double answers differ. {'; '.join(said)}"


def stop_line(audit: Json | None, stop: Json | None) -> str:
    """How good the student is, what more labels would bring, and whether to stop; empty before there is a student.

    E.g. `Accuracy 87% (83-90%, 212 audits). The next 100 labels: +0.4 points (+0.1 to +0.9). Stop: not yet, because ...`
    """
    if not stop:
        return ""
    said = []
    rate = audit["student"] if audit else None
    if rate:
        share, high = rate["hits"] / rate["of"], rate["high"]
        skipped = f", {audit['skipped']} skipped ones left out" if audit and audit.get("skipped") else ""
        said.append(
            f"Accuracy {share:.0%} ({100 * rate['low']:.0f}-{high:.0%}, {rate['of']} audits{skipped})."
        )
    if gain := stop["gain"]:
        low, high = 100 * gain["low"], 100 * gain["high"]
        said.append(
            f"The next {gain['labels']} labels: {100 * gain['expected']:+.1f} points ({low:+.1f} to {high:+.1f})."
        )
    said.append(f"Stop: {'yes' if stop['stop'] else 'not yet'}, because {stop['reason']}.")
    return " ".join(said)


def review_line(payback: Json) -> str:
    """What reviews brought, and what is left to do.

    E.g. `12 suspicions reviewed, 67% of 12 (39-86%) of them right. About 9 of 240 labels still wrong (3-17).`
    """
    said = []
    if payback["precision"]:
        said.append(
            f"{payback['reviewed']} suspicions reviewed, {share_of(payback['precision'])} of them right."
        )
    if left := payback["remaining"]:
        between = "" if left["low"] is None else f" ({left['low']:.0f}-{left['high']:.0f})"
        guess = "" if between else ", a guess until 5 decisions are learnt from"
        said.append(
            f"About {left['expected']:.0f} of {payback['labels']} labels still wrong{between}{guess}."
        )
    if worth := payback["accuracy"]:
        fixes = "fix" if worth["fixed"] == 1 else "fixes"
        said.append(
            f"Student, on {worth['of']} audits: {worth['now']} right, "
            f"{worth['before']} without the {worth['fixed']} {fixes}."
        )
    return " ".join(said)


def _due(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"in {seconds:.1f} s" if seconds >= 0 else f"overdue by {-seconds:.0f} s"


def show_versions(console: Console, versions: Sequence[Version]) -> None:
    """All versions of a project, newest first."""
    table = Table(
        Column("version", no_wrap=True), "state", "kind", "labels", "agreement", "rows", "in force at"
    )
    for version in versions:
        table.add_row(
            version.version,
            version.state,
            version.kind,
            str(int(version.metrics.get("n_labels", 0))),
            _percent(version.metrics.get("oof_accuracy")),
            str(version.rows),
            version.in_force_at.strftime("%d %b %H:%M:%S") if version.in_force_at else "-",
        )
    console.print(table)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _pairs(values: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
