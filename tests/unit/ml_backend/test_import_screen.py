"""The bars of `ale import` on a console that is no terminal: each is drawn once, at the end."""

from __future__ import annotations

import pytest

from ml_backend.import_screen import Bars


def test_a_bar_without_a_total_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """How many tasks the project has is not known beforehand."""
    with Bars(quiet=False) as bars:
        bars.compared(1_200)
    assert "1,200 tasks" in capsys.readouterr().err


def test_sending_says_how_many_of_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    """The comparison's bar is gone by then."""
    with Bars(quiet=False) as bars:
        bars.reading(10)(10)
        bars.compared(5)
        bars.begin(4_000, 0)
        bars.heard(1_000)
    said = capsys.readouterr().err
    assert "10/10 bytes" in said
    assert "1,000/4,000 tasks" in said
    assert "compare" not in said
