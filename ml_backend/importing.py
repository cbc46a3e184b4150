"""What `ale import` does: read a file, clean it, hold a part out, keep both as files, send the rest to Label Studio.

All of it but the sending is the same each time: the same file and options give the same rows, the same snapshot and
so the same names of tasks. That is what makes an import that was killed the same import when it is begun again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ale.cleaning import Cleaned, Cleaner, Row
from ale.errors import ConfigurationError
from ale.io.rows import read_rows
from ale.near import NearDuplicates
from ale.split import hold_out
from ale.text import normalise, storable, text_hash
from ml_backend.controls import Control
from ml_backend.private_files import write_private
from ml_backend.task_import import KEY, Import, NewTask, Pool

Json = dict[str, Any]
Heard = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for."""

    source: str
    text_column: str
    label_column: str | None
    near: float
    held_out: float
    stratified: bool
    seed: int
    with_labels: bool


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The file as it will be imported. `snapshot` names rows, labels and split by their content."""

    snapshot: str
    rows: Sequence[Row]
    held_out: Sequence[Row]
    cleaned: Cleaned
    tasks: Sequence[NewTask]


def prepare(wish: Wish, control: Control, heard: Heard) -> Prepared:
    """Read, clean, split and name. ConfigurationError for a file or a label that cannot be imported."""
    if wish.with_labels and wish.label_column is None:
        raise ConfigurationError("--with-labels imports the labels of a column: name it by --label-column")
    if wish.held_out and wish.stratified and wish.label_column is None:
        raise ConfigurationError("a stratified split goes by label: give --label-column, or --split random")
    cleaner = Cleaner(wish.text_column, wish.label_column, wish.near)
    needed = tuple(name for name in (wish.text_column, wish.label_column) if name)
    for number, cells in read_rows(wish.source, needed, heard):
        cleaner.take(number, cells)
    cleaned = cleaner.done()
    if not cleaned.rows:
        raise ConfigurationError(f"{wish.source} has no row with a text in column {wish.text_column!r}")
    if wish.with_labels:
        _check_labels(cleaned.rows, control)
    mask = hold_out([row.label for row in cleaned.rows], wish.held_out, wish.seed, stratified=wish.stratified)
    kept = [row for row, out in zip(cleaned.rows, mask, strict=True) if not out]
    held = [row for row, out in zip(cleaned.rows, mask, strict=True) if out]
    datas = [_data(row, control.field) for row in kept]
    name = _name([*zip(kept, datas, strict=True)], held, wish)
    results = [[control.region(row.label)] if wish.with_labels and row.label else None for row in kept]
    tasks = [
        NewTask(f"{name}/{row.number}", data, result)
        for row, data, result in zip(kept, datas, results, strict=True)
    ]
    return Prepared(name, kept, held, cleaned, tasks)


def write_folder(out: Path, prepared: Prepared, wish: Wish) -> None:
    """The held-out rows, what was left out, and what all of it is: files that nobody else may read."""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    if prepared.held_out:
        label = wish.label_column or "label"
        lines = (
            {wish.text_column: row.text, label: row.label or None, "row": row.number}
            for row in prepared.held_out
        )
        write_private(out / "held-out.jsonl", _jsonl(lines))
    write_private(out / "left-out.jsonl", _jsonl(asdict(one) for one in prepared.cleaned.left_out))
    write_private(out / "import.json", json.dumps(account(prepared, wish), indent=2, ensure_ascii=False))


def account(prepared: Prepared, wish: Wish) -> Json:
    """What became of the rows, for a script."""
    cleaned = prepared.cleaned
    return {
        "snapshot": prepared.snapshot,
        "file": wish.source,
        "rows": len(cleaned.rows) + len(cleaned.left_out),
        "kept": len(prepared.rows),
        "held_out": len(prepared.held_out),
        "left_out": cleaned.reasons,
        "repeated_with_another_label": cleaned.other_labels,
        "labels": dict(Counter(row.label for row in prepared.rows if row.label)),
        "held_out_labels": dict(Counter(row.label for row in prepared.held_out if row.label)),
        "near": wish.near,
        "seed": wish.seed,
    }


@dataclass(frozen=True, slots=True)
class Sent:
    """Tasks that were made and that earlier runs had made; rows whose text the project had already."""

    made: int
    there_before: int
    in_project: int
    held_out_in_project: int


def send(job: Import, prepared: Prepared, control: Control, near: float, screen: Screen) -> Sent:
    """Make the tasks that are not there."""
    pool = job.read_pool(screen.waits)
    known = InPool.of(pool, control, near, screen.compared)
    fresh = [task for task in prepared.tasks if task.name not in pool.named]
    repeated = {task.name for task in fresh if control_text(control, task) in known}
    tasks = [task for task in prepared.tasks if task.name not in repeated]
    there = len(prepared.tasks) - len(fresh)
    screen.begin(len(tasks), there)
    job.send(tasks, pool, screen.heard)
    return Sent(job.sent, there, len(repeated), sum(row.text in known for row in prepared.held_out))


def control_text(control: Control, task: NewTask) -> str:
    """The text that will be asked about."""
    return normalise(control.text(task.data)) or ""


@dataclass(frozen=True, slots=True)
class InPool:
    """Whether a text, or nearly that text, is in the project."""

    hashes: set[str]
    near: NearDuplicates | None

    @classmethod
    def of(cls, pool: Pool, control: Control, near: float, heard: Heard) -> InPool:
        """Tasks of this import itself do not count."""
        texts = [text for data in pool.others if (text := normalise(control.text(data)))]
        index = NearDuplicates(near) if near else None
        for text in texts if index else ():
            if index:
                index.add(text)
            heard(1)
        return cls({text_hash(text) for text in texts}, index)

    def add(self, text: str) -> None:
        """It counts as one of the project's from now on."""
        read = normalise(text) or ""
        self.hashes.add(text_hash(read))
        if self.near is not None:
            self.near.add(read)

    def __contains__(self, text: str) -> bool:
        read = normalise(text) or ""
        return text_hash(read) in self.hashes or (self.near is not None and self.near.find(read) is not None)


