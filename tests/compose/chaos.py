"""`.ci/chaos`: four simulated annotators, and one service after another killed under their hands.

At the end everything that Label Studio accepted must be in the training set of the version in force, no task may
have two predictions of one version, and no annotator may have seen an error while only our services were down.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ml_backend.controls import find_control
from ml_backend.demo import sample
from tests.compose.people import Asked, Person, hire
from tests.compose.stack import Stack, wait_until

OURS = ("backend", "worker", "redis")
THEIRS = ("postgres", "label-studio")
"""While one of these is away nobody can label, with or without us."""
AFTER_S = 3.0
"""Requests that began before a service of theirs was back may still fail when it is."""
console = Console(highlight=False, width=160)


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that was killed, and when it was healthy again."""

    service: str
    begun: float
    ended: float


def main() -> int:
    """0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--pause-s", type=float, default=3.0, help="between two answers of one person")
    parser.add_argument("--calm-s", type=float, default=12.0, help="between two kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        return run(Stack(Path(home)), options)


def run(stack: Stack, options: argparse.Namespace) -> int:
    """The whole of it."""
    (found,) = re.findall(r"/projects/(\d+)/data", stack.ale("demo-project"))
    project = int(found)
    control = find_control(stack.client().project(project)["label_config"])
    meant = {message.text: message.label for message in sample.pool()}
    stop = threading.Event()
    people = [
        Person(name, stack.label_studio_url, token, project, control, meant, options.pause_s, stop)
        for name, token in hire(stack, options.people).items()
    ]
    say(f"project {project}, {len(people)} simulated annotators, {options.minutes:g} minutes")
    for person in people:
        person.start()
    outages = kill_one_after_another(stack, options.minutes * 60, options.calm_s, stop)
    stop.set()
    for person in people:
        person.join()
    return report(stack, project, people, outages)


def kill_one_after_another(
    stack: Stack, seconds: float, calm_s: float, stop: threading.Event
) -> list[Outage]:
    """SIGKILL, wait until the service is healthy again, some calm, the next one; until the time is over."""
    outages: list[Outage] = []
    deadline = time.time() + seconds
    services = (*OURS, *THEIRS)
    stop.wait(calm_s)
    while time.time() < deadline:
        service = services[len(outages) % len(services)]
        begun = time.time()
        before = starts(stack, service)
        stack.kill(service)
        wait_until(lambda: starts(stack, service) != before and healthy(stack, service), lambda: service)  # noqa: B023
        outages.append(Outage(service, begun, time.time()))
        say(f"SIGKILL {service:<13} healthy again after {outages[-1].ended - begun:4.1f} s")
        stop.wait(calm_s)
    return outages


def starts(stack: Stack, service: str) -> str:
    """When the service's container was last started."""
    return _inspect(stack, service, "{{.State.StartedAt}}")


def healthy(stack: Stack, service: str) -> bool:
    """Whether its health check has passed since."""
    return _inspect(stack, service, "{{.State.Health.Status}}") == "healthy"


def _inspect(stack: Stack, service: str, template: str) -> str:
    container = stack.compose("ps", "--all", "-q", service).split()[0]
    done = subprocess.run(
        ["docker", "inspect", "-f", template, container], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def report(stack: Stack, project: int, people: list[Person], outages: list[Outage]) -> int:
    """What was lost, doubled or refused; 0 when nothing was."""
    accepted = {annotation: task for person in people for annotation, task in person.saved.items()}
    in_studio = {
        int(row[0]): int(row[1])
        for row in stack.sql(
            f"SELECT id, task_id FROM task_completion WHERE project_id = {project}",
            database="label_studio",
        )
    }
    say(
        f"{len(accepted)} annotations accepted, {len(in_studio)} in Label Studio; waiting until all are learnt"
    )
    wait_until(
        lambda: (
            stack.project(project)["annotations"] == len(in_studio)
            and stack.project(project)["last_run"]["finished_at"]
            and stack.project(project)["due_in_s"] is None
            and set(in_studio.values()) <= trained_on(stack, project)
        ),
        lambda: f"{stack.project(project)['annotations']} of {len(in_studio)} in ALE",
    )
    doubles = stack.sql(
        f"SELECT task_id, model_version, count(*) FROM prediction WHERE project_id = {project} "
        "GROUP BY 1, 2 HAVING count(*) > 1",
        database="label_studio",
    )
    asked = [one for person in people for one in person.asked]
    failed = [one for one in asked if one.failed]
    ours = [one for one in failed if not excused(one, outages)]
    lost = set(accepted) - set(in_studio)
    untrained = set(in_studio.values()) - trained_on(stack, project)

    table = Table(title="What was killed", title_justify="left")
    for column in ("service", "times", "back after, median s", "errors annotators saw meanwhile"):
        table.add_column(column, justify="left" if column == "service" else "right")
    for service in (*OURS, *THEIRS):
        times = sorted(o.ended - o.begun for o in outages if o.service == service)
        seen = [one for one in failed if any(o.service == service and during(one, o) for o in outages)]
        table.add_row(
            service, str(len(times)), f"{times[len(times) // 2]:.1f}" if times else "-", str(len(seen))
        )
    console.print(table)
    verdicts = {
        "accepted annotations that are gone from Label Studio": len(lost),
        "annotated tasks that are missing in the last training set": len(untrained),
        "tasks with two predictions of one version": len(doubles),
        "errors that annotators saw while only our services were down, or none": len(ours),
    }
    say(
        f"{len(asked)} requests of annotators, {len(failed)} failed: {dict(Counter(o.status or o.said for o in failed))}"
    )
    for what, n in verdicts.items():
        say(f"{'ok  ' if n == 0 else 'LOST'} {n} {what}")
    for one in ours[:20]:
        say(f"     {time.strftime('%H:%M:%S', time.gmtime(one.begun))} {one.what}: {one.status} {one.said}")
    return 1 if any(verdicts.values()) else 0


def excused(one: Asked, outages: list[Outage]) -> bool:
    """Whether Label Studio or its database was down during the request."""
    return any(o.service in THEIRS and during(one, o) for o in outages)


def during(one: Asked, outage: Outage) -> bool:
    """Whether request and outage overlap."""
    return one.begun <= outage.ended + AFTER_S and one.ended >= outage.begun


def trained_on(stack: Stack, project: int) -> set[int]:
    """Tasks in the data-set snapshot of the version in force."""
    code = (
        "import json; from ale.io.snapshots import read_snapshot; from ml_backend.settings import load_settings as s; "
        "from ml_backend.store import projects, versions; from ml_backend.store.database import Database; "
        f"c = s(); d = Database(c.database); r = projects.find_by_id(d, c.label_studio_url, {project}); "
        "v = versions.find(d, r.key, r.version); "
        "print(json.dumps([x.task for x in read_snapshot(c.home / 'snapshots' / r.key, v.snapshot)]))"
    )
    return set(json.loads(stack.compose("exec", "-T", "backend", "python", "-c", code)))


def say(text: str) -> None:
    """A line of the log."""
    console.print(f"[dim]{time.strftime('%H:%M:%S', time.gmtime())}[/] {text}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
