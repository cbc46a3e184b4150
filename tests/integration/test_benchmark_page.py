"""Every command of docs/benchmark.md is run as it stands there, on files of the names it uses."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo import sample
from tests.unit.ml_backend.test_docs import ROOT, ale_lines

LINES = [line for line in ale_lines(ROOT / "docs/benchmark.md") if "--" in line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.csv with a column of recorded answers, test.csv and labels.yaml."""
    made = tmp_path_factory.mktemp("page")
    for name, messages in (("train.csv", sample.pool()[:140]), ("test.csv", sample.held_out()[:40])):
        with (made / name).open("w", newline="") as file:
            csv.writer(file).writerows(
                [("text", "label", "gpt"), *((m.text, m.label, m.label) for m in messages)]
            )
    (made / "labels.yaml").write_text(f"{sample.pool()[0].label}: what it means\n")
    return made


def test_there_are_commands() -> None:
    """The page shows at least the ways to compare."""
    said = " ".join(LINES)
    assert all(
        f"--{name} " in said for name in ("teacher", "strategies", "students", "peers", "audit", "plot")
    )


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_runs(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two budgets and one seed instead of many: the last word on an option counts."""
    if "--peers" in line:
        pytest.importorskip(
            "small_text", reason="pip install 'ale-label-studio[bench]'", exc_type=ImportError
        )
    monkeypatch.chdir(folder)
    args = [*shlex.split(line)[1:], "--budgets", "10,20", "--seeds", "1", "--cache", "cache"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    said = "A simulated reviewer" if "--label-noise" in args else "after n human labels"
    assert said in done.output
    for option in ("--json", "--plot", "--reliability"):
        if option in args:
            assert (folder / args[args.index(option) + 1]).stat().st_size > 0
