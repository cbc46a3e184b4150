"""A labelled train and test file, the model that `ale fit` makes of the former, and how accurate it is on the latter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from ale.cascade import Cascade
from ale.io.embeddings import CachedEncoder, EmbeddingCache
from ale.io.encoder import resolve_encoder
from ale.io.tables import read_table
from ale.loading import load
from ale.scanner.texts import Texts
from ale.text import normalise
from ml_backend.cli import app

DEFERRED = 0.1


@dataclass(frozen=True, slots=True)
class Set:
    """A train and a test file, and the model of the former."""

    name: str
    model: Path
    texts: list[str]
    labels: list[str]
    test_texts: list[str]
    test_labels: list[str]


def read_set(given: str, folder: Path, cache: Path) -> Set:
    """TRAIN,TEST[,COLUMN of the labels]; the model is made by `ale fit` unless the folder has it."""
    train, test = (Path(part) for part in given.split(",")[:2])
    label = (*given.split(","), "label")[2]
    name = train.parent.name
    model = folder / f"m-{name}"
    if not model.exists():
        done = CliRunner().invoke(
            app,
            [
                "fit",
                str(train),
                "--label-column",
                label,
                "--out",
                str(model),
                "--cache",
                str(cache),
                "--json",
            ],
        )
        if done.exit_code:
            raise SystemExit(f"index: {done.output}")
    columns = [read_table(path).column(column) for path in (train, test) for column in ("text", label)]
    return Set(name, model, *columns)


def accuracies(one: Set, cache: Path) -> list[object]:
    """Of the scanner, the student, and the two together, on the test file."""
    model = load(one.model)
    raw = resolve_encoder()
    encoder = CachedEncoder(raw, EmbeddingCache(cache / "embeddings", raw.name, raw.dimensions))
    texts = [normalise(text) or "" for text in one.test_texts]
    truth = np.array([model.labels.index(label) for label in one.test_labels])
    scanned = model.scanner.predict(Texts.of(texts))
    student = model.predictor.predict_proba(encoder.encode(texts)).argmax(axis=1)
    later = Cascade(DEFERRED).deferred(scanned.confidence, scanned.bad == 0)
    both = scanned.best.copy()
    both[later] = student[later]
    mine, theirs, joint = (float((said == truth).mean()) for said in (scanned.best, student, both))
    return [
        one.name, len(texts), *(f"{100 * share:.1f}" for share in (mine, theirs)), f"{100 * (mine - theirs):+.1f}",
        f"{100 * float((scanned.best == student).mean()):.1f}", f"{100 * joint:.1f}",
        f"{100 * (joint - theirs):+.1f}",
    ]  # fmt: skip
