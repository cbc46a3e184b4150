"""`/v1/classify` of `ale serve-model` beside `mlflow models serve`: one model, one load from another process, by turns.

Each connection is kept open and asks again as soon as it has its answer. Exit code 1 when a request fails, when the
two servers do not say the same, or when ours does not answer three times as many requests a second.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ale.io.model_folder import read_model
from ale.io.pyfunc import save_pyfunc
from ale.io.rows import read_rows
from ale.scanner.texts import BadRow
from benchmarks.figures import load, percentiles, show
from benchmarks.stack import CHECKOUT, HOST, say
from ml_backend.demo import sample
from ml_backend.demo.label_studio_server import healthy
from ml_backend.ports import free_port
from ml_backend.supervisor import Child, Supervisor

TIMES = 3.0
BATCHES = (1, 32)
_BODIES = 64
"""Different requests that take turns, so that no answer could be remembered."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """Where a model answers, in which words it is asked, and where in the answer the labels stand."""

    name: str
    port: int
    path: str

    def body(self, texts: Sequence[str], column: str) -> Json:
        """A request for these texts."""
        if self.path == "/v1/classify":
            return {"texts": list(texts)}
        return {"dataframe_split": {"columns": [column], "data": [[text] for text in texts]}}

    def labels(self, answer: Json) -> list[str]:
        """What an answer says."""
        return [one["label"] for one in answer.get("results") or answer["predictions"]]


@dataclass(slots=True)
class Load:
    """What the client saw in all rounds: the seconds of each answered request, failures, seconds of load."""

    answered: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.answered) / self.seconds


def ask(port: int, path: str, bodies: list[bytes], connections: int, seconds: float) -> Load:
    """Runs in a process of its own: as many requests as the server answers."""
    start = time.perf_counter()
    end = start + seconds
    with ThreadPoolExecutor(connections) as pool:
        parts = list(
            pool.map(lambda turn: _ask(port, path, bodies[turn:] + bodies[:turn], end), range(connections))
        )
    found = Load(seconds=time.perf_counter() - start)
    for answered, failed in parts:
        found.answered += answered
        found.failed += failed
    return found


def _ask(port: int, path: str, bodies: Sequence[bytes], end: float) -> tuple[list[float], int]:
    answered, failed, number = [], 0, 0
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    while (begun := time.perf_counter()) < end:
        try:
            _one(connection, path, bodies[number % len(bodies)])
            answered.append(time.perf_counter() - begun)
        except (OSError, http.client.HTTPException):
            failed += 1
            connection.close()
        number += 1
    connection.close()
    return answered, failed


def _one(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    """The answer; an OSError where the status is not 200."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    told = response.read()
    if response.status != http.client.OK:
        raise OSError(f"{path} answered {response.status}: {told[:300]!r}")
    return told


def make_model(folder: Path, data: Path, text_column: str, label_column: str) -> Path:
    """The folder that `ale fit` made, in a process of its own."""
    made = folder / "model"
    command = [
        "fit",
        str(data),
        "--text-column",
        text_column,
        "--label-column",
        label_column,
        "--out",
        str(made),
    ]
    cache = ["--cache", str(folder / "cache"), "--json"]
    subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", *command, *cache], check=True, stdout=subprocess.DEVNULL
    )
    return made


def write_sample(path: Path) -> Path:
    """The sample project's messages with their labels."""
    path.write_text("".join(json.dumps({"text": m.text, "label": m.label}) + "\n" for m in sample.pool()))
    return path


