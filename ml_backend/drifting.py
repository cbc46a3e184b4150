"""What `ale drift` does: the kept random sample by day, against what the model met when it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from rich.console import Console
from rich.table import Table

from ale.drift import Day, measure
from ale.errors import ConfigurationError
from ale.loading import load
from ale.model import Model
from ale.text import normalise
from ale.types import Embeddings
from ml_backend.store import served
from ml_backend.store.database import Database
from ml_backend.store.schema import Served

TEXTS = 500
"""Of a day, that are embedded: a few seconds."""


def drifting(db: Database, service: str | None, days: int, folder: str | None, below: float) -> list[Day]:
    """The days on which something was served, the oldest first. ConfigurationError when there is none."""
    model = load(folder) if folder else None
    rows = served.drawn(db, service, datetime.now(UTC) - timedelta(days=days))
    by_day: dict[str, list[Served]] = {}
    for row in rows:
        by_day.setdefault(row.served_at.date().isoformat(), []).append(row)
    if not by_day:
        raise ConfigurationError(
            f"nothing was kept of the last {days} days"
            + (f" by {service!r}" if service else "")
            + ": `ale serve-model` keeps predictions with --capture SHARE"
        )
    reference = _met(model) if model else Counter(_labels(next(iter(by_day.values()))))
    return [
        measure(
            day,
            _labels(kept),
            [row.confidence for row in kept if row.confidence is not None],
            reference,
            _embedded(model, kept),
            below,
        )
        for day, kept in by_day.items()
    ]


def _labels(rows: Sequence[Served]) -> list[str]:
    return [row.label for row in rows if row.label is not None]


def _met(model: Model) -> Counter[str]:
    """What the scanner says of the texts that were held out from `ale fit`."""
    return Counter(model.labels[best] for best in model.held_out.scanner.argmax(axis=1).tolist())


def _embedded(model: Model | None, rows: Sequence[Served]) -> Embeddings | None:
    texts = [text for row in rows if (text := normalise(row.text))]
    if model is None or not texts:
        return None
    if len(texts) > TEXTS:
        texts = [texts[i] for i in np.random.default_rng(0).choice(len(texts), TEXTS, replace=False)]
    return model.predictor.space.transform(model.encoder.encode(texts))


def show(days: Sequence[Day]) -> None:
    """A row per day; a shift that chance does not explain is marked."""
    table = Table(title="What was served, day by day", title_justify="left")
    for name in ("day", "predictions", "label shift", "by chance", "confidence", "unsure", "text distance"):
        table.add_column(name, justify="left" if name == "day" else "right", no_wrap=name == "day")
    for day in days:
        table.add_row(
            day.day,
            f"{day.predictions:,}",
            f"[bold red]{day.shift:.3f} ![/]" if day.shifted else _number(day.shift),
            _number(day.by_chance),
            _number(day.confidence),
            "-" if day.unsure is None else f"{day.unsure:.0%}",
            _number(day.distance),
        )
    console = Console()
    console.print(table)
    console.print(
        "! = by chance on fewer than one day in a thousand. A dash: too few predictions, or no texts."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
