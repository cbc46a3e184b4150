"""What is happening, for a person who waits: one line per step, and a spinner on the one that runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

_QUIET_S = 5.0


class Steps:
    """Prints steps to a console; without a terminal, plain lines that a log can keep."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show `title` until the block ends; the block may call what it gets to say how far it is."""
        start = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"{escape(title)} ...") as status:
                yield lambda text: status.update(f"{escape(text)} ...")
        else:
            last = start

            def say(text: str) -> None:
                nonlocal last
                if time.monotonic() - last >= _QUIET_S:
                    last = time.monotonic()
                    self.say(f"  {escape(text)}")

            yield say
        self.say(f"[green]✓[/] {escape(title)} [dim]({time.monotonic() - start:.1f} s)[/]")

    def say(self, markup: str) -> None:
        """A line that stays."""
        self.console.print(markup, highlight=False, soft_wrap=True)
