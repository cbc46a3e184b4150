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
from ml_backend.teach_command.ready import Ready, getting_ready
from ml_backend.teach_command.sample import Sample, left_of_budget, take_sample
from ml_backend.teach_command.whole import Ended, run_whole

Json = dict[str, Any]

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `sample` texts at most, None = as many as usual, and only when nobody has agreed yet."""

    sample: int | None = None
    yes: bool = False
    again: bool = False
    seed: int = 0
    as_json: bool = False


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
