"""How much of an endpoint's rate a teacher's pass uses, and what is lost or paid twice when it is killed.

The endpoint is the stand-in: it answers after 50 ms, and one request in twenty with 429. The worker's steps run in
a process of their own, on a real Redis and SQLite; twice it is ended by SIGKILL and started again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import func, select

from ale.io.chat.probe import QUESTION
from ale.text import text_hash
from benchmarks.figures import load, show
from ml_backend.learning import build_learning
from ml_backend.ports import free_port
from ml_backend.redis_server import answers, find_redis_server
from ml_backend.settings import Settings, load_settings
from ml_backend.standin import Script, SimulatedPolicy, StandIn, rate_limit, share
from ml_backend.store import mirror, spend
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import Project, Reply

PROJECT = "benchmark"
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="even"/><Choice value="odd"/></Choices></View>'
)
TARGET = 0.8
WORKER = """
import sys
from ml_backend.jobs import teach_project
while teach_project(sys.argv[1]) != "0 answers, 0 left":
    pass
"""


@dataclass(frozen=True, slots=True)
class Life:
    """One worker process: from its start over its first and last request to its end, on the monotonic clock."""

    started: float
    first: float
    last: float
    ended: float
    calls: int
    paid: frozenset[str]
    """Texts that were paid in this life."""


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 when the target was met, nothing was lost and nothing that was saved was paid again."""
    parser = argparse.ArgumentParser(prog="teach_throughput", description=__doc__)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument(
        "--rate", type=float, default=100.0, help="requests per second that the limiter allows"
    )
    parser.add_argument("--latency", type=float, default=0.05, help="seconds until the endpoint answers")
    parser.add_argument("--refused", type=float, default=0.05, help="share of requests that get a 429")
    parser.add_argument("--retry-after-ms", type=int, help="what the 429 says; by default nothing")
    parser.add_argument("--kills", type=int, default=2)
    chosen = parser.parse_args(arguments)
    names = [f"Message number {i} of a long list." for i in range(chosen.texts)]
    gold = {text: "odd" if i % 2 else "even" for i, text in enumerate(names)}
    script = Script(share(chosen.refused, rate_limit(ms=chosen.retry_after_ms)))
    with (
        tempfile.TemporaryDirectory(prefix="ale-teach-") as home,
        _redis(Path(home)) as redis_url,
        StandIn(SimulatedPolicy(gold), script=script, latency_s=chosen.latency) as endpoint,
    ):
        settings = load_settings(
            home=Path(home),
            redis_url=redis_url,
            database_url="",
            teacher="openai:gpt-4.1-mini",
            openai_base_url=endpoint.base_url,
            openai_api_key="a-key",
            llm_rpm=60 * chosen.rate,
            llm_tpm=1e9,
            budget_usd=1000.0,
        )
        db = Database(settings.database)
        _fill(db, settings, names)
        lives, saved = _run(db, settings, endpoint, chosen.texts, chosen.kills)
        met = _report(db, endpoint, names, lives, saved, chosen.rate)
        db.dispose()
    return 0 if met else 1


def _run(
    db: Database, settings: Settings, endpoint: StandIn, texts: int, kills: int
) -> tuple[list[Life], list[set[str]]]:
    """The lives of the worker, and what was saved when each was killed."""
    lives, saved = [], []
    for number in range(1, kills + 2):
        started, before = time.monotonic(), len(endpoint.calls)
        command = [sys.executable, "-c", WORKER, PROJECT]
        with subprocess.Popen(command, env=_environment(settings)) as process:
            try:
                least = texts * number // (kills + 1)
                while process.poll() is None and (number > kills or _saved(db) < least):
                    time.sleep(0.05)
            finally:
                process.kill()
        calls = endpoint.calls.all()[before:]
        paid = frozenset(text for call in calls if call.paid for text in call.texts)
        lives.append(Life(started, calls[0].at, calls[-1].at, time.monotonic(), len(calls), paid))
        with db.session() as session:
            saved.append(set(session.scalars(select(Reply.text_hash))))
    return lives, saved


