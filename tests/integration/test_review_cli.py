"""`ale review --data` from a file to its reports, with the real encoder."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml_backend.cli import app
from ml_backend.demo import sample
from tests.e2e.messages import LABELS as TOPICS
from tests.e2e.messages import messages

MESSAGES = sample.pool()[:120]
LABELS = sorted({message.label for message in MESSAGES})
WRONG = (5, 33, 61, 90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set in which four labels are wrong, and a recorded teacher."""
    made = tmp_path_factory.mktemp("review")
    with (made / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("message", "given", "gpt", "empty"))
        for row, message in enumerate(MESSAGES):
            other = LABELS[(LABELS.index(message.label) + 1) % len(LABELS)]
            given = other if row in WRONG else message.label
            writer.writerow((message.text, given, message.label if row % 9 else "no idea", ""))
    return made


def run(folder: Path, *args: str) -> Result:
    """`ale review --data` with the cache in that folder."""
    given = ["review", "--data", folder / "labels.csv", "--text-column", "message", "--label-column", "given"]
    return CliRunner().invoke(app, [str(arg) for arg in (*given, "--cache", folder / "cache", *args)])


def test_all_reports_agree(folder: Path) -> None:
    """JSON has all rows in order, the tables rank them, the page shows the flags; the planted errors lead."""
    out = [folder / name for name in ("ranked.csv", "ranked.parquet", "page.html")]
    done = run(
        folder, "--teacher-columns", "gpt,empty", "--json", str(folder / "all.json"),
        "--out", ",".join(map(str, out)),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads((folder / "all.json").read_text())
    assert [row["row"] for row in rows] == list(range(len(MESSAGES)))
    wanted = {"row", "score", "given_label", "suggested_label", "flagged", "reason"}
    assert all(set(row) == wanted for row in rows)
    worst = sorted(rows, key=lambda row: -row["score"])[: len(WRONG)]
    assert {row["row"] for row in worst} == set(WRONG)
    assert all(row["flagged"] and row["suggested_label"] == MESSAGES[row["row"]].label for row in worst)
    with out[0].open(newline="", encoding="utf-8") as file:
        ranked = list(csv.DictReader(file))
    assert [int(row["row"]) for row in ranked[: len(WRONG)]] == [row["row"] for row in worst]
    assert ranked[0]["text"] == MESSAGES[worst[0]["row"]].text
    from pyarrow import parquet

    assert parquet.read_table(out[1]).column("row").to_pylist() == [int(row["row"]) for row in ranked]
    assert out[2].read_text(encoding="utf-8").count('<article class="flag">') == sum(
        row["flagged"] for row in rows
    )
    assert "'empty' holds none of the labels" in done.output


def test_the_consensus_of_annotators_is_a_column_of_the_tables(folder: Path) -> None:
    """Of CSV and Parquet, not of the published JSON; without annotators there is no such column."""
    from pyarrow import parquet

    with (folder / "crowd.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "who"))
        for who in ("ann", "bob", "eve"):
            for row, message in enumerate(MESSAGES[:60]):
                other = LABELS[(LABELS.index(message.label) + 1 + row % 3) % len(LABELS)]
                writer.writerow((message.text, other if who == "eve" else message.label, who))
    out = [folder / "consensus.csv", folder / "consensus.parquet"]
    given = (
        "review", "--data", folder / "crowd.csv", "--annotator-column", "who", "--cache", folder / "cache",
        "--out", ",".join(map(str, out)), "--json", folder / "consensus.json",
    )  # fmt: skip
    done = CliRunner().invoke(app, [str(arg) for arg in given])
    assert done.exit_code == 0, done.output
    assert (
        "texts labelled more than once: 60; with labels that differ: 60, of these without a majority: 0;"
        in " ".join(done.output.split())
    )
    with out[0].open(newline="", encoding="utf-8") as file:
        ranked = list(csv.DictReader(file))
    said = [row["consensus_label"] for row in ranked]
    right = [said[i] == MESSAGES[int(row["row"]) % 60].label for i, row in enumerate(ranked)]
    assert sum(right) == 180
    assert parquet.read_table(out[1]).column("consensus_label").to_pylist() == said
    assert "consensus_label" not in json.loads((folder / "consensus.json").read_text())[0]
    assert run(folder, "--out", str(folder / "plain.csv")).exit_code == 0
    assert "consensus" not in (folder / "plain.csv").read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--annotator-column", "who"), "no column 'who'"),
        (("--teacher-columns", "gpt,claude"), "no column 'claude'"),
        (("--out", "report.pdf"), "must end in .csv, .parquet, .html"),
    ],
)
def test_wrong_options_are_named(folder: Path, args: tuple[str, ...], says: str) -> None:
    """Before anything is computed, with what would be right."""
    done = run(folder, *args)
    assert done.exit_code != 0
    assert says in f"{done.output} {done.exception}"


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a"] * 12, "12 rows, 0 to check.\nNothing was judged: all labels are the same.\n"),
        (["a"], "1 row, 0 to check.\nNothing was judged: there are fewer than 10 labels.\n"),
    ],
)
def test_too_little_to_judge_is_said_in_plain_words(folder: Path, labels: list[str], says: str) -> None:
    """Without a machine's word for it, and with what was written."""
    with (folder / "little.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((f"text {i}", one) for i, one in enumerate(labels))])
    page = folder / "little.html"
    given = ("review", "--data", folder / "little.csv", "--cache", folder / "cache", "--out", page)
    done = CliRunner().invoke(app, [str(arg) for arg in given])
    assert done.output == f"little.csv: {says}Written: {page}\n"


def test_the_screen_shows_the_worst_and_says_that_there_are_more(folder: Path) -> None:
    """And where to find them, unless they were just written."""
    done = run(folder, "--precision", "0.05")
    more = re.search(r"^(\d+) more to check (.*)\.$", done.output, re.MULTILINE)
    assert more is not None
    assert more[2] == "(--out FILE.html or FILE.csv shows all)"
    assert re.search(rf"120 rows, {10 + int(more[1])} to check", done.output)
    written = run(folder, "--precision", "0.05", "--out", str(folder / "more.csv")).output
    assert f"{more[1]} more to check.\n" in written


def test_no_file_is_written_over_another(folder: Path) -> None:
    """Neither the labels themselves, nor one report by the other."""
    before = (folder / "labels.csv").read_bytes()
    for args in (
        ("--out", str(folder / "labels.csv")),
        ("--json", str(folder / "x.csv"), "--out", str(folder / "x.csv")),
    ):
        done = run(folder, *args)
        assert done.exit_code == 2
        assert "must be different files" in done.output
    assert (folder / "labels.csv").read_bytes() == before


def test_a_label_with_markup_is_shown_as_it_is(folder: Path) -> None:
    """Brackets and backslashes are no orders to the terminal."""
    with (folder / "marked.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for row, message in enumerate(MESSAGES):
            writer.writerow((message.text, f"\\[/x] {LABELS[0]}" if row in WRONG else message.label))
    given = ("review", "--data", folder / "marked.csv", "--cache", folder / "cache", "--precision", "0.05")
    done = CliRunner().invoke(app, [str(arg) for arg in given])
    assert done.exit_code == 0, done.output
    assert "[/x]" in done.output


def test_a_tuned_encoder_is_one_more_witness(folder: Path) -> None:
    """The scores are others, the planted error leads as before; too few labels are told, and judged without it."""
    plain_texts = messages(36)
    rows = [(one.text, TOPICS[0] if place == 1 else one.label) for place, one in enumerate(plain_texts)]
    assert plain_texts[1].label != TOPICS[0]
    for name, count in (("some", 36), ("few", 20)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows[:count]])

    def scores(name: str, *more: str) -> tuple[list[float], str]:
        out = folder / "scores.json"
        given = [
            "review",
            "--data",
            folder / f"{name}.csv",
            "--cache",
            folder / "cache",
            "--json",
            out,
            *more,
        ]
        done = CliRunner().invoke(app, [str(arg) for arg in given])
        assert done.exit_code == 0, done.output
        return [one["score"] for one in json.loads(out.read_text())], " ".join(done.output.split())

    tuned, said = scores("some", "--tune")
    assert "no encoder was tuned" not in said
    assert tuned != scores("some")[0]
    assert max(range(36), key=tuned.__getitem__) == 1
    few, said = scores("few", "--tune")
    assert "no encoder was tuned: tuning needs 24 labels, there are 20" in said
    assert few == scores("few")[0]
