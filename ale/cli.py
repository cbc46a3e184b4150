"""The engine's commands: those that need no Label Studio. `ml_backend.cli` adds its own to them."""

from __future__ import annotations

import typer

from ale.commands.benchmark import app as benchmark
from ale.commands.index import app as index
from ale.commands.review import app as review

app = typer.Typer()
app.add_typer(benchmark)
app.add_typer(review)
app.add_typer(index)
