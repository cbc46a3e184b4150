"""`ale benchmark` from files to a report, with the real encoder and, for a language model, a real HTTP server."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ale.commands.benchmark import data_set
from ml_backend.cli import app
from ml_backend.demo import sample
from ml_backend.standin import SimulatedPolicy, StandIn
from tests.conftest import wait_until

POOL = sample.pool()[:100]
TEST = sample.held_out()[:40]
RECORDED = [
    "" if i % 10 == 0 else "no idea" if i % 10 == 1 else message.label for i, message in enumerate(POOL)
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pool (gzipped, with a recorded column), a test file and a cache."""
    folder = tmp_path_factory.mktemp("support")
    rows = [(m.text, m.label, said) for m, said in zip(POOL, RECORDED, strict=True)]
    (folder / "pool.csv.gz").write_bytes(gzip.compress(table(("text", "label", "gpt"), *rows).encode()))
    (folder / "test.csv").write_text(table(("text", "label"), *((m.text, m.label) for m in TEST)))
    return folder


def table(*rows: tuple[str, ...]) -> str:
    """CSV."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def run(files: Path, *args: str) -> Result:
    """`ale benchmark` with the cache in that folder."""
    pool, test = files / "pool.csv.gz", files / "test.csv"
    given = ["benchmark", "--pool", pool, "--test", test, "--cache", files / "cache", *args]
    return CliRunner().invoke(app, [str(arg) for arg in given])


def report(files: Path, *args: str) -> dict[str, Any]:
    """What it wrote as JSON."""
    out = files / "out.json"
    done = run(files, *args, "--json", str(out))
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_a_recorded_teacher_is_judged_and_drawn(files: Path) -> None:
    """JSON in the published layout, teacher accuracy and abstentions, curves with and without it, a picture."""
    plot, reliability = files / "curves.png", files / "reliability.svg"
    found = report(
        files, "--teacher", "recorded:gpt", "--budgets", "10,40,9999", "--seeds", "1",
        "--plot", str(plot), "--reliability", str(reliability),
    )  # fmt: skip
    assert set(found) >= {"dataset", "full_data_accuracy", "curves", "summary"}
    assert found["dataset"] == files.name
    teacher = found["teacher"]
    assert (teacher["answered"], teacher["abstained"], teacher["accuracy"]) == (80, 20, 1.0)
    assert teacher["abstained_why"] == {"no_answer": 10, "unknown_label": 10}
    assert list(found["summary"]) == ["ale", "ale-without-teacher", "random", "random-without-teacher"]
    assert set(found["summary"]["ale"]) == {
        "n95", "n90", "auc", "accuracy_at",
        "n95_by_seed", "ece_at", "ece_by_luck_at", "fit_seconds", "learn_seconds",
    }  # fmt: skip
    assert list(found["summary"]["ale"]["accuracy_at"]) == ["0", "10", "40", "100"]
    assert list(found["summary"]["random-without-teacher"]["accuracy_at"]) == ["10", "40", "100"]
    assert set(found["curves"][0]) == {
        "method", "seed", "labels", "accuracy", "macro_f1", "ece", "fit_seconds",
        "learn_seconds", "ece_by_luck",
    }  # fmt: skip
    assert found["finished"]
    assert found["yardstick"] == "hybrid"
    settings = found["settings"]
    pool = {"name": "pool.csv.gz", "sha256": hashlib.sha256((files / "pool.csv.gz").read_bytes()).hexdigest()}
    assert settings["files"]["pool"] == pool
    assert set(settings["files"]) == {"pool", "test"}
    assert settings["teacher_option"] == "recorded:gpt"
    assert (settings["text_column"], settings["label_column"]) == ("text", "label")
    assert (settings["batch"], settings["audit"], settings["tune_seconds"]) == (25, 0, 170)
    assert set(settings["descriptions"]) == set(settings["labels"])
    assert settings["ale_version"] == version("ale-label-studio")
    assert settings["encoder"]
    assert "the pool has 100 texts: budgets 9999 are cut to that" in found["notes"]
    # An eighth is the share of each label: the student of the teacher is far above it without human labels.
    assert found["summary"]["ale"]["accuracy_at"]["0"] > 0.5
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "100 labels" in comments(reliability)


def test_label_noise_is_searched_for(files: Path) -> None:
    """A report of its own, with the settings that repeat it; what belongs to curves is refused."""
    found = report(
        files, "--label-noise", "class:0.1,uniform:0", "--noise-rows", "90", "--seeds", "1",
        "--teacher", "recorded:gpt",
    )  # fmt: skip
    assert [(one["noise"], one["errors"]) for one in found["runs"]] == [("class:0.1", 9), ("uniform:0", 0)]
    assert found["settings"]["label_noise"] == ["class:0.1", "uniform:0"]
    assert found["settings"]["teacher_option"] == "recorded:gpt"
    assert set(found["summary"]["class:0.1"]["detectors"]) >= {"ale", "ale-without-teacher", "cleanlab"}
    refused = run(files, "--label-noise", "class:0.1", "--plot", str(files / "noise.png"))
    assert refused.exit_code == 2
    assert "leave out --plot" in refused.output
    unknown = run(files, "--label-noise", "nonsense:0.1")
    assert unknown.exit_code == 2


def comments(svg: Path) -> str:
    """What stands in a picture: matplotlib names each text that it draws."""
    return " ".join(re.findall(r"<!-- (.*?) -->", svg.read_text()))


def test_a_run_can_be_repeated(files: Path) -> None:
    """The same command gives the same curves; zero-shot reads the descriptions."""
    descriptions = files / "labels.yaml"
    descriptions.write_text(f"{POOL[0].label}: [a first description, another]\n")
    args = ["--teacher", "zero-shot", "--descriptions", str(descriptions)]
    args += ["--strategies", "margin,random", "--budgets", "10,20", "--seeds", "2"]
    first, second = report(files, *args), report(files, *args)
    for one in (first, second):
        for place in [*one["curves"], *one["summary"].values()]:
            del place["fit_seconds"], place["learn_seconds"]
    assert first == second
    assert {point["seed"] for point in first["curves"]} == {0, 1}


def test_audit_labels_and_a_peer_on_files(files: Path) -> None:
    """Calibration with and without the audit in tables, JSON and picture; the peer compared in labels."""
    pytest.importorskip("small_text", reason="pip install 'ale-label-studio[bench]'", exc_type=ImportError)
    out, picture = files / "peers.json", files / "both.svg"
    args = ["--peers", "small-text", "--audit", "20", "--budgets", "20,60", "--seeds", "2"]
    done = run(files, *args, "--json", str(out), "--reliability", str(picture))
    assert done.exit_code == 0, done.output
    assert "small-text:BreakingTies needs, times the labels of ale: n95" in done.output
    assert "20 audit labels per run came on top of n; nothing was trained on them." in done.output
    found = json.loads(out.read_text())
    assert list(found["summary"]) == ["ale", "random", "small-text:BreakingTies"]
    assert set(found["labels_compared_with_ale"]) == {"small-text:BreakingTies"}
    assert all(0 <= point["audit"]["ece"] <= 1 for point in found["curves"])
    assert {"no audit", "20 audit labels"} <= set(re.findall("no audit|20 audit labels", comments(picture)))


def test_ctrl_c_leaves_a_report(files: Path, tmp_path: Path) -> None:
    """The file is there after the first curve; Ctrl+C ends a run of thousand seeds with what is finished."""
    out, plot = tmp_path / "out.json", tmp_path / "curves.png"
    # A shell's background job may have been told to ignore Ctrl+C.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from ml_backend.cli import app; app()"
    )
    args = ["--pool", files / "pool.csv.gz", "--test", files / "test.csv", "--cache", files / "cache"]
    args += ["--budgets", "10,20", "--seeds", "1000", "--json", out, "--plot", plot]
    with subprocess.Popen(
        [sys.executable, "-c", code, "benchmark", *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: out.exists() or process.poll() is not None, within_s=120)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    found = json.loads(out.read_text())
    assert process.returncode == 130
    assert not found["finished"]
    assert {point["labels"] for point in found["curves"]} == {10, 20}
    assert len(found["curves"]) % 2 == 0
    assert "Note: the run was cut off: seeds so far: ale " in said
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_language_model_is_paid_once(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is asked once over two runs of the command; the report holds its tokens and its accuracy."""
    gold = {message.text: message.label for message in POOL}
    with StandIn(SimulatedPolicy(gold, error_rate=0.1)) as standin:
        monkeypatch.setenv("OPENAI_BASE_URL", standin.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_MODEL", "gpt-4.1-mini")
        args = ["--teacher", "openai", "--budget-usd", "1", "--budgets", "10", "--seeds", "1"]
        found = report(files, *args)
        asked = len(standin.calls)
        again = report(files, *args)
        assert len(standin.calls) - asked == 0
    assert found["teacher"]["answered"] == 100
    assert 0.75 < found["teacher"]["accuracy"] < 1
    assert found["teacher"]["confidence"] == {"logprobs": 100}
    assert found["teacher"] == again["teacher"]
    assert found["teacher"]["tokens"]["prompt"] > 100


def test_an_endless_bill_is_refused(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language model needs a name, a way to reach it, and a budget; a budget of nothing asks nothing."""
    for name in ("OPENAI_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "needs OPENAI_API_KEY, or OPENAI_BASE_URL" in run(files, "--teacher", "openai").output
    with StandIn(SimulatedPolicy({})) as standin:
        monkeypatch.setenv("OPENAI_BASE_URL", standin.base_url)
        monkeypatch.setenv("OPENAI_MODEL", "gpt-4.1")
        assert "--budget-usd or --budget-tokens" in run(files, "--teacher", "openai").output
        done = run(files, "--teacher", "openai", "--budget-usd", "0")
        assert (done.exit_code, len(standin.calls)) == (1, 0)
        assert "budget" in done.output


def test_a_price_of_ones_own_keeps_the_budget(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By option or ALE_PRICES; the model is that of `openai:MODEL`, else OPENAI_MODEL, else the README's."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"models": {"stand-in": {"input": 1, "output": 1}}}')
    gold = {message.text: message.label for message in POOL}
    with StandIn(SimulatedPolicy(gold, error_rate=0.0)) as standin:
        monkeypatch.setenv("OPENAI_BASE_URL", standin.base_url)
        monkeypatch.delenv("OPENAI_MODEL", raising=False)
        monkeypatch.delenv("ALE_PRICES", raising=False)
        few = ["--budgets", "10", "--seeds", "1", "--budget-usd", "1"]
        named = ["--teacher", "openai:stand-in", *few]
        assert "no price for 'stand-in'" in run(files, *named).output
        assert len(standin.calls) == 0
        assert report(files, *named, "--prices", str(prices))["teacher"]["answered"] == 100
        monkeypatch.setenv("ALE_PRICES", str(tmp_path / "absent.json"))
        assert "absent.json" in run(files, *named).output
        monkeypatch.setenv("ALE_PRICES", str(prices))
        assert report(files, *named)["teacher"]["answered"] == 100
        report(files, "--teacher", "openai", *few, "--cache", str(tmp_path))
        assert {call.model for call in standin.calls.all()} == {"stand-in", "gpt-4.1-mini"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--text-column", "txt"], "pool.csv.gz has no column 'txt'; its columns: 'text', 'label', 'gpt'"),
        (["--teacher", "recorded:gpt4"], "no column 'gpt4'"),
        (["--teacher", "recorded:"], "which column?"),
        (["--teacher", "recorded:text"], "has no answer that is one of the labels"),
        (
            ["--teacher", "gpt"],
            "unknown teacher 'gpt'; known: none, openai, openai:MODEL, recorded:COLUMN, zero-shot",
        ),
        (["--teacher", "azure:gpt"], "Azure is not supported"),
        (["--strategies", "rnd"], "unknown strategy 'rnd'"),
        (["--students", "tree"], "unknown student 'tree'"),
        (["--budgets", "ten"], "whole numbers by comma, not 'ten'"),
        (["--budgets", "0,10"], "budgets must be 1 or more"),
        (["--peers", "modal"], "unknown peer 'modal'; known: small-text, small-text:BreakingTies"),
        (["--audit", "100"], "100 audit labels leave nothing to label: the pool has 100 texts"),
        (["--reliability", "/no/such/folder/r.png"], "there is no folder /no/such/folder"),
        (["--plot", "x.foo"], "cannot draw x.foo: pictures end in one of .avif, .eps"),
        (["--reliability", "curves"], "cannot draw curves: pictures end in one of"),
        (["--json", "/no/such/folder/out.json"], "there is no folder /no/such/folder"),
        (["--descriptions", "/no/such/file.yaml"], "cannot read /no/such/file.yaml"),
    ],
)
def test_a_wrong_option_is_one_line(files: Path, args: list[str], message: str) -> None:
    """Exit code 2, the value at fault and what is valid; no traceback."""
    done = run(files, *args)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"text,label\n", "is empty"),
        (b"text,label\nx\n", "line 2: 1 cells for 2 columns"),
        (b"text,text\nx,y\n", "two columns of one name"),
        (b'text,label\n"x,y\n', "line 2: not CSV"),
        (b"text,label\n\xff,good\n", "is not UTF-8: byte 11"),
        (b"text,label\nx,unheard of\n", "labels that pool.csv.gz does not have: 'unheard of'"),
    ],
)
def test_a_wrong_file_is_one_line(files: Path, tmp_path: Path, content: bytes, message: str) -> None:
    """Named with its line or byte."""
    (tmp_path / "bad.csv").write_bytes(content)
    done = run(files, "--test", str(tmp_path / "bad.csv"))
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}: 3", "the description of {!r} is not a text but 3; if that is meant, write it in quotes"),
        ("{}: [a text, null]", "the description of {!r} is not a text but null;"),
        ("{}:", "the description of {!r} is not a text but nothing;"),
        ("{0}: one\n{0}: two", "describes {!r} twice"),
    ],
)
def test_a_wrong_description_is_named(files: Path, tmp_path: Path, content: str, message: str) -> None:
    """With its label, before a text is encoded; nothing becomes the text "null"."""
    label = POOL[0].label
    (tmp_path / "labels.yaml").write_text(content.format(label))
    done = run(files, "--descriptions", str(tmp_path / "labels.yaml"))
    assert done.exit_code == 2
    assert message.format(label) in done.output


def test_a_fault_in_yaml_is_in_a_file(files: Path, tmp_path: Path) -> None:
    """Not in a string of whatever encoding."""
    (tmp_path / "labels.yaml").write_text("a: [b")
    done = run(files, "--descriptions", str(tmp_path / "labels.yaml"))
    assert f'in "{tmp_path / "labels.yaml"}", line 1' in done.output
    assert "unicode string" not in done.output


def test_pictures_are_checked_before_and_one_that_fails_takes_no_other_along(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without matplotlib nothing is run; a file name that is too long is only found when it is written."""
    few = ["--budgets", "10", "--seeds", "1", "--strategies", ""]
    too_long, other = tmp_path / f"{300 * 'x'}.png", tmp_path / "r.png"
    done = run(files, *few, "--plot", str(too_long), "--reliability", str(other))
    assert done.exit_code == 2
    assert "cannot write the plot" in done.output
    assert "Accuracy on the test split" in done.output
    assert other.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(files, *few, "--plot", str(other))
    assert "a plot needs the extra [bench]" in done.output
    assert "Accuracy on the test split" not in done.output


def test_a_data_set_is_named_after_its_file_or_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the folder only where the file says no more than its part; the path makes no difference."""
    folder = tmp_path / "agnews"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, meant in [
        ("train.csv", "agnews"), ("Test.csv.gz", "agnews"), ("dev", "agnews"), ("p6.csv", "p6"),
        ("p6.csv.gz", "p6"), ("reviews.v2.csv", "reviews.v2"),
    ]:  # fmt: skip
        assert (
            data_set(Path(name)) == data_set(folder / name) == data_set(folder / "../agnews" / name) == meant
        )


@pytest.mark.parametrize("content", ["- a list", "a: [1, [2]]", "{", "just text"])
def test_descriptions_are_a_mapping_of_texts(files: Path, tmp_path: Path, content: str) -> None:
    """Anything else is refused before a text is encoded."""
    (tmp_path / "labels.yaml").write_text(content)
    done = run(files, "--descriptions", str(tmp_path / "labels.yaml"))
    assert done.exit_code == 2
    assert "labels.yaml" in done.output


def test_a_damaged_gzip_is_one_line(files: Path, tmp_path: Path) -> None:
    """Cut off in the middle."""
    (tmp_path / "cut.csv.gz").write_bytes((files / "pool.csv.gz").read_bytes()[:-20])
    done = run(files, "--test", str(tmp_path / "cut.csv.gz"))
    assert done.exit_code == 2
    assert "cannot read" in done.output
