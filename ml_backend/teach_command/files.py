"""`ale teach --batch`: the first pass by files, at half the price, watched at a terminal or left to a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ale.errors import ConfigurationError
from ale.io.chat.account import Patience
from ale.io.chat.batches import BatchState
from ml_backend.batch_answers import Batched
from ml_backend.batching import OVER_BUDGET, Batching, Tell
from ml_backend.store.schema import Batch
from ml_backend.teach_command.ready import Ready
from ml_backend.teacher_screens import money


@dataclass(frozen=True, slots=True)
class Sent:
    """What the files brought. `stopped`: somebody left while one was under way; a worker collects it."""

    batched: Batched
    stopped: bool = False

    @property
    def ended_early(self) -> bool:
        """Whether texts are left that should not be asked at the full price instead."""
        return self.stopped or bool(self.batched.problem) or OVER_BUDGET in self.batched.left


def run_files(
    console: Console, ready: Ready, *, deployment: str = "", patience: Patience | None = None
) -> Sent:
    """Send what is worth asking, and wait for it. Raises ConfigurationError unless somebody has agreed to pay.

    Ctrl+C stops the waiting only: the provider goes on, and nothing of it is asked or paid again.
    """
    if not ready.agreed():
        raise ConfigurationError(
            f"nobody has agreed to have all of project {ready.project.project_id} asked: look at a sample with "
            f"`ale teach {ready.project.project_id}`, then add --yes"
        )
    teaching = ready.teaching
    with _watching(console) as tell:
        batching = Batching(
            settings=teaching.settings,
            db=teaching.db,
            redis_url=teaching.redis_url,
            learning=teaching.learning,
            project=ready.project,
            space=teaching.space,
            patience=patience or Patience(),
            tell=tell,
            deployment=deployment,
        )
        try:
            sent = Sent(batching.run())
        except KeyboardInterrupt:
            sent = Sent(Batched(), stopped=True)
    for line in _lines(sent, ready.project.project_id):
        console.print(line, highlight=False)
    return sent


@contextmanager
def _watching(console: Console) -> Iterator[Tell]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, object] = {}

        def tell(batch: Batch, state: BatchState | None) -> None:
            if batch.id not in tasks:
                name = f"batch {len(tasks) + 1}"
                tasks[batch.id] = bar.add_task(name, total=len(batch.texts), status="")
            done = 0 if state is None else state.completed + state.failed
            status = "uploading" if state is None else state.status
            bar.update(tasks[batch.id], completed=done, status=status)  # type: ignore[arg-type]

        yield tell


def _lines(sent: Sent, project: int) -> Iterator[str]:
    if sent.stopped:
        yield (
            "Stopped waiting. The provider goes on; a running `ale worker` collects the answers, or this "
            f"does: [bold]ale teach {project} --batch[/]"
        )
        return
    done = sent.batched
    if done.sent:
        yield f"{done.answered:,} of {done.sent:,} texts are settled by files, for {money(done.usd)}."
    open_still = {name: n for name, n in sorted(done.left.items()) if name != OVER_BUDGET}
    if open_still:
        reasons = ", ".join(f"{name} {n:,}" for name, n in open_still.items())
        yield f"Not settled by files: {escape(reasons)}. These are asked singly."
    if OVER_BUDGET in done.left:
        yield (
            f"[yellow]The budget had no room for {done.left[OVER_BUDGET]:,} texts more, at the most that they may "
            f"cost.[/] With what was not used: [bold]ale teach {project} --batch[/] again, or raise ALE_BUDGET_USD."
        )
    if done.problem:
        yield f"[yellow]The provider did not take the batch: {escape(done.problem)}[/]"
