"""`ale index` on a Dask cluster of two workers: the same files as on threads, also when a worker dies."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from ale.io.index import blocks
from ale.io.index import parquet as parquet_io
from tests.conftest import wait_until
from tests.integration.test_index import TEXTS, contents, index, model, run, write_packed, write_parquet

__all__ = ["model"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two processes of one thread each."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster


def kill_one(cluster: LocalCluster) -> None:
    """SIGKILL to a worker; Dask starts another in its place."""
    with Client(cluster, set_as_default=False) as client:
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl.gz"])
def test_a_worker_that_dies_loses_and_doubles_nothing(
    model: Path, tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Byte for byte what threads write, and nothing else; what was counted is what is there."""
    monkeypatch.setattr(parquet_io, "ROWS_PER_PART", 100)
    monkeypatch.setattr(blocks, "BLOCK", 20_000)
    source = tmp_path / f"in{suffix}"
    if suffix == ".parquet":
        write_parquet(source, 800)
    else:
        rows = (json.dumps({"id": i, "message": TEXTS[i % len(TEXTS)]}) for i in range(800))
        write_packed(source, "\n".join(rows).encode())
    alone = index(model, source, tmp_path / "alone", "--defer", "0.03")
    on = ("--defer", "0.03", "--engine", "dask", "--scheduler", cluster.scheduler_address)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(index, model, source, tmp_path / "out", *on)
        wait_until(lambda: len(list((tmp_path / "out").glob("part-*"))) >= 3 or running.done(), 120)
        assert not running.done()
        kill_one(cluster)
        told = running.result()
    assert told["rows"] == told["rows_of_this_run"] == 800
    assert {**told, **dict.fromkeys(CHANGING)} == {**alone, **dict.fromkeys(CHANGING)}
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    assert not list((tmp_path / "out").rglob(".*"))
    again = index(model, source, tmp_path / "out", *on)
    assert again["parts_resumed"] == again["parts"]


CHANGING = ("output", "seconds", "rows_per_second")


def test_what_is_wrong_with_a_cluster_is_said(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No address, an address without an engine, none of Dask's packages."""
    source = write_parquet(tmp_path / "in.parquet", 10)
    line = ("index", source, tmp_path / "out", "--model", model)
    for options in (("--engine", "dask"), ("--scheduler", "tcp://127.0.0.1:1")):
        done = run(*line, *options)
        assert (done.exit_code, "belong together" in done.output) == (2, True)
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = run(*line, "--engine", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert (done.exit_code, "ale-label-studio[dask]" in done.output) == (2, True)
