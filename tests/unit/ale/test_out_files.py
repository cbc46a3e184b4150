"""The files of --out: by comma, of known kinds, none over another."""

from __future__ import annotations

from pathlib import Path

import pytest

from ale.errors import ConfigurationError
from ale.io.out_files import out_files

KINDS = (".csv", ".html")


def test_files_are_named_by_comma() -> None:
    """Blanks and empty parts are nothing."""
    assert out_files(" a.csv, b/c.html ,", KINDS) == [Path("a.csv"), Path("b/c.html")]
    assert out_files("", KINDS) == []


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("a.csv,./a.csv", "is named twice"),
        ("x/../labels.csv", "is named twice"),
        ("a.pdf", "--out a.pdf: the file's name must end in .csv, .html"),
        ("a", "must end in .csv, .html"),
    ],
)
def test_what_cannot_be_written_is_refused(out: str, says: str) -> None:
    """However its path is spelled."""
    with pytest.raises(ConfigurationError, match=says):
        out_files(out, KINDS, [Path("labels.csv")])
