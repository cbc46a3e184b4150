"""Cleaning, near duplicates, the split, and the files that rows come from."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ale.cleaning import EXACT, NEAR, clean, clean_text
from ale.errors import ConfigurationError
from ale.io.rows import read_rows
from ale.near import NearDuplicates, runs, similarity
from ale.scanner.texts import BadRow
from ale.split import hold_out

ROWS: list[dict[str, Any]] = [
    {"text": "Where is my parcel? It is a week late.", "topic": "delivery"},
    {"text": "  Where is my parcel? It is a week late.\n", "topic": "delivery"},
    {"text": "Where is my parcel?? It is a week late!", "topic": "praise"},
    {"text": "", "topic": "delivery"},
    {"text": None, "topic": "delivery"},
    {"text": "What a lovely lamp.", "topic": "praise"},
]


def test_each_text_stays_once_and_each_row_is_accounted_for() -> None:
    """Equal texts, nearly equal ones and none at all, with the row that they repeat and whether its label differs."""
    pytest.importorskip("datasketch", reason="pip install 'ale-label-studio[import]'")
    cleaned = clean(enumerate(ROWS, 1), "text", "topic", near=0.85)
    assert [row.number for row in cleaned.rows] == [1, 6]
    said = [(one.number, one.reason, one.of, one.other_label) for one in cleaned.left_out]
    assert said == [
        (2, EXACT, 1, False),
        (3, NEAR, 1, True),
        (4, BadRow.NO_TEXT, None, False),
        (5, BadRow.NULL, None, False),
    ]
    assert cleaned.other_labels == 1
    assert cleaned.reasons == {EXACT: 1, NEAR: 1, "no_text": 1, "null": 1}


def test_without_near_only_equal_texts_go() -> None:
    """And nothing has to be installed for it."""
    assert [row.number for row in clean(enumerate(ROWS, 1), "text").rows] == [1, 3, 6]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (" a\u0308 ", "ä"),
        (7, BadRow.NOT_TEXT),
        ("caf\udce9", BadRow.BROKEN_UTF8),
        ("x" * 20_000, "x" * 20_000),
        ("\u00a0\n", BadRow.NO_TEXT),
    ],
    ids=["nfc", "number", "latin-1", "long", "blank"],
)
def test_a_text_is_shown_as_it_is(value: object, said: object) -> None:
    """Composed, without blanks around it, and never cut; what is none says why."""
    assert clean_text(value) == said


def test_near_duplicates_are_what_a_comparison_of_all_pairs_finds() -> None:
    """The index misses hardly any and makes none up: on texts of one vocabulary with known changes."""
    pytest.importorskip("datasketch", reason="pip install 'ale-label-studio[import]'")
    random = np.random.default_rng(0)
    words = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in ("rn", "st", "lm", "x")]
    texts = [" ".join(random.choice(words, 25)) for _ in range(150)]
    texts += [text[:-k] for k in (2, 6, 12, 25) for text in texts[:75]]
    index = NearDuplicates(0.8)
    found = 0
    kept: list[str] = []
    for text in texts:
        near = index.find_or_add(text)
        likest = max((similarity(runs(text), runs(other)) for other in kept), default=0.0)
        if near is None:
            kept.append(text)
            found += likest >= 0.8
        else:
            assert near[1] >= 0.8
            assert similarity(runs(text), runs(kept[near[0]])) == near[1]
    assert len(kept) < 0.7 * len(texts)
    assert found <= 2, f"{found} near duplicates were missed"


@given(
    st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=60),
    st.floats(0, 0.9),
    st.integers(0, 5),
)
def test_the_split_has_its_share_of_every_label(labels: list[str], share: float, seed: int) -> None:
    """To one row per label, and exactly in all; the same draw each time."""
    held = hold_out(labels, share, seed)
    assert held.sum() == round(share * len(labels))
    of = Counter(label for label, out in zip(labels, held, strict=True) if out)
    for label, n in Counter(labels).items():
        assert abs(of[label] - share * n) < 1 + 1e-6
    assert (held == hold_out(labels, share, seed)).all()


def test_seeds_draw_differently_and_a_share_of_all_is_refused() -> None:
    """One row has to be left."""
    assert (hold_out(["a"] * 100, 0.5, 1) != hold_out(["a"] * 100, 0.5, 2)).any()
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        hold_out(["a"], 1.0)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_lines_come_back_with_their_numbers(
    tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    """Quoted line breaks, a byte-order mark, broken lines and broken UTF-8; the numbers count what is left out."""
    if kind == "csv":
        raw = b'\xef\xbb\xbftext,n\n"a\nb",1\nonly one cell\ncaf\xe9,3\n'
    else:
        raw = b'{"text": "a\\nb", "n": "1"}\n\nno json\n{"text": "caf\xe9", "n": "3"}\n'
    path = tmp_path / f"in.{kind}{'' if pack is bytes else '.gz'}"
    path.write_bytes(pack(raw))
    heard: list[int] = []
    found = dict(read_rows(str(path), ("text", "n"), heard.append))
    assert sum(heard) == path.stat().st_size
    assert found[1] == {"text": "a\nb", "n": "1"}
    assert found[2] == (BadRow.CELLS if kind == "csv" else BadRow.NOT_JSON)
    assert clean(found.items(), "text").reasons == {str(found[2]): 1, "broken_utf8": 1}


def test_parquet_and_zstandard(tmp_path: Path) -> None:
    """Several files of a folder are one data set."""
    parquet.write_table(pa.table({"text": ["a", None]}), tmp_path / "1.parquet")
    parquet.write_table(pa.table({"text": ["b"]}), tmp_path / "2.parquet")
    assert list(read_rows(str(tmp_path), ("text",))) == [
        (1, {"text": "a"}),
        (2, {"text": None}),
        (3, {"text": "b"}),
    ]
    packed = tmp_path / "in.jsonl.zst"
    with pa.OSFile(str(packed), "wb") as raw, pa.CompressedOutputStream(raw, "zstd") as stream:
        stream.write(json.dumps({"text": "c"}).encode())
    assert list(read_rows(str(packed), ("text",))) == [(1, {"text": "c"})]


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.parquet"])
def test_a_column_that_lacks_is_named_with_those_that_are_there(tmp_path: Path, name: str) -> None:
    """Before anything is imported."""
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("message\nhello\n")
    elif name.endswith("jsonl"):
        path.write_text('{"message": "hello"}\n')
    else:
        parquet.write_table(pa.table({"message": ["hello"]}), path)
    with pytest.raises(ConfigurationError, match=r"no column 'text'; its columns: 'message'"):
        list(read_rows(str(path), ("text",)))
