"""docs/settings.md names values that the settings take, and figures that benchmarks/README.md has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ale.errors import UnknownName
from ml_backend.learning import build_learning
from ml_backend.settings import Settings
from tests.conftest import make_settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/settings.md").read_text()
FIGURES = (ROOT / "benchmarks/README.md").read_text()
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ")][1:]
SETTING = re.compile(r"`(ALE_[A-Z_]+)=([^`]+)`")
NAMED = SETTING.findall(PAGE)
FIELDS = {str(field.alias): name for name, field in Settings.model_fields.items()}


def section(anchor: str) -> str:
    """The part of the benchmarks' page that a link leads to."""
    parts = re.split(r"^## (.*)\n", FIGURES, flags=re.MULTILINE)[1:]
    found = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-"): part
        for title, part in zip(parts[::2], parts[1::2], strict=True)
    }
    return found[anchor]


def test_every_row_has_settings_or_a_command() -> None:
    """Three cells each: the data, what to set, what was measured."""
    assert len(ROWS) >= 5
    for _, what, measured in ROWS:
        assert SETTING.search(what) or "`ale " in what
        assert measured.strip()


@pytest.mark.parametrize(("variable", "value"), sorted(set(NAMED)))
def test_the_engine_takes_the_value(variable: str, value: str, tmp_path: Path) -> None:
    """A learn run could be set up with it."""
    settings = make_settings(tmp_path, "redis://127.0.0.1:1/0", **{FIELDS[variable]: value})
    build_learning(settings)


def test_a_name_that_does_not_exist_would_be_found(tmp_path: Path) -> None:
    """The test above can fail."""
    with pytest.raises(UnknownName):
        build_learning(make_settings(tmp_path, "redis://127.0.0.1:1/0", strategy="best"))


def test_the_first_row_is_the_defaults() -> None:
    """It says that nothing has to be set."""
    (first, what, _), *_ = ROWS
    assert "no key" in first
    said = SETTING.findall(what)
    assert len(said) == 4
    for variable, value in said:
        assert str(Settings.model_fields[FIELDS[variable]].default) == value


def test_figures_stand_where_the_links_lead() -> None:
    """Every number that a row gives as measured is in the linked section, which names the command."""
    for _, _, measured in ROWS:
        for anchor in re.findall(r"README\.md#([\w-]+)\)", measured):
            text = section(anchor)
            assert "```" in text, anchor
            numbers = re.findall(r"(?<![\w-])\.?\d[\d,.]*\d", re.sub(r"\(\[.*?\]\(.*?\)\)", "", measured))
            assert [number for number in numbers if number not in text] == [], anchor
