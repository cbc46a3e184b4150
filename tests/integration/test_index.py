"""`ale index` from files to files: every row comes back, whatever it holds and whenever the run is killed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import compute, parquet
from typer.testing import CliRunner, Result

import ale
from ale.cascade import Cascade
from ale.io.index import blocks
from ale.io.index import parquet as parquet_io
from ale.io.runtime import Runtime, quickest
from ale.loading import load
from ale.scanner.texts import Texts
from ml_backend.cli import app
from ml_backend.demo import sample
from tests.conftest import wait_until

TEXTS = [message.text for message in sample.held_out()]
LABELS = {message.label for message in sample.pool()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that `ale fit` made, with the real encoder, of the sample data."""
    folder = tmp_path_factory.mktemp("model")
    pool = [{"message": m.text, "intent": m.label} for m in sample.pool()[:200]]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*pool, {"message": " "}]))
    done = run(
        "fit", folder / "pool.jsonl", "--text-column", "message", "--label-column", "intent",
        "--out", folder / "m", "--cache", folder / "cache", "--json",
    )  # fmt: skip
    told = json.loads(done.output)
    assert done.exit_code == 0
    assert told["left_out"] == 1
    assert told["metrics"]["scanner_accuracy"] > 0.5
    return folder / "m"


def run(*args: object) -> Result:
    """The command line."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def index(model: Path, source: object, output: object, *args: object) -> dict[str, Any]:
    """A run that ends well, and its summary."""
    done = run("index", source, output, "--model", model, "--json", *args)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def write_parquet(path: Path, n: int = 600, group: int = 100, **columns: pa.Array) -> Path:
    """`n` texts, numbered, in row groups of `group`."""
    table = {
        "id": pa.array(range(n)),
        "message": pa.array([TEXTS[i % len(TEXTS)] for i in range(n)]),
        **columns,
    }
    parquet.write_table(pa.table(table), path, row_group_size=group, compression="zstd")
    return path


def test_parquet_keeps_every_row_and_column(model: Path, tmp_path: Path) -> None:
    """Types, order and compression as before; label, confidence, version and reason beside; a taken name stays."""
    stamps = pa.array([None, *range(599)], pa.timestamp("us", "UTC"))
    nested = pa.array([{"a": [i, None]} for i in range(600)])
    mine = pa.array(["mine"] * 600).dictionary_encode()
    source = write_parquet(tmp_path / "in.parquet", when=stamps, nested=nested, label=mine)
    told = index(model, source, tmp_path / "out")
    given, found = parquet.read_table(source), parquet.read_table(tmp_path / "out")
    assert found.select(given.column_names).equals(given)
    assert found.column_names[-4:] == ["label_ale", "confidence", "model_version", "reason"]
    assert set(compute.unique(found["label_ale"]).to_pylist()) <= LABELS
    assert 0 < compute.min(found["confidence"]).as_py() <= compute.max(found["confidence"]).as_py() <= 1
    assert compute.unique(found["model_version"]).to_pylist() == [told["model_version"]]
    assert found["reason"].null_count == told["rows"] == 600
    assert told["columns"]["label"] == "label_ale"
    said = [one.label for one in ale.load(model).predict(TEXTS)]
    assert found["label_ale"].to_pylist()[: len(TEXTS)] == said
    part = next((tmp_path / "out").glob("part-*.parquet"))
    assert parquet.read_metadata(part).row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_bad_rows_are_kept_with_a_reason(model: Path, tmp_path: Path, kind: pa.DataType) -> None:
    """Nulls, white space, broken UTF-8, in every kind of text column that Parquet has."""
    cells = [b"a refund please", None, b"", b" \n ", b"\xff broken", b"ok"]
    if kind != pa.binary():
        cells[4] = b"fine"
    plain = pa.array(cells, pa.binary())
    column = plain if kind == pa.binary() else plain.cast(pa.string()).cast(kind)
    parquet.write_table(pa.table({"message": column}), tmp_path / "in.parquet")
    told = index(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet")
    broken = "broken_utf8" if kind == pa.binary() else None
    assert found["reason"].to_pylist() == [None, "null", "no_text", "no_text", broken, None]
    assert [label is None for label in found["label"].to_pylist()] == [
        False, True, True, True, broken is not None, False,
    ]  # fmt: skip
    assert told["bad_rows"] == 3 + (broken is not None)


def test_a_column_of_numbers_is_refused(model: Path, tmp_path: Path) -> None:
    """Before anything is written; so is a column that is not there."""
    source = write_parquet(tmp_path / "in.parquet")
    done = run("index", source, tmp_path / "out", "--model", model, "--text-column", "id")
    assert (done.exit_code, "holds int64, not text" in done.output) == (2, True)
    done = run("index", source, tmp_path / "out", "--model", model, "--text-column", "nix")
    assert "no column 'nix'; its columns: 'id', 'message'" in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_json_lines_stay_as_they_are(model: Path, tmp_path: Path, suffix: str) -> None:
    """Fields are put behind each line; big numbers, odd spacing and other fields are not touched."""
    lines = [
        f'{{"n": 12345678901234567890.10, "message":{json.dumps(text)} , "x": [1, {{}}]}}' for text in TEXTS
    ]
    source = tmp_path / f"in.jsonl{suffix}"
    write_packed(source, "\n".join(lines).encode())  # without a last line end
    told = index(model, source, tmp_path / f"out.jsonl{suffix}")
    found = read_packed(tmp_path / f"out.jsonl{suffix}").decode().splitlines()
    assert told["rows"] == len(found) == len(lines)
    for before, after in zip(lines, found, strict=True):
        assert after.startswith(before[:-1])
        row = json.loads(after)
        assert row["label"] in LABELS
        assert row["reason"] is None


def test_lines_that_are_no_objects_are_kept(model: Path, tmp_path: Path) -> None:
    """Not JSON, not an object, no text, a number for a text, a taken name further down, an empty object."""
    good = json.dumps({"message": "where is my parcel"})
    lines = [
        good, "{broken", '["a"]', "{}", '{"message": 5}', '{"message": " "}', "", good + "  \r",
        '{"message": "late", "label": "mine"}', '{"message": "\\ud800 late"}',
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode() + b"\n\xff\n")
    told = index(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in found] == [
        None, "not_json", "not_an_object", "null", "not_text", "no_text", None, None, "broken_utf8", "not_json",
    ]  # fmt: skip
    assert [row.get("raw") for row in found][1:3] == ["{broken", '["a"]']
    assert found[-1]["raw"] == "\\xff"
    assert found[7]["label"] == "mine"
    assert found[7]["label_ale"] in LABELS
    assert told["rows"] == 10


def test_each_line_is_read_by_itself(model: Path, tmp_path: Path) -> None:
    """Two objects in a line, one over two lines, brackets without end: no JSON, and nobody else has their label."""
    good = '{"message": "where is my parcel {[\\"", "n": ' + "9" * 5_000 + "}"
    lines = [good, good + good, '{"message": "late", "m": {}', "}", "[" * 5_000, good]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    index(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    found = [json.loads(line, parse_int=float) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in found] == [None, *["not_json"] * 4, None]
    assert [row.get("raw") for row in found] == [None, *lines[1:5], None]
    assert found[0]["label"] == found[5]["label"]


def test_files_that_cannot_be_read_are_refused_at_once(model: Path, tmp_path: Path) -> None:
    """A field that no line has, lines without line feeds, columns of one name, columns that differ, no folder."""
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "old.csv").write_text("id,message\r1,x\r")
    columns = [pa.array(["x"]), pa.array(["y"])]
    parquet.write_table(pa.Table.from_arrays(columns, ["message", "message"]), tmp_path / "twice.parquet")
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        parquet.write_table(pa.table({"message": ["x"], name: [1]}), tmp_path / "two" / f"{name}.parquet")
    (tmp_path / "file").write_text("")
    for source, output, said in (
        ("in.jsonl", "o1", "has a field 'message'; their fields: 'text'"),
        ("old.csv", "o2", "carriage return alone"),
        ("twice.parquet", "o3", "two columns of one name"),
        ("two", "o4.parquet", "different columns"),
        ("two/a.parquet", "file/o5", "cannot write to"),
    ):
        done = run(
            "index", tmp_path / source, tmp_path / output, "--model", model, "--text-column", "message"
        )
        assert done.exit_code == 2
        assert said in " ".join(done.output.split())


def test_csv_records_stay_as_they_are(model: Path, tmp_path: Path) -> None:
    """Quotes, line ends inside of cells, quotes in the middle; broken records are kept as text."""
    records = [
        'id,message,"the ""note"""',
        "1,where is my parcel,x",
        '2,"line one\nline ""two"", refund",y\r',
        "",
        '3,in the "middle" of a "cell,z',
        "4,too few",
        "5,too,many,cells",
        "6,,empty",
        '7,"never closed,z',
    ]
    (tmp_path / "in.csv").write_bytes("\n".join(records).encode() + b"\n")
    told = index(model, tmp_path / "in.csv", tmp_path / "out.csv", "--text-column", "message")
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["id", "message", 'the "note"', "label", "confidence", "model_version", "reason"]
    assert [row["reason"] for row in found] == [
        "", "", "", "wrong_number_of_cells", "wrong_number_of_cells", "no_text", "wrong_number_of_cells",
    ]  # fmt: skip
    assert found[1]["message"] == 'line one\nline "two", refund'
    assert found[2]["message"] == 'in the "middle" of a "cell'
    assert found[3]["message"] == "4,too few"
    assert found[4]["message"] == "5,too,many,cells"
    assert found[6]["message"] == '7,"never closed,z\n'.rstrip("\n")
    assert told["bad_rows"] == 4
    assert [row["label"] in LABELS for row in found] == [True, True, True, False, False, False, False]


