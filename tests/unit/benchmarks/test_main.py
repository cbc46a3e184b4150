"""`python -m benchmarks` without names."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import main


@pytest.mark.parametrize(
    "name", ["label_weights", "real_errors", "consensus", "finish_guarantee", "stopping", "encode"]
)
def test_what_needs_a_file_says_so_and_lets_the_others_run(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the option, and an exit code that is no failure."""
    assert main([name]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: nothing to read, name ")
    assert "--" in said