def _report(
    db: Database,
    endpoint: StandIn,
    names: Sequence[str],
    lives: Sequence[Life],
    saved: Sequence[set[str]],
    rate: float,
) -> bool:
    wanted = {text_hash(text) for text in names}
    paid = endpoint.calls.paid_by_text()
    probes = paid.pop(text_hash(QUESTION.messages[0].content), 0)
    twice = {text for text, n in paid.items() if n > 1}
    again = {text for before, life in zip(saved, lives[1:], strict=False) for text in before & life.paid}
    statuses = endpoint.calls.statuses()
    calls = sum(life.calls for life in lives)
    asking = sum(life.last - life.first for life in lives)
    whole = lives[-1].last - lives[0].started
    used, used_of_all = calls / asking / rate, calls / whole / rate
    account = spend.spent(db, PROJECT)
    charged = endpoint.calls.usage().total
    rows = [
        ("texts", len(names)),
        ("answered", len(wanted & saved[-1])),
        ("lost", len(wanted - saved[-1])),
        ("requests, of which 429", f"{calls}, {statuses[429]}"),
        ("times killed", len(lives) - 1),
        ("seconds of asking, of all", f"{asking:.1f}, {whole:.1f}"),
        ("share of the limiter used while a worker asked", f"{used:.1%} (target {TARGET:.0%})"),
        ("... with starts, and locks of the killed", f"{used_of_all:.1%}"),
        ("paid twice: in flight when killed", len(twice - again)),
        ("paid twice although saved", len(again)),
        ("probes", probes),
        (
            "tokens: charged, counted, still reserved for the killed",
            f"{charged}, {account.tokens}, {account.reserved_tokens}",
        ),
        ("most requests at once", endpoint.calls.peak),
    ]
    show(f"teach_throughput ({load()}; limiter {rate:g} requests/s)", ("", "figure"), rows)
    covered = account.tokens + account.reserved_tokens >= charged
    return used >= TARGET and wanted <= saved[-1] and not again and covered


def _fill(db: Database, settings: Settings, names: Sequence[str]) -> None:
    """A connected project whose texts have vectors already: the encoder is not what is measured."""
    with db.session() as session:
        session.add(
            Project(
                key=PROJECT,
                server=settings.label_studio_url,
                project_id=1,
                created_at=1,
                status="connected",
                paid_teacher=True,
                label_config=CONFIG,
            )
        )
    seen = [
        TaskSeen(i, text, text_hash(text), is_labeled=False, updated_at="") for i, text in enumerate(names)
    ]
    mirror.save_tasks(db, PROJECT, seen)
    cache = build_learning(settings).cache
    vectors = np.random.default_rng(0).normal(size=(len(names), cache.dimensions)).astype(np.float32)
    cache.add([text_hash(text) for text in names], vectors)


def _saved(db: Database) -> int:
    with db.session() as session:
        return int(session.scalar(select(func.count()).select_from(Reply)) or 0)


def _environment(settings: Settings) -> dict[str, str]:
    said = {
        "ALE_HOME": settings.home,
        "REDIS_URL": settings.redis_url,
        "ALE_TEACHER": settings.teacher,
        "OPENAI_BASE_URL": settings.openai_base_url,
        "OPENAI_API_KEY": settings.openai_api_key.get_secret_value(),
        "ALE_LLM_RPM": settings.llm_rpm,
        "ALE_LLM_TPM": settings.llm_tpm,
        "ALE_BUDGET_USD": settings.budget_usd,
    }
    return os.environ | {name: str(value) for name, value in said.items()}


@contextmanager
def _redis(home: Path) -> Iterator[str]:
    port = free_port()
    command = [str(find_redis_server()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=home) as process:
        url = f"redis://127.0.0.1:{port}/0"
        while not answers(url):
            time.sleep(0.05)
        try:
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