def test_small_blocks_make_no_difference(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that straddle blocks, quoted line ends among them: the same rows as in one block."""
    out = io.StringIO()
    csv.writer(out).writerows([("n", "message"), *((n, f"{text}\n{n}") for n, text in enumerate(TEXTS * 3))])
    (tmp_path / "in.csv").write_text(out.getvalue())
    whole = index(model, tmp_path / "in.csv", tmp_path / "whole.csv.gz", "--text-column", "message")
    monkeypatch.setattr(blocks, "BLOCK", 700)
    split = index(model, tmp_path / "in.csv", tmp_path / "split.csv.gz", "--text-column", "message")
    assert (whole["parts"], split["parts"] > 20) == (1, True)
    assert read_packed(tmp_path / "split.csv.gz") == read_packed(tmp_path / "whole.csv.gz")
    monkeypatch.setattr(blocks, "LONGEST", 1_000)
    (tmp_path / "endless.jsonl").write_text("{" * 5_000)
    done = run("index", tmp_path / "endless.jsonl", tmp_path / "x", "--model", model)
    assert "longer than" in done.output


def test_folders_and_globs(model: Path, tmp_path: Path) -> None:
    """All files of one format below a folder, in order; hidden ones are none; mixed formats and none are refused."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_parquet(tmp_path / "in" / "b.parquet", 50)
    write_parquet(tmp_path / "in" / "deep" / "a.parquet", 70)
    write_parquet(tmp_path / "in" / "_hidden.parquet", 90)
    assert index(model, tmp_path / "in", tmp_path / "out")["rows"] == 120
    assert index(model, tmp_path / "in" / "**" / "*.parquet", tmp_path / "one.parquet")["rows"] >= 120
    assert len(parquet.read_table(tmp_path / "out")) == 120
    for _ in range(2):  # beside the input, not over it, and no part of it the next time
        assert index(model, tmp_path / "in", tmp_path / "in" / "out")["rows"] == 120
    book = tmp_path / "in" / "out" / "_ale" / "00000-000000.json"
    book.write_text("")
    assert (
        index(model, tmp_path / "in", tmp_path / "in" / "out")["rows"] == 120
    )  # counts that were lost are made
    assert json.loads(book.read_text())["rows"] == 50
    done = run("index", tmp_path / "in", tmp_path / "in", "--model", model)
    assert "over the input" in done.output
    (tmp_path / "in" / "c.jsonl").write_text('{"message": "x"}\n')
    assert "several formats" in run("index", tmp_path / "in", tmp_path / "o2", "--model", model).output
    assert "there is no" in run("index", tmp_path / "nix", tmp_path / "o2", "--model", model).output
    done = run("index", tmp_path / "in" / "c.jsonl", tmp_path / "o.parquet", "--model", model)
    assert "would be parquet" in done.output


@pytest.mark.parametrize("runtime", Runtime)
def test_deferred_texts_get_the_students_answer(model: Path, tmp_path: Path, runtime: Runtime) -> None:
    """A tenth of every batch goes to the encoder; all of them: the student's labels throughout, in its numbers."""
    source = write_parquet(tmp_path / "in.parquet", 160)
    told = index(model, source, tmp_path / "some", "--defer", "0.1")
    assert (told["deferred"], told["deferred_share"]) == (16, 0.1)
    index(model, source, tmp_path / "all", "--defer", "1", "--encoder-runtime", runtime)
    loaded = load(model, runtime=runtime)
    texts = parquet.read_table(source)["message"].to_pylist()
    best = loaded.student_probs(texts).argmax(axis=1)
    found = parquet.read_table(tmp_path / "all")["label"].to_pylist()
    assert found == [loaded.labels[position] for position in best]
    done = run("index", source, tmp_path / "x", "--model", model, "--min-accuracy", "0.999")
    assert (done.exit_code, "cannot be promised" in done.output) == (2, True)
    assert index(model, source, tmp_path / "y", "--min-accuracy", "0.1")["deferred"] == 0


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_prediction_sets_say_what_else_it_may_be(model: Path, tmp_path: Path, suffix: str) -> None:
    """All labels that may be right, the likeliest among them; a row abstains where they are more than one."""
    texts = [*TEXTS, None]
    source = tmp_path / f"in{suffix}"
    if suffix == ".parquet":
        parquet.write_table(pa.table({"message": pa.array(texts)}), source)
    elif suffix == ".jsonl":
        source.write_text("".join(json.dumps({"message": text}) + "\n" for text in texts))
    else:
        out = io.StringIO()
        csv.writer(out).writerows([("n", "message"), *((n, text) for n, text in enumerate(texts))])
        source.write_text(out.getvalue())
    told = index(model, source, tmp_path / f"out{suffix}", "--coverage", "0.9", "--defer", "0.1")
    rows = read_sets(tmp_path / f"out{suffix}")
    loaded = ale.load(model)
    threshold = loaded.set_threshold(0.9, Cascade(0.1))
    assert told["set_threshold"] == threshold
    found = loaded.classify(Texts.of(texts), Cascade(0.1), threshold=threshold)
    assert found.sets is not None
    wanted = [[loaded.labels[n] for n in np.flatnonzero(row)] or None for row in found.sets]
    assert [members for members, _ in rows] == wanted
    assert [abstain for _, abstain in rows] == [None if m is None else len(m) > 1 for m in wanted]
    assert rows[-1] == (None, None)
    assert told["abstained"] == sum(abstain is True for _, abstain in rows) > 0
    done = run("index", source, tmp_path / f"out{suffix}", "--model", model, "--coverage", "0.9999")
    assert (done.exit_code, "takes at least 9,999 labelled texts" in done.output) == (2, True)


def read_sets(path: Path) -> list[tuple[list[str] | None, bool | None]]:
    """Set and abstention of each row."""
    if path.suffix == ".parquet":
        columns = parquet.read_table(path).select(["prediction_set", "abstain"]).to_pydict()
        return list(zip(columns["prediction_set"], columns["abstain"], strict=True))
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [(row["prediction_set"], row["abstain"]) for row in rows]
    with path.open(newline="") as file:
        cells = [(row["prediction_set"], row["abstain"]) for row in csv.DictReader(file)]
    return [(json.loads(one), json.loads(other)) if one else (None, None) for one, other in cells]


def test_lines_of_odd_form_have_sets_as_well(model: Path, tmp_path: Path) -> None:
    """Where Python reads the lines one by one."""
    (tmp_path / "in.jsonl").write_text('{"message": "refund", "abstain": "mine"}\n{broken\n')
    index(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl", "--coverage", "0.9")
    one, two = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert one["abstain"] == "mine"
    assert one["abstain_ale"] is (len(one["prediction_set"]) > 1)
    assert (two["reason"], two["prediction_set"], two["abstain_ale"]) == ("not_json", None, None)


def test_the_summary_corrects_the_shares(model: Path, tmp_path: Path) -> None:
    """Of every label: as counted, corrected, an interval around it; all of them sum to one."""
    source = write_parquet(tmp_path / "in.parquet", 300)
    shares = index(model, source, tmp_path / "out")["shares"]
    assert shares["held_out"] == 200
    assert shares["labels"].keys() == LABELS
    for share in shares["labels"].values():
        assert 0 <= share["low"] <= share["corrected"] <= share["high"] <= 1
    for kind in ("counted", "corrected"):
        assert sum(share[kind] for share in shares["labels"].values()) == pytest.approx(1, abs=1e-4)
    assert "Corrected: of the labelled documents" in " ".join(
        run("index", source, tmp_path / "again", "--model", model).output.split()
    )


def test_a_folder_of_something_else_is_left_alone(model: Path, tmp_path: Path) -> None:
    """A file that is there, a folder with other files, another run: refused, unless --restart means it."""
    source = write_parquet(tmp_path / "in.parquet", 50)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("x")
    for more in ((), ("--restart",)):
        done = run("index", source, tmp_path / "out", "--model", model, *more)
        assert done.exit_code == 2
        assert "holds no index run" in done.output
    assert (tmp_path / "out" / "precious.txt").exists()
    index(model, source, tmp_path / "one.parquet")
    done = run("index", source, tmp_path / "one.parquet", "--model", model)
    assert "exists" in done.output
    index(model, source, tmp_path / "one.parquet", "--restart")
    index(model, source, tmp_path / "again")
    done = run("index", source, tmp_path / "again", "--model", model, "--defer", "0.5")
    assert "another run: cascade, encoder_runtime differ" in " ".join(done.output.split())
    assert index(model, source, tmp_path / "again", "--defer", "0.5", "--restart")["deferred"] == 25
    assert index(model, source, tmp_path / "again", "--defer", "0.5")["parts_resumed"] == 1
    other = next(runtime for runtime in Runtime if runtime is not quickest())
    done = run(
        "index", source, tmp_path / "again", "--model", model, "--defer", "0.5", "--encoder-runtime", other
    )
    assert f"encoder_runtime differ (encoder_runtime was {quickest()})" in " ".join(done.output.split())


def test_a_damaged_input_is_named(model: Path, tmp_path: Path) -> None:
    """Cut off, or no Parquet at all; what was finished before stays and counts."""
    write_packed(tmp_path / "in.jsonl.gz", b'{"message": "x"}\n' * 20_000)
    whole = (tmp_path / "in.jsonl.gz").read_bytes()
    (tmp_path / "in.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = run("index", tmp_path / "in.jsonl.gz", tmp_path / "out", "--model", model)
    assert (done.exit_code, "cannot read" in done.output) == (2, True)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing PAR1")
    done = run("index", tmp_path / "bad.parquet", tmp_path / "out2", "--model", model)
    assert (done.exit_code, "as Parquet" in done.output) == (2, True)


def test_a_store_that_is_no_disk(model: Path, tmp_path: Path) -> None:
    """Whatever fsspec reaches is read and written; here its memory."""
    fs = fsspec.filesystem("memory")
    source = write_parquet(tmp_path / "in.parquet", 80)
    fs.pipe_file("/bucket/in.parquet", source.read_bytes())
    told = index(model, "memory://bucket/in.parquet", "memory://bucket/out")
    assert told["rows"] == 80
    assert index(model, "memory://bucket/in.parquet", "memory://bucket/out")["parts_resumed"] == 1
    with fs.open(next(iter(fs.glob("/bucket/out/part-*.parquet"))), "rb") as file:
        assert len(parquet.read_table(file)) == 80
    fs.rm("/bucket", recursive=True)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl.zst"])
def test_killed_again_and_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """SIGKILL in the middle, three times: byte for byte what an undisturbed run writes, and nothing else."""
    monkeypatch.setattr(parquet_io, "ROWS_PER_PART", 100)
    monkeypatch.setattr(blocks, "BLOCK", 20_000)
    source = tmp_path / f"in{suffix}"
    if suffix == ".parquet":
        write_parquet(source, 4_000)
    else:
        rows = (json.dumps({"id": i, "message": TEXTS[i % len(TEXTS)]}) for i in range(4_000))
        write_packed(source, "\n".join(rows).encode())
    index(model, source, tmp_path / "whole", "--defer", "0.02")
    code = (
        "import sys\nfrom ale.io.index import blocks, parquet\n"
        "parquet.ROWS_PER_PART, blocks.BLOCK = 100, 20_000\n"
        "from ml_backend.cli import app\napp()"
    )
    command = [sys.executable, "-c", code, "index", str(source), str(tmp_path / "out"), "--model", str(model)]
    for parts in (1, 4, 9):
        process = subprocess.Popen([*command, "--defer", "0.02", "--json"], stdout=subprocess.DEVNULL)
        wait_until(lambda n=parts: len(list((tmp_path / "out").glob("part-*"))) >= n, 120)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    told = index(model, source, tmp_path / "out", "--defer", "0.02")
    assert told["rows"] == 4_000
    assert told["parts_resumed"] >= 9
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list((tmp_path / "out").rglob(".*"))


def contents(folder: Path) -> dict[str, bytes]:
    """The parts."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def write_packed(path: Path, data: bytes) -> None:
    """By suffix."""
    if path.suffix in {".gz", ".zst"}:
        data = blocks.pack(data, {".gz": "gzip", ".zst": "zstd"}[path.suffix])
    path.write_bytes(data)


def read_packed(path: Path) -> bytes:
    """By suffix, members one behind the other."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    with pa.input_stream(str(path), compression="zstd" if path.suffix == ".zst" else None) as stream:
        return bytes(stream.read())
