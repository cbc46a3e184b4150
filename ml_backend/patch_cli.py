"""`ale patch`: what would be tried and at what cost, then the trials, and what came of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ale.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from ml_backend.patching import Patching, Tried
    from ml_backend.settings import Settings
    from ml_backend.teach_command.ready import Ready
    from ml_backend.teachers import NamedTeacher
    from ml_backend.trial import Outcome

Json = dict[str, Any]


def patch(
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    hint: Annotated[
        list[str] | None, typer.Option(help='Try this hint, "LABEL=TEXT", and nothing else. Repeatable.')
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to pay, and try them.")] = False,
    pairs: Annotated[int, typer.Option(min=1, max=10, help="Pairs of confused labels to mend.")] = 2,
    teacher: Annotated[str, typer.Option(help="Whose prompt, where there are several. [the first]")] = "",
    show: Annotated[bool, typer.Option("--list", help="List all patches of the project.")] = False,
    undo: Annotated[
        int | None, typer.Option(min=1, help="Take back the shipped patch of that number.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Mend a paid teacher's prompt where people disagreed with it; only what wins on gold texts is kept."""
    from ml_backend.settings import load_settings

    settings = load_settings()
    if show or undo is not None:
        raise typer.Exit(look(settings, project, undo, as_json=json_output))
    raise typer.Exit(
        run_patch(settings, project, hint or [], yes=yes, pairs=pairs, teacher=teacher, as_json=json_output)
    )


def run_patch(
    settings: Settings,
    project: int,
    hints: list[str],
    *,
    yes: bool,
    pairs: int,
    teacher: str,
    as_json: bool,
) -> int:
    """The exit code: 1 when something that was asked for could not be tried. Raises ConfigurationError."""
    from rich.console import Console

    from ml_backend.patching import Patching
    from ml_backend.teach_command.ready import getting_ready

    console = Console(stderr=as_json)
    with getting_ready(settings, project) as ready:
        named = _choose(ready, teacher)
        patching = Patching(ready.teaching, named, hints, pairs)
        if yes:
            return run_and_tell(console, ready, patching, as_json=as_json)
        return tell_plan(console, ready, patching, as_json=as_json)


def _choose(ready: Ready, name: str) -> NamedTeacher:
    named = next((one for one in ready.paid if name in ("", one.name)), None)
    if named is None:
        known = ", ".join(one.name for one in ready.paid)
        raise ConfigurationError(f"--teacher {name}: no such paid teacher; there is {known}")
    if named.problem:
        raise ConfigurationError(named.problem)
    return named


def tell_plan(console: Console, ready: Ready, patching: Patching, *, as_json: bool) -> int:
    """Say what would be tried; asks nothing. The exit code: 0."""
    from ml_backend.patch_screen import as_row, show_plan

    plan = patching.plan()
    if as_json:
        told = {
            "patches": [as_row(one) for one in plan.proposals.patches],
            "hints_to_write": [list(pair) for pair in plan.proposals.unwritten],
            "gold": plan.gold,
            "calls": plan.calls,
            "tokens": plan.tokens,
            "usd": plan.usd,
        }
        _print(ready, patching, told | {"problem": plan.problem})
    else:
        show_plan(console, ready, patching, plan)
    return 0


def run_and_tell(console: Console, ready: Ready, patching: Patching, *, as_json: bool) -> int:
    """Try the patches, to be stopped by Ctrl+C. The exit code: 1 when one could not be judged."""
    from ml_backend.patch_screen import outcome_row, show_tried

    with (
        console.status(f"trying on gold texts: {patching.teacher.name} ...") as status,
        ThreadPoolExecutor(1, thread_name_prefix="patch") as pool,
    ):
        done = 0

        def tell(_: Outcome) -> None:
            nonlocal done
            done += 1
            status.update(f"trying on gold texts: {patching.teacher.name}, {done} tried ...")

        work = pool.submit(patching.run, tell)
        try:
            tried: Tried = work.result()
        except KeyboardInterrupt:
            ready.stop.set()  # answers in flight are kept
            tried = work.result()
    if as_json:
        told = {"tried": [outcome_row(one) for one in tried.outcomes], "problem": tried.problem}
        _print(ready, patching, told)
    else:
        show_tried(console, ready, patching, tried)
    return int(bool(tried.problem) or any(one.judgement is None for one in tried.outcomes))


def look(settings: Settings, project: int, undo: int | None, *, as_json: bool) -> int:
    """Undo if so wished, then list. The exit code: 0. Needs neither Redis nor Label Studio."""
    from rich.console import Console

    from ml_backend import patches
    from ml_backend.instructions import space_of
    from ml_backend.patch_screen import as_row, show_patches
    from ml_backend.store import patches as stored
    from ml_backend.store import projects
    from ml_backend.store.database import Database

    db = Database(settings.database)
    row = projects.find_by_id(db, settings.label_studio_url, project)
    if row is None:
        raise ConfigurationError(f"project {project} is not known here: run `ale connect {project}`")
    if undo is not None:
        patches.undo(db, row.key, undo)
    off = {one.id: why for one, why in patches.shipped(db, row.key, space_of(row))}
    every = stored.every(db, row.key)
    if as_json:
        listed = [as_row(one) | {"off": off.get(one.id, "")} for one in every]
        typer.echo(json.dumps({"project": project, "patches": listed}, indent=2))
    else:
        show_patches(Console(), every, off)
    return 0


def _print(ready: Ready, patching: Patching, values: Json) -> None:
    """To standard output, where nothing else goes then."""
    told = {"project": ready.project.project_id, "teacher": patching.teacher.name, **values}
    typer.echo(json.dumps(told, indent=2))
