"""Texts to index by the million: those of a set over and over, with a share of the words replaced by unseen ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from ale.scanner.compiled import compiled
from ale.scanner.texts import Texts

GROUP = 100_000


@compiled
def perturb(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    picked: NDArray[np.int64],
    share: float,
    seed: int,
    starts: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """The picked texts one behind the other; each word is, with chance `share`, replaced by random letters."""
    out = np.empty(starts[-1], np.uint8)
    np.random.seed(seed)  # noqa: NPY002 (the only generator that compiled loops have)
    for row in range(len(picked)):
        replaced, gap = False, True
        for k in range(starts[row + 1] - starts[row]):
            byte = data[offsets[picked[row]] + k]
            letter = 97 <= (byte | 32) <= 122
            if letter and gap:
                replaced = np.random.random() < share  # noqa: NPY002
            gap = not letter
            out[starts[row] + k] = 97 + np.random.randint(26) if letter and replaced else byte  # noqa: NPY002
    return out


def write_texts(
    path: Path, texts: Sequence[str], rows: int, share: float, compression: str = "snappy"
) -> None:
    """Parquet with an id and a text, in row groups of 100,000."""
    given = Texts.of(texts)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    draft = path.with_suffix(".part")
    with parquet.ParquetWriter(draft, schema, use_dictionary=False, compression=compression) as writer:
        for first in range(0, rows, GROUP):
            n = min(GROUP, rows - first)
            picked = np.random.default_rng(first).integers(0, len(texts), n)
            starts = np.zeros(n + 1, np.int64)
            np.cumsum(np.diff(given.offsets)[picked], out=starts[1:])
            data = perturb(given.data, given.offsets, picked, share, first, starts)
            column = pa.StringArray.from_buffers(n, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(data))
            writer.write_table(pa.table([pa.array(range(first, first + n)), column], schema), n)
    draft.replace(path)
