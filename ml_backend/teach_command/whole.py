"""The whole pass at a terminal: step after step until nothing is left, in sight, and to be stopped at any point.

The steps are the worker's own. Where a worker runs as well, they take turns: rate, budget, breaker and answers
are shared, so that no text is paid twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from redis import RedisError

from ml_backend.batch_collect import sending
from ml_backend.only_one import if_free
from ml_backend.store import batches, mirror, replies, spend
from ml_backend.store.spend import Spent
from ml_backend.store.tallies import tally
from ml_backend.teach_command.again import ask_again, fingerprint_now, outdated
from ml_backend.teach_command.ready import Ready

LOOK_S = 0.25
LOOK_SHARE = 10
"""Times as long as a look took until the next one."""
ABANDONED = {"preparing": "was never sent", "starting": "may never have been sent"}
"""What is said of a batch in that state when the process that made it is gone."""
IDLE_STEPS = 3
"""Steps in a row after which nothing has changed, and nobody says why: then it is given up."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Texts that are settled (answered or abstained on) of those that are worth asking, and what was spent.

    Where answers are replaced, only those to today's prompt count as settled.
    """

    settled: int
    left: int
    abstained: int
    spent: Spent

    @property
    def total(self) -> int:
        """Settled and left."""
        return self.settled + self.left


@dataclass(frozen=True, slots=True)
class Ended:
    """How the pass ended. `problem` is why texts are left; empty when none is, or when somebody stopped it.

    `in_files` texts are on their way in a batch.
    """

    progress: Progress
    stopped: bool = False
    problem: str = ""
    in_files: int = 0


def run_whole(ready: Ready, tell: Callable[[Progress], None], *, again: bool = False) -> Ended:
    """Ask all that is worth asking; `again`: first what another prompt has answered.

    `tell` hears how far it is, a few times per second. Ctrl+C ends it as soon as the answers in flight are kept.
    """
    ready = ready.agree()
    stopped = False
    problem = ""
    # By teacher, what today's answers name as their prompt.
    today = {t.name: fingerprint_now(ready.teaching, t) for t in ready.paid} if again else None
    first = _progress(ready, _left(ready), today)
    if again:
        first = replace(first, left=first.left + sum(len(outdated(ready.teaching, t)) for t in ready.paid))
    tell(first)
    with ThreadPoolExecutor(1, thread_name_prefix="teach") as pool:
        work = pool.submit(_work, ready, again=again)
        try:
            _watch(ready, work, tell, first, today)
        except KeyboardInterrupt:
            stopped = True
            ready.stop.set()
        problem = work.result()
    with suppress(RedisError):  # the periodic look finds what is new, too
        ready.services.marks.mark(ready.project.key)
    found = _progress(ready, _left(ready))
    tell(found)
    in_files, unsent = _in_files(ready)
    return Ended(found, stopped, "" if stopped else problem or unsent, in_files)


def _in_files(ready: Ready) -> tuple[int, str]:
    """Texts that are on their way in batches, and what to do about a batch that nobody sends any more."""
    db, key = ready.services.db, ready.project.key
    total, unsent = 0, ""
    for teacher in ready.paid:
        with if_free(ready.teaching.settings.home, sending(key, teacher.name)) as nobody_sends:
            for state, texts in batches.texts_in(db, key, teacher.name).items():
                if state in ABANDONED and nobody_sends:
                    again = f"run `ale teach {ready.project.project_id} --batch --yes`"
                    unsent = unsent or f"{texts:,} texts wait in a batch that {ABANDONED[state]}: {again}"
                else:
                    total += texts
    return total, unsent


def _work(ready: Ready, *, again: bool) -> str:
    """Ask until nothing is left or `stop` is set; why not all was asked."""
    if again:
        for teacher in ready.paid:
            while not ready.stop.is_set() and (old := outdated(ready.teaching, teacher)):
                settled, problem = ask_again(ready.teaching, teacher, old)
                if problem or not settled:
                    return problem or f"{teacher.name} does not answer; see `ale status`"
    idle = 0
    while not ready.stop.is_set():
        before = _progress(ready, 0).settled
        done = ready.now().teaching.step()
        if done.problem:
            return done.problem
        if not done.left and not _left(ready):
            return ""
        moved = done.encoded or _progress(ready, 0).settled > before
        idle = 0 if moved else idle + 1
        if idle == IDLE_STEPS:
            return "nothing was answered any more; see `ale status` and the worker's log"
    return ""


def _watch(
    ready: Ready,
    work: Future[str],
    tell: Callable[[Progress], None],
    first: Progress,
    today: Mapping[str, str] | None,
) -> None:
    """Tell how far it is until the work is done. What is left was counted at first: it goes down as texts settle."""
    settled = first.settled
    while not work.done():
        start = time.monotonic()
        now = _progress(ready, 0, today)
        if now.settled != settled:
            settled = now.settled
            tell(replace(now, left=max(0, first.total - settled)))
        # Counting 100,000 answers takes a while; it must not take the time of those who ask.
        time.sleep(max(LOOK_S, LOOK_SHARE * (time.monotonic() - start)))


def _left(ready: Ready) -> int:
    """Texts that are still worth asking, and those that nobody can say it of before they are encoded."""
    teaching = ready.now().teaching
    asked = sum(len(entry.hashes) for entry in teaching.remaining())
    tasks = mirror.all_tasks(teaching.db, teaching.project.key)
    hashes = sorted({t.text_hash for t in tasks if t.text_hash and not t.is_labeled})
    _, encoded = teaching.learning.cache.lookup(hashes)
    return asked + int((~encoded).sum())


def _progress(ready: Ready, left: int, prompts: Mapping[str, str] | None = None) -> Progress:
    """How far it is; with `prompts` (fingerprints by teacher) only answers to these are counted."""
    db, key = ready.services.db, ready.project.key
    question = replies.question_of(ready.teaching.space)
    settled = abstained = 0
    for teacher in ready.paid:
        counted = tally(db, key, teacher.name, question)
        silent = sum(counted.abstentions.values())
        abstained += silent
        settled += counted.prompts.get(prompts[teacher.name], 0) if prompts else counted.answers + silent
    return Progress(settled, left, abstained, spend.spent(db, key))
