"""Data sets for benchmarks without Label Studio: a file, what the teacher says of it, and embeddings from a cache."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.encoder import resolve_encoder
from ale.io.tables import read_descriptions, read_table
from ale.teachers import resolve_teacher
from ale.teachers.recorded import RecordedTeacher, answers_by_text
from ale.text import to_example
from ale.types import Embeddings, Example, LabelSpace, Probs


@dataclass(frozen=True, slots=True, eq=False)
class Set:
    """A pool with gold labels. `teacher` is None without one; `groups` are equal for equal texts."""

    name: str
    labels: LabelSpace
    raw: Embeddings
    gold: NDArray[np.int64]
    groups: NDArray[np.int64]
    teacher: Probs | None
    texts: list[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `read_sets` reads."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="CSV[,TEACHER[,DESCRIPTIONS]]",
        help="columns text and label; a teacher is zero-shot or recorded:COLUMN, descriptions are a YAML file "
        "for the former; repeatable",
    )
    parser.add_argument(
        "--cache", type=Path, default=user_cache_path("ale-label-studio"), help="folder for embeddings"
    )


def read_sets(options: argparse.Namespace) -> list[Set]:
    """The sets that the command line names."""
    raw = resolve_encoder()
    encoder = CachedEncoder(raw, EmbeddingCache(options.cache / "embeddings", raw.name, raw.dimensions))
    return [_read(*str(given).split(","), encoder=encoder) for given in options.set]


def _read(path: str, teacher: str = "none", descriptions: str = "", *, encoder: CachedEncoder) -> Set:
    file = Path(path)
    table = read_table(file)
    texts, labels = table.column("text"), table.column("label")
    names = sorted(set(labels))
    told = read_descriptions(Path(descriptions)) if descriptions else {}
    space = LabelSpace(tuple(names), tuple(told.get(name, "") for name in names))
    rows = [
        (example, names.index(label))
        for place, (text, label) in enumerate(zip(texts, labels, strict=True))
        if (example := to_example(place, text)) is not None
    ]
    examples: list[Example] = [example for example, _ in rows]
    said: Probs | None = None
    kind, _, column = teacher.partition(":")
    if kind == "recorded":
        said = RecordedTeacher(column, answers_by_text(texts, table.column(column))).predict_proba(
            examples, space
        )
    elif (asked := resolve_teacher(kind, encoder)) is not None:
        said = asked.predict_proba(examples, space)
    return Set(
        name=f"{file.parent.name}, {teacher}" if said is not None else file.parent.name,
        labels=space,
        raw=encoder.encode([example.text for example in examples]),
        gold=np.array([label for _, label in rows], np.int64),
        groups=np.unique([example.text_hash for example in examples], return_inverse=True)[1].astype(
            np.int64
        ),
        teacher=said,
        texts=[example.text for example in examples],
    )
