"""Percentiles, and tables for a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table


def percentiles(seconds: Sequence[float]) -> tuple[str, str, str]:
    """p50, p99 and the maximum in milliseconds."""
    if not seconds:
        return "-", "-", "-"
    values = 1000 * np.asarray(seconds)
    return tuple(
        f"{value:.0f}" if value >= 10 else f"{value:.1f}"
        for value in (np.percentile(values, 50), np.percentile(values, 99), values.max())
    )  # type: ignore[return-value]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for row in rows:
        table.add_row(*map(str, row))
    Console(width=120).print(table)


def load() -> str:
    """How busy the machine is besides: figures taken beside other jobs are worth less."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} cores, load average {one:.1f} (1 min) {five:.1f} (5 min)"
