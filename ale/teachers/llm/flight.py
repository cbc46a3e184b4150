"""Many conversations at once, so many and no more, and their answers in one stream as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import TypeVar

from ale.errors import TeacherUnavailable

T = TypeVar("T")


async def merged(streams: Iterator[AsyncGenerator[T]], at_once: int) -> AsyncGenerator[T]:
    """What the streams give, `at_once` of them running; the next one starts when one ends.

    After the first error none is started any more. Those that run are heard to their end, since what they
    are about to say is paid; then the error is raised (of several TeacherUnavailable the first, the cause).
    No more than `at_once` items wait to be taken: nothing is paid far ahead of being kept.
    Whoever closes this generator cancels what runs.
    """
    said: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    room = asyncio.Semaphore(at_once)
    unavailable: list[TeacherUnavailable] = []
    broken = False

    async def work() -> None:
        nonlocal broken
        to_the_end = False
        try:
            for stream in streams:
                async with aclosing(stream):
                    async for item in stream:
                        await room.acquire()
                        said.put_nowait((item,))
                if broken:
                    return
            to_the_end = True
        except TeacherUnavailable as error:
            unavailable.append(error)
        finally:
            broken = broken or not to_the_end
            said.put_nowait(None)

    workers = [asyncio.create_task(work()) for _ in range(at_once)]
    try:
        running = len(workers)
        while running:
            item = await said.get()
            if item is None:
                running -= 1
            else:
                yield item[0]
                room.release()
        for worker in workers:
            worker.result()
        if unavailable:
            raise unavailable[0]
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