def start(supervisor: Supervisor, folder: Path, model: Path, mlflow: str, threads: int) -> list[Server]:
    """Both servers, ready, each as it comes: `ale serve-model` with its threads, MLflow with one worker."""
    ours, theirs = free_port(), free_port()
    kept = {"PYTHONPATH": str(CHECKOUT), "ALE_HOME": str(folder / "home"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    # MLflow starts uvicorn from PATH, and a password for our server would have to be sent with each request.
    secret = dict.fromkeys(("ALE_SERVE_TOKEN", "BASIC_AUTH_USER", "BASIC_AUTH_PASS"), "")
    path = {"PATH": f"{Path(mlflow).parent}:{os.environ['PATH']}"}
    say("starting ale serve-model")
    line = [sys.executable, "-m", "ml_backend.cli", "serve-model", str(model), "--threads", str(threads)]
    supervisor.start(
        Child(
            "ale", [*line, "--port", str(ours)], folder / "ale.log", os.environ | kept | secret,
            lambda: healthy(f"http://{HOST}:{ours}/health"), 120.0,
        )
    )  # fmt: skip
    say("starting mlflow models serve")
    save_pyfunc(model, folder / "flavour")
    line = [mlflow, "models", "serve", "--env-manager", "local", "--model-uri", str(folder / "flavour")]
    supervisor.start(
        Child(
            "mlflow", [*line, "--host", HOST, "--port", str(theirs)], folder / "mlflow.log", os.environ | kept | path,
            lambda: healthy(f"http://{HOST}:{theirs}/ping"), 300.0,
        )
    )  # fmt: skip
    return [
        Server("ale serve-model", ours, "/v1/classify"),
        Server("mlflow models serve", theirs, "/invocations"),
    ]


def bodies_of(server: Server, texts: Sequence[str], size: int, column: str) -> list[bytes]:
    """Requests of `size` texts each, going round the texts."""
    return [
        json.dumps(server.body([texts[(i * size + j) % len(texts)] for j in range(size)], column)).encode()
        for i in range(_BODIES)
    ]


def agree(servers: Sequence[Server], texts: Sequence[str], column: str) -> bool:
    """Whether both give the same labels; asked once per size of request, which also warms them."""
    for size in BATCHES:
        said = []
        for server in servers:
            connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
            answer = _one(connection, server.path, bodies_of(server, texts, size, column)[0])
            said.append(server.labels(json.loads(answer)))
            connection.close()
        if said[0] != said[1]:
            return False
    return True


def measure(servers: Sequence[Server], texts: Sequence[str], column: str, args: argparse.Namespace) -> bool:
    """Print the table; whether all went well and the target was met."""
    met = True
    rows = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as client:
        for size in BATCHES:
            found = {server.name: Load() for server in servers}
            for turn in range(args.rounds + 1):
                for server in servers:
                    say(f"{size} texts a request, round {turn} of {args.rounds}: {server.name}")
                    bodies = bodies_of(server, texts, size, column)
                    how = (args.connections, args.seconds if turn else 1.0)
                    seen = client.submit(ask, server.port, server.path, bodies, *how).result()
                    if turn:  # the first warms up
                        found[server.name].answered += seen.answered
                        found[server.name].failed += seen.failed
                        found[server.name].seconds += seen.seconds
            rates = [found[server.name].rate for server in servers]
            times = rates[0] / rates[1] if rates[1] else float("inf")
            met &= times >= TIMES and not any(one.failed for one in found.values())
            for server, ratio in zip(servers, (f"{times:.1f}", "1"), strict=True):
                one = found[server.name]
                p50, p99, _ = percentiles(one.answered)
                rows.append(
                    (server.name, size, len(one.answered), one.failed, f"{one.rate:.0f}", p50, p99, ratio)
                )
    columns = ("server", "texts", "requests", "failed", "requests/s", "p50 ms", "p99 ms", "times")
    show(f"{args.connections} connections, {args.rounds} rounds of {args.seconds:.0f} s", columns, rows)
    print(f"target: {TIMES:.0f} times the requests/s of mlflow models serve; {load()}")
    return met


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 when the target was met, or when there is no MLflow to compare with."""
    beside = shutil.which("mlflow", path=str(Path(sys.executable).parent))
    parser = argparse.ArgumentParser("python -m benchmarks serve", description=__doc__)
    parser.add_argument("--data", type=Path, help="labelled texts for ale fit; default: the sample project")
    parser.add_argument("--text-column", default="text", help="column of --data")
    parser.add_argument("--label-column", default="label", help="column of --data")
    parser.add_argument(
        "--mlflow", default=beside, help="mlflow program; its environment needs numba, fsspec and safetensors"
    )
    parser.add_argument("--connections", type=int, default=8, help="of the client")
    parser.add_argument("--threads", type=int, default=4, help="of ale serve-model")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server takes its turn")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    args = parser.parse_args(argv)
    if args.mlflow is None:
        print("serve: nothing to compare with, name a program with --mlflow")
        return 0
    if shutil.which(args.mlflow) is None:
        parser.error(f"--mlflow {args.mlflow}: there is no such program")
    with (
        tempfile.TemporaryDirectory(prefix="ale-bench-", ignore_cleanup_errors=True) as name,
        Supervisor() as up,
    ):
        folder = Path(name)
        data = args.data or write_sample(folder / "sample.jsonl")
        say("ale fit")
        model = make_model(folder, data, args.text_column, args.label_column)
        rows = read_rows(str(data), (args.text_column,))
        texts = [str(row[args.text_column]) for _, row in rows if not isinstance(row, BadRow)]
        column = str(read_model(str(model))[1]["text_column"])
        servers = start(up, folder, model, args.mlflow, args.threads)
        if not agree(servers, texts, column):
            print("the two servers do not say the same", file=sys.stderr)
            return 1
        return int(not measure(servers, texts, column, args))


if __name__ == "__main__":
    raise SystemExit(main())
