"""ALE_STUDENT=transformer: the encoder is tuned beside the loop, which publishes meanwhile and hears of it after."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from rich.console import Console

from ml_backend.screens import show_status
from ml_backend.status import overview
from ml_backend.tuning.kept import digests, newest
from ml_backend.tuning.notes import is_tuning
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import PATIENCE_S, Ale, Json, Loop, family, loops_of, running_ale, wait_until
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e


@pytest.fixture
def tuned_loop(
    label_studio: LabelStudioUnderTest, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Loop]:
    """A project of 60 messages, 30 of them labelled, on an ALE that tunes: seconds where it has the machine."""
    with (
        running_ale(label_studio, tmp_path, ALE_STUDENT="transformer", ALE_TUNE_S=60) as ale,
        loops_of(ale, request.node.name) as new,
    ):
        loop = new(messages(30))
        loop.add_labelled(messages(30))
        yield loop


def tuning_processes(ale: Ale) -> list[int]:
    """What tunes, and the job that was forked from it."""
    pids = family(ale.supervisor.pid("worker"))
    return [p for p in pids if "ml_backend.tuning.process" in Path(f"/proc/{p}/cmdline").read_text()]


def heard(loop: Loop) -> str | None:
    """The tuning that the last run that learnt has heard; it publishes only what changes the head of the queue."""
    student: Json = next(run.counts["student"] for run in loop.runs if "student" in run.counts)
    return student.get("tuning")


def test_the_loop_goes_on_while_an_encoder_is_tuned_and_uses_it_after(tuned_loop: Loop) -> None:
    """A version comes while the tuning stands still; later one comes with it, without any new label. The labels of
    audits train no encoder. The status says what happened.
    """
    loop, ale = tuned_loop, tuned_loop.ale
    first = loop.start()
    wait_until(lambda: is_tuning(ale.redis, loop.key), PATIENCE_S, lambda: f"a tuning begins\n{ale.tail()}")
    _, job = tuning_processes(ale)
    os.kill(job, signal.SIGSTOP)
    audit = next(task_id for task_id in loop.order() if task_id in loop.reserve)
    loop.annotate(audit)
    for task_id in loop.free[:3]:
        loop.annotate(task_id)
    assert loop.learn().fence > first.fence
    assert heard(loop) is None
    os.kill(job, signal.SIGCONT)

    wait_until(lambda: heard(loop), 3 * PATIENCE_S, lambda: f"it is learnt from\n{loop._story()}")
    loop.learn()
    kept = newest(ale.settings, loop.key, LABELS)
    assert kept is not None
    assert heard(loop) == kept.id
    (measured,) = digests([task.text_hash or "" for task in loop.tasks if task.task_id == audit])
    assert measured not in kept.learnt

    (entry,) = overview(ale.services)["projects"]
    assert entry["student"]["tuning"] == kept.id
    assert entry["tuning"] == {"running": False, "problem": "", "failed_at": None}
    console = Console(record=True, width=200, file=io.StringIO())
    show_status(console, overview(ale.services))
    assert f"tuned on {kept.facts['labels']} labels" in console.export_text()

    versions = len(loop.versions)
    ale.reconcile()
    assert loop.learn().outcome == "unchanged"
    assert len(loop.versions) == versions
    new = loop.add(messages(6))
    loop.learn()
    assert set(new) <= set(loop.predictions())
