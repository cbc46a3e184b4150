"""Where the parts of an index run are done: on threads of this process, or by the workers of a Dask cluster.

A worker writes its part to the store by itself, whole or not at all, and the same bytes whoever does it. So a part
that is done twice, since the worker that had it was thought dead, is there once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from ale.errors import ConfigurationError, MissingExtra

_WAIT_S = 30
_AHEAD = 4
"""Parts under way per thread of a worker: while one is written, the next ones are on their way."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Who does the work, and how many parts are given out at once."""

    executor: Executor
    at_once: int


@contextmanager
def threads(workers: int) -> Iterator[Engine]:
    """Threads of this process: the scanner works without the interpreter's lock."""
    with ThreadPoolExecutor(workers, "ale-index") as pool:
        yield Engine(pool, workers + 1)


@contextmanager
def dask(scheduler: str) -> Iterator[Engine]:
    """The workers of the cluster at that address. ConfigurationError where nobody answers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtra("ale index --engine dask", "dask") from error
    try:
        client = Client(scheduler, timeout=_WAIT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    try:
        slots = sum(client.nthreads().values())
        if not slots:
            raise ConfigurationError(f"the Dask cluster at {scheduler} has no worker")
        # `pure=False`: a part is work to be done, not a value that somebody may have kept.
        with client.get_executor(pure=False) as executor, warnings.catch_warnings():
            # Blocks of lines go to the workers as they were read here: they are meant to be large.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            yield Engine(executor, _AHEAD * slots)
    finally:
        client.close()
