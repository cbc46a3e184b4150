"""The simulated session: label, watch the curve, and print what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

from rich.table import Table

from ale.audit.reserve import RESERVE, place
from ale.errors import AleError
from ml_backend.controls import find_control
from ml_backend.demo import sample
from ml_backend.demo.annotator import Annotator, Answer, AutoPlan, Ranking
from ml_backend.demo.findings import Findings, loop_closed, seconds_to_force, summarise
from ml_backend.demo.running import RunningDemo
from ml_backend.demo.steps import Steps
from ml_backend.demo.yardstick import Measured, Yardstick
from ml_backend.instructions import plain_text
from ml_backend.review_flags import STATUS
from ml_backend.screens import audit_line
from ml_backend.store import mirror, versions
from ml_backend.store.schema import Run, Version

SETTLE_S = 120.0
POLL_S = 0.2
_BAR = 40
_ALL_RUNS = 10_000


def run_auto(demo: RunningDemo, plan: AutoPlan, steps: Steps) -> int:
    """Label as planned, report, and give the exit code: 0 only when the loop closed."""
    control = find_control(sample.label_config())
    instructions = plain_text(sample.project_values()["expert_instruction"])
    space = replace(control.label_space, instructions=instructions)
    with steps.step("held-out messages are encoded"):
        yardstick = Yardstick(
            demo.services.settings,
            demo.services.db,
            demo.project,
            space,
            sample.held_out(),
            stand_in=demo.plan.teacher.stand_in,
        )
    if yardstick.teacher is not None:
        steps.say(
            f"The {'stand-in' if demo.plan.teacher.stand_in else 'teacher'} gets {yardstick.teacher:.1%} of {len(sample.held_out())} held-out messages right."
        )
    meant = {message.text: message.label for message in sample.pool()}
    annotator = Annotator(demo.client, demo.project.project_id, control, meant, plan)
    steps.say(
        f"Labelling {plan.labels} tasks, {plan.wrong:.0%} of them wrong on purpose; you may watch in Label Studio."
    )
    answers: list[Answer] = []
    for answer in annotator.answers():
        demo.supervisor.check()
        answers.append(answer)
        _show(steps, yardstick.new(len(answers)), yardstick.teacher)
    with steps.step("the last answer is in force"):
        _settle(demo, answers)
    _show(steps, yardstick.new(len(answers)), yardstick.teacher)
    found = _summarise(demo, annotator, answers, yardstick)
    return _report(found, plan, steps)


def _show(steps: Steps, measured: Sequence[Measured], teacher: float | None) -> None:
    for one in measured:
        against = "" if teacher is None else f"   teacher {teacher:.1%}"
        bar = "█" * round(one.accuracy * _BAR)
        steps.say(
            f"{one.labels:5d} labels   {one.version:<12} student {one.accuracy:6.1%}  [cyan]{bar:<{_BAR}}[/]{against}"
        )


def _settle(demo: RunningDemo, answers: Sequence[Answer]) -> None:
    """Wait until a run that knows the last answer has ended."""
    deadline = time.monotonic() + SETTLE_S
    while answers and seconds_to_force(answers[-1].created_at, *_history(demo)) is None:
        demo.supervisor.check()
        if time.monotonic() > deadline:
            return  # the report says that answers are not in force
        time.sleep(POLL_S)


def _history(demo: RunningDemo) -> tuple[Sequence[Run], dict[str, Version]]:
    db, key = demo.services.db, demo.project.key
    return versions.runs(db, key, _ALL_RUNS), {row.version: row for row in versions.every(db, key)}


def _summarise(
    demo: RunningDemo, annotator: Annotator, answers: Sequence[Answer], yardstick: Yardstick
) -> Findings:
    tasks = {int(task["id"]): task["data"] for task in demo.client.tasks(demo.project.project_id)}
    audited = _audited(demo, sorted(tasks))
    suspects = {task_id for task_id, data in tasks.items() if data.get(STATUS) == "suspect"}
    meant = {message.text: message.label for message in sample.pool()}
    wrong = {
        row.task_id
        for row in mirror.all_annotations(demo.services.db, demo.project.key)
        if row.label is not None
        and row.task_id in tasks
        and row.task_id not in audited
        and row.label != meant.get(tasks[row.task_id][sample.FIELD])
    }
    version = str(demo.client.project(demo.project.project_id)["model_version"] or "")
    if version and version not in annotator.rankings:
        annotator.rankings[version] = Ranking(demo.client, demo.project.project_id, version)
    return summarise(
        answers, yardstick.measured, yardstick.teacher, suspects, wrong, annotator.rankings, *_history(demo)
    )


def _audited(demo: RunningDemo, task_ids: list[int]) -> set[int]:
    """Tasks whose label measures: a mistake there is an error that the audit sees, and nothing to review."""
    if not demo.services.settings.audit_share:
        return set()
    places = place(demo.project.key, task_ids)
    return {task_id for task_id, at in zip(task_ids, places, strict=True) if at < RESERVE}


def _report(found: Findings, plan: AutoPlan, steps: Steps) -> int:
    table = Table(title="What came of it", show_header=False)
    for name, value in (
        ("labels given", str(found.labels)),
        ("retrains", str(found.retrains)),
        ("student, held out", _percent(found.student_accuracy)),
        ("teacher, held out", _percent(found.teacher_accuracy)),
        ("audit (its own errors included)", audit_line(found.audit) if found.audit else "none"),
        ("labels given wrong on purpose", str(found.planted)),
        ("flagged in the review tab", f"{found.flagged}, {found.planted_found} of them given wrong"),
        ("review recall, precision", f"{_percent(found.recall)}, {_percent(found.precision)}"),
        ("order changed after a retrain", f"{found.order_changes} times"),
        (
            "served as ranked",
            f"{found.served_in_order} of {found.served_in_order + found.served_out_of_order}",
        ),
        ("answer to version in force", f"median {found.median_s} s, at most {found.max_s} s"),
    ):
        table.add_row(name, value)
    steps.console.print(table)
    conditions = loop_closed(found)
    for condition in conditions:
        mark = "[green]✓[/]" if condition.holds else "[red]✗[/]"
        steps.say(f"{mark} {condition.name}: {condition.seen}")
    if plan.json_file is not None:
        try:
            plan.json_file.parent.mkdir(parents=True, exist_ok=True)
            plan.json_file.write_text(json.dumps(found.as_json(), indent=2) + "\n")
        except OSError as error:
            raise AleError(f"the report cannot be written: {error}") from error
    closed = all(condition.holds for condition in conditions)
    steps.say("[green]The loop is closed.[/]" if closed else "[red]The loop is not closed.[/]")
    return 0 if closed else 1


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
