"""The texts of a benchmark: as many as were asked for, no two alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pool import Text, read_pool, with_variants


def written(folder: Path, *texts: str) -> Path:
    """A CSV file with these texts, each with its own label."""
    file = folder / "texts.csv"
    file.write_text("\n".join(["text,label", *(f"{text},{text[0]}" for text in texts)]))
    return file


def test_a_small_file_is_made_up_to_the_size_by_numbered_variants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two different texts for five tasks: both, both again, and the first a third time; it says how many there are."""
    pool = read_pool(written(tmp_path, "a", "b", "a"), 5)
    assert {text.text for text in pool} == {"a", "b", "a (2)", "b (2)", "a (3)"}
    assert all(text.label == text.text[0] for text in pool)
    assert "2 different texts; 3 more are variants" in capsys.readouterr().out


def test_a_variant_that_the_file_holds_itself_is_not_counted_twice() -> None:
    """The file holds "a (2)" already, with a label of its own that stays."""
    pool = with_variants([Text("a", "x"), Text("a (2)", "y")], 4)
    assert pool == [Text("a", "x"), Text("a (2)", "y"), Text("a (2) (2)", "y"), Text("a (3)", "x")]


def test_enough_texts_are_taken_as_they_are(tmp_path: Path) -> None:
    """No variants while the file holds enough."""
    assert {text.text for text in read_pool(written(tmp_path, "a", "b", "c"), 3)} == {"a", "b", "c"}


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    """Nothing to make variants of."""
    with pytest.raises(ValueError, match="holds no texts"):
        read_pool(written(tmp_path), 3)
