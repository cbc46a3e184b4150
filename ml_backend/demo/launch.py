"""`ale demo`: start everything, put the sample project there, and wait until it can be labelled."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from ml_backend.demo.annotator import AutoPlan
from ml_backend.demo.plan import DemoPlan, own_home
from ml_backend.demo.report import run_auto
from ml_backend.demo.running import RunningDemo, running_demo
from ml_backend.demo.steps import Steps
from ml_backend.store import projects, versions

POLL_S = 0.2


def run_demo(plan: DemoPlan, auto: AutoPlan | None, *, reset: bool = False, leave: bool = False) -> int:
    """Run until Ctrl+C, or with `leave` until the simulated annotator is done; the exit code."""
    steps = Steps(Console())
    status = 0
    try:
        with own_home(plan, reset=reset), running_demo(plan, steps) as demo:
            steps.console.print(_welcome(demo))
            if auto is not None:
                status = run_auto(demo, auto, steps)
            if not leave:
                steps.say("Stop with Ctrl+C; the next start goes on where you stopped.")
                _narrate(demo, steps)
    except KeyboardInterrupt:
        steps.say(f"\nStopped. Everything is kept in {plan.home}.")
    return status


def _narrate(demo: RunningDemo, steps: Steps) -> None:
    """Say each new version as it comes into force, until Ctrl+C."""
    seen = demo.project.version
    while True:
        demo.supervisor.check()
        row = projects.find(demo.services.db, demo.project.key)
        version = versions.find(demo.services.db, demo.project.key, row.version if row else None)
        if version is not None and version.version != seen:
            seen = version.version
            labels = int(version.metrics.get("n_labels", 0))
            steps.say(f"{seen} in force: learnt from {labels} labels, the order is new")
        time.sleep(POLL_S)


def _welcome(demo: RunningDemo) -> Panel:
    url = demo.kept.project_url
    banner = demo.plan.teacher.banner(demo.services.settings)
    teacher = f"Teacher        {banner}\n" if banner else ""
    return Panel(
        f"Label Studio   [link={url}]{url}[/link]\n"
        f"User           {demo.account.email}\n"
        f"Password       {demo.account.password}\n"
        f"{teacher}\n"
        "Try: sign in, press [b]Label All Tasks[/], answer some ten with the keys 1 to 8 and Ctrl+Enter.\n"
        "Within seconds a student has learnt from them: the suggestions change, and so does the order.\n"
        "The tab [b]Suspected label errors[/] shows answers that look wrong; put one in and see it come back.\n"
        f"What ALE does:  source {demo.plan.home / 'env'} && {Path(sys.executable).parent / 'ale'} status\n"
        f"Logs:           {demo.plan.home / 'logs'}",
        title="ALE is ready",
        expand=False,
    )
