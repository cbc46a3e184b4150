"""How quickly the web process answers while the worker trains: /health, /setup, /webhook, /predict of one task.

A request's time counts from when it was due, so that a request that waits behind a slow one is slow too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.figures import load, percentiles, show
from benchmarks.pool import Filled, chosen, fill_project, read_pool
from benchmarks.stack import Stack, running_stack, say, wait_until
from ml_backend.auth import WEBHOOK_HEADER
from ml_backend.store import projects, versions

TARGETS_MS = {"/health": 100, "/setup": 100, "/webhook": 100, "/predict": 300}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make again and again."""

    path: str
    body: dict[str, object] | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """How it went: the path, the status (0: no answer), the seconds since it was due.

    `late` are the seconds by which the client woke up after its alarm: what the busy machine adds by itself.
    """

    path: str
    status: int
    seconds: float
    late: float


def ask(url: str, calls: Sequence[Call], rate: float, seconds: float, threads: int) -> list[Answered]:
    """Runs in a process of its own: `rate` requests per second, the calls taking turns."""
    start = time.perf_counter() + 0.5
    with ThreadPoolExecutor(threads) as pool:
        return [
            answer
            for part in pool.map(
                lambda turn: _ask(url, calls, turn, threads, rate, start, seconds), range(threads)
            )
            for answer in part
        ]


def _ask(
    url: str, calls: Sequence[Call], turn: int, threads: int, rate: float, start: float, seconds: float
) -> list[Answered]:
    found = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        for number in range(turn, int(rate * seconds), threads):
            due = start + number / rate
            pause = due - time.perf_counter()
            time.sleep(max(0.0, pause))
            late = time.perf_counter() - due if pause > 0 else 0.0
            # Numbers of one thread differ by `threads`: without this it would always draw the same calls.
            call = calls[(number // threads + turn) % len(calls)]
            try:
                method = "GET" if call.body is None else "POST"
                status = client.request(method, call.path, json=call.body, headers=call.headers).status_code
            except httpx.HTTPError:
                status = 0
            found.append(Answered(call.path, status, time.perf_counter() - due, late))
    return found


def calls_of(stack: Stack, filled: Filled) -> list[Call]:
    """What Label Studio asks, about a task that waits for a label."""
    key = projects.key_of(filled.project)
    theirs = stack.client.project(key.project_id)
    uid, config = f"{key.project_id}.{key.created_at}", theirs["label_config"]
    task = stack.client.next_task(key.project_id) or {}
    asked = {"id": task["id"], "data": task["data"]}
    secret = {WEBHOOK_HEADER: key.webhook_secret(stack.settings.webhook_secret)}
    settings, basic = stack.settings, {}
    if settings.has_password:
        pair = f"{settings.basic_auth_user}:{settings.basic_auth_pass.get_secret_value()}"
        basic = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return [
        Call("/health", None, {}),
        Call("/setup", {"project": uid, "schema": config, "hostname": "", "access_token": ""}, basic),
        Call("/webhook", {"action": "ANNOTATION_CREATED"}, secret),
        Call("/predict", {"tasks": [asked], "project": uid, "label_config": config}, basic),
    ]


def keep_training(stack: Stack, filled: Filled, stop: threading.Event) -> None:
    """A label every now and then, so that the worker always has something to learn."""
    for task_id, label in filled.labels.items():
        if stop.wait(0.5):
            return
        stack.client.annotate(task_id, result=chosen(label), lead_time=2.0)


def measure(stack: Stack, filled: Filled, args: argparse.Namespace) -> tuple[list[Answered], int, float]:
    """The answers, how many learn runs ended meanwhile, and the share of the time that they took."""
    db, key = stack.services.db, filled.project.key
    calls = calls_of(stack, filled)
    stop = threading.Event()
    trainer = threading.Thread(target=keep_training, args=(stack, filled, stop), daemon=True)
    known = len(versions.runs(db, key, 10_000))
    trainer.start()
    wait_until("the first learn run", lambda: len(versions.runs(db, key, 10_000)) > known)
    say(f"{args.rate} requests per second for {args.seconds} s while the worker trains")
    spawn = multiprocessing.get_context("spawn")
    first = time.time()
    with ProcessPoolExecutor(1, mp_context=spawn) as client:
        answers = client.submit(
            ask, stack.settings.url, calls, args.rate, args.seconds, args.threads
        ).result()
    ended = time.time()
    stop.set()
    trainer.join()
    spent, runs = 0.0, 0
    for run in versions.runs(db, key, 10_000):
        begun = run.started_at.timestamp()
        done = run.finished_at.timestamp() if run.finished_at else ended
        overlap = min(done, ended) - max(begun, first)
        spent, runs = spent + max(0.0, overlap), runs + (overlap > 0)
    return answers, runs, spent / (ended - first)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a request failed or a p99 misses its target."""
    parser = argparse.ArgumentParser("python -m benchmarks web_latency", description=__doc__)
    parser.add_argument("--tasks", type=int, default=4_000, help="size of the pool")
    parser.add_argument("--labelled", type=int, default=400, help="labels that are there from the start")
    parser.add_argument(
        "--csv", type=Path, help="texts with the columns text and label instead of made-up ones"
    )
    parser.add_argument("--rate", type=float, default=60.0, help="requests per second")
    parser.add_argument("--threads", type=int, default=8, help="connections of the client")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to ask")
    args = parser.parse_args(argv)
    pool = read_pool(args.csv, args.tasks)
    # No pause between learn runs, and each publishes the whole pool: more than any annotator causes.
    with running_stack(debounce_s=0.0, max_wait_s=0.0, full_publish_s=0.0) as stack:
        answers, runs, share = measure(stack, fill_project(stack, pool, args.labelled), args)
    rows = []
    missed = False
    for path, target in TARGETS_MS.items():
        mine = [answer for answer in answers if answer.path == path]
        failed = sum(not 200 <= answer.status < 300 for answer in mine)
        seconds = [answer.seconds for answer in mine]
        p50, p99, most = percentiles(seconds)
        good = not failed and float(p99) < target
        missed |= not good
        rows.append((path, len(mine), failed, p50, p99, most, f"< {target}", "yes" if good else "NO"))
    columns = ("path", "asked", "failed", "p50 ms", "p99 ms", "max ms", "target p99", "met")
    show(f"Answers of the web process, {args.tasks} tasks, {args.rate:.0f} requests/s", columns, rows)
    _, late, _ = percentiles([answer.late for answer in answers])
    print(f"the client itself woke up late by p99 {late} ms (within the figures above)")
    print(f"learn runs meanwhile: {runs}, {share:.0%} of the time; {load()}")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
