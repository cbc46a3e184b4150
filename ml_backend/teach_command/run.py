"""The command itself: a sample first, the whole once somebody has agreed to it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import typer
from rich.console import Console

from ale.errors import ConfigurationError
from ml_backend.settings import Settings
from ml_backend.store import spend
from ml_backend.teach_command import screen
from ml_backend.teach_command.files import run_files
from ml_backend.teach_command.ready import Ready, getting_ready
from ml_backend.teach_command.sample import Sample, left_of_budget, take_sample
from ml_backend.teach_command.tuning import run_tuning
from ml_backend.teach_command.whole import Ended, run_whole

Json = dict[str, Any]

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Files:
    """Whether to ask by files, at Azure through which deployment."""

    wanted: bool = False
    deployment: str = ""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Whether to fine-tune the teacher, from which model; empty = the one it asks."""

    wanted: bool = False
    base: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `sample` texts at most, None = as many as usual, and only when nobody has agreed yet."""

    sample: int | None = None
    yes: bool = False
    again: bool = False
    seed: int = 0
    as_json: bool = False
    files: Files = Files()
    tuning: Tuning = Tuning()

    def __post_init__(self) -> None:
        others = self.again or self.sample is not None
        if (self.files.wanted and self.tuning.wanted) or (
            others and (self.files.wanted or self.tuning.wanted)
        ):
            raise ConfigurationError(
                "--batch and --finetune go with neither each other, --sample nor --again"
            )


def run_teach(settings: Settings, project_id: int, wish: Wish) -> int:
    """The exit code: 1 when texts are left that nobody can ask about just now.

    A question that somebody has agreed to is asked on; any other is tried on a sample. Raises ConfigurationError
    for what can not be asked at all, LabelStudioError.
    """
    console = Console(stderr=wish.as_json)
    with getting_ready(settings, project_id) as ready:
        problems = [teacher.problem for teacher in ready.paid if teacher.problem]
        if problems:
            raise ConfigurationError("; ".join(problems))
        if wish.tuning.wanted:
            code, told = run_tuning(console, ready, yes=wish.yes, base=wish.tuning.base)
            if wish.as_json:
                _print(ready, {"finetune": told})
            return code
        if wish.files.wanted:
            return _by_files(console, ready.agree() if wish.yes else ready, wish)
        whole = wish.yes or (wish.sample is None and not wish.again and ready.agreed())
        return _whole(console, ready, wish) if whole else _sample(console, ready, wish)


def _sample(console: Console, ready: Ready, wish: Wish) -> int:
    n = wish.sample or SAMPLE
    screen.announce_sample(console, ready, n)
    samples: list[Sample] = []
    for teacher in ready.paid:
        with console.status(f"asking {teacher.name} ..."):
            samples.append(take_sample(ready.teaching, teacher, n, wish.seed, again=wish.again))
        if not wish.as_json:
            screen.show_sample(console, ready, samples[-1], again=wish.again)
    if wish.as_json:
        _print(ready, {"samples": [sample.as_json() for sample in samples]})
    return int(any(sample.problem for sample in samples))


def _by_files(console: Console, ready: Ready, wish: Wish) -> int:
    """Files first, then singly what they left open; not what was too dear already at half the price."""
    sent = run_files(console, ready, deployment=wish.files.deployment)
    if sent.ended_early:
        if wish.as_json:
            _print(ready, {"batch": asdict(sent)})
        return 1
    return _whole(console, ready, wish)


def _whole(console: Console, ready: Ready, wish: Wish) -> int:
    with screen.telling(console, ready) as tell:
        ended = run_whole(ready, tell, again=wish.again)
    if wish.as_json:
        _print(ready, _ended(ended))
    else:
        screen.show_end(console, ready, ended)
    return int(bool(ended.problem) or ended.stopped)


def _ended(ended: Ended) -> Json:
    return {
        "settled": ended.progress.settled,
        "abstained": ended.progress.abstained,
        "left": ended.progress.left,
        "spent": asdict(ended.progress.spent),
        "in_files": ended.in_files,
        "stopped": ended.stopped,
        "problem": ended.problem,
    }


def _print(ready: Ready, values: Json) -> None:
    """To standard output, where nothing else goes then."""
    teaching = ready.teaching
    spent = spend.spent(teaching.db, teaching.project.key)
    usd, tokens = left_of_budget(teaching, spent)
    told = {"project": teaching.project.project_id, **values, "budget_left": {"usd": usd, "tokens": tokens}}
    typer.echo(json.dumps(told, indent=2))