class Screen:
    """What an import tells while it runs; says nothing."""

    def waits(self, seconds: float) -> None:
        """A chunk of an earlier run may still be stored; at most so long."""

    def compared(self, n: int) -> None:
        """So many more tasks of the project were looked at."""

    def begin(self, tasks: int, done: int) -> None:
        """So many tasks will be there, so many are."""

    def heard(self, n: int) -> None:
        """So many more are there."""


def _check_labels(rows: Sequence[Row], control: Control) -> None:
    unknown = sorted(
        {row.label for row in rows if row.label and control.label_space.index(row.label) is None}
    )
    if unknown:
        raise ConfigurationError(
            f"the project has no label {', '.join(map(repr, unknown[:5]))}; its labels: "
            f"{', '.join(map(repr, control.label_space.labels))}"
        )


def _data(row: Row, field: str) -> Json:
    """The other columns are kept, but none that has the text's name, or ours."""
    first, *below = field.split(".")
    text: Any = row.text
    for part in reversed(below):
        text = {part: text}
    data = {name: plain(cell) for name, cell in row.cells.items() if name not in {first, KEY}}
    return {first: text, **data}


def plain(cell: Any) -> Any:
    """A cell as JSON that every database can hold."""
    if cell is None or isinstance(cell, bool | int):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, Mapping):
        return {storable(str(name)): plain(value) for name, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [plain(value) for value in cell]
    return storable(str(cell))


def _name(kept: Sequence[tuple[Row, Json]], held: Sequence[Row], wish: Wish) -> str:
    digest = hashlib.sha256(json.dumps(["import", 1, wish.with_labels]).encode())
    for row, data in kept:
        digest.update(json.dumps([row.number, row.label, data], sort_keys=True).encode())
    for row in held:
        digest.update(json.dumps(["held out", row.number, row.label, row.text]).encode())
    return digest.hexdigest()[:12]


def _jsonl(rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
