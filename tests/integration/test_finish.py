"""`ale finish`, as a person meets it: files with a certificate, or a refusal that says what it takes."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ale.audit.front import needed
from ale.text import text_hash
from ml_backend.cli import app
from ml_backend.reach import move
from ml_backend.reserve import reserve_of
from ml_backend.settings import Settings
from ml_backend.store import looks, mirror, projects, replies
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import Project
from tests.integration.finishing import (
    FREE,
    LEARNT,
    NAMES,
    RESERVED,
    SIZE,
    TRUTH,
    add_audited_project,
    annotated,
    believed,
    put_in_force,
)
from tests.integration.teaching import KEY, SPACE, encoded, environment

FEW = np.arange(157, SIZE, 300)
"""Of every 300 tasks one is wrong."""
MANY = np.arange(3, SIZE, 8)


def finish(settings: Settings, out: Path, *more: str) -> tuple[int, str]:
    """The exit code, and what the command says in one line."""
    found = CliRunner().invoke(
        app,
        ["finish", "1", "--out", str(out), *more],
        env={**environment(settings), "LABEL_STUDIO_API_KEY": "a-token"},
    )
    return found.exit_code, " ".join(found.output.split())


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_rest_is_labelled_and_certified(settings: Settings, db: Database, tmp_path: Path) -> None:
    """People's labels stay theirs; of the automatic ones fewer are wrong than was promised; nobody else reads them."""
    add_audited_project(settings, db, 450, FEW)
    code, said = finish(settings, tmp_path / "out", "--max-error", "0.05")
    assert (code, "at most 5%" in said) == (0, True), said
    rows = rows_of(tmp_path / "out" / "finished.jsonl")
    assert [row["task"] for row in rows] == list(range(SIZE))
    assert [row["text"] for row in rows] == NAMES
    counts = Counter(row["provenance"] for row in rows)
    assert (counts["human"], counts["audit"]) == (len(LEARNT), 450)
    assert counts["auto"] > SIZE / 2
    auto = [row for row in rows if row["provenance"] == "auto"]
    errors = sum(row["label"] != TRUTH[row["task"]] for row in auto)
    assert 0 < errors <= 0.05 * len(auto)
    assert {row["version"] for row in auto} == {"ale-1"}
    assert {row["annotator"] for row in rows if row["provenance"] in {"human", "audit"}} == {"7"}
    assert {(row["label"], row["confidence"]) for row in rows if row["provenance"] == "none"} <= {
        (None, None)
    }

    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["tasks"] == {name: counts[name] for name in ("human", "audit", "auto", "none")}
    for name, digest in manifest["sha256"].items():
        file = tmp_path / "out" / name
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
        assert file.stat().st_mode & 0o77 == 0
    assert min(row["confidence"] for row in auto) >= manifest["threshold"] - 1e-6
    page = (tmp_path / "out" / "certificate.md").read_text()
    for fact in (
        manifest["promise"],
        manifest["snapshot"],
        "ale-1",
        "at 450 audit labels",
        "praise",
        "0 of them skipped",
    ):
        assert fact in page


def test_what_is_not_proved_is_refused(settings: Settings, db: Database, tmp_path: Path) -> None:
    """Exit code 1, one line with how many labels it takes, no file; and the look counts, but once."""
    add_audited_project(settings, db, 120, FEW)
    code, said = finish(settings, tmp_path / "out")
    assert code == 1
    assert said.startswith("Refused: 120 audit labels")
    assert "more are needed" in said
    assert "at best" in said
    assert said.endswith("the next look is at 150.")
    assert not (tmp_path / "out").exists()
    assert [look.audited for look in looks.made(db, KEY, 0.02, 0.95)] == [100]
    code, again = finish(settings, tmp_path / "out")
    assert (code, again.endswith(said)) == (1, True)
    assert again.startswith("Looks at this promise so far: 1 (at 100 audit labels).")
    assert "makes the later ones harder" in again
    assert len(looks.made(db, KEY, 0.02, 0.95)) == 1
    assert looks.made(db, KEY, 0.05, 0.95) == []


def test_another_model_is_no_second_try(settings: Settings, db: Database, tmp_path: Path) -> None:
    """After a refusal a better version has to wait for the next declared number of labels."""
    add_audited_project(settings, db, 300, MANY)
    assert finish(settings, tmp_path / "out", "--max-error", "0.05")[0] == 1
    put_in_force(settings, db, "ale-2", believed(FEW))
    code, said = finish(settings, tmp_path / "out", "--max-error", "0.05", "--json")
    told = json.loads(said)
    assert (code, told["refused"], told["next_look"]) == (1, True, 450)
    assert "looked at already" in told["said"]
    assert len(looks.made(db, KEY, 0.05, 0.95)) == 1
    annotated(db, RESERVED[300:450])
    assert finish(settings, tmp_path / "out", "--max-error", "0.05")[0] == 0
    assert "| 2, at 300, 450 audit labels |" in (tmp_path / "out" / "certificate.md").read_text()


def test_the_same_model_in_a_new_version_is_the_same_look(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    """What audit labels alone have changed is no other model."""
    add_audited_project(settings, db, 450, FEW)
    assert finish(settings, tmp_path / "out", "--max-error", "0.05")[0] == 0
    put_in_force(settings, db, "ale-2", believed(FEW))
    assert finish(settings, tmp_path / "again", "--max-error", "0.05")[0] == 0
    assert len(looks.made(db, KEY, 0.05, 0.95)) == 1


def test_skipped_audits_count_as_wrong(settings: Settings, db: Database, tmp_path: Path) -> None:
    """With a tenth of them skipped nothing is proved, however good the model is."""
    add_audited_project(settings, db, 300, np.zeros(0, np.int64))
    annotated(db, RESERVED[:300:10], was_cancelled=True, label=None)
    code, said = finish(settings, tmp_path / "out", "--max-error", "0.05", "--json")
    told = json.loads(said)
    assert (code, told["audited"], told["skipped"]) == (1, 300, 30)
    assert told["accepted"]["wrong"] > 0


def test_only_audits_in_their_order_prove_anything(settings: Settings, db: Database, tmp_path: Path) -> None:
    """Labels past the order are kept as people's labels, but are not counted; skipped tasks stay without one."""
    add_audited_project(settings, db, 450, FEW)
    annotated(db, RESERVED[460:500])
    annotated(db, FREE[50:60], was_cancelled=True, label=None)
    code, said = finish(settings, tmp_path / "out", "--max-error", "0.05", "--json")
    told = json.loads(said)
    assert (code, told["audited"]) == (0, 450)
    by_task = {row["task"]: row["provenance"] for row in rows_of(tmp_path / "out" / "finished.jsonl")}
    assert {by_task[task] for task in RESERVED[460:500]} == {"audit"}
    assert {by_task[task] for task in FREE[50:60]} == {"none"}


@pytest.mark.usefixtures("db")
def test_an_import_in_the_middle_takes_no_promise_away(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    """The same look gives the same tasks, and none of the new ones has a label that a machine gave."""
    add_audited_project(settings, db, 450, FEW)
    catch_up(db)
    first = finish(settings, tmp_path / "first", "--max-error", "0.05", "--json")
    new = [
        TaskSeen(SIZE + i, f"new {i}", text_hash(f"new {i}"), is_labeled=False, updated_at="")
        for i in range(200)
    ]
    mirror.save_tasks(db, KEY, new)
    catch_up(db)
    again = finish(settings, tmp_path / "again", "--max-error", "0.05", "--json")
    told, before = json.loads(again[1]), json.loads(first[1])
    assert (again[0], told["audited"], told["newer"]) == (0, 450, 200)
    assert {name: told[name] for name in ("accepted", "threshold", "looks_before")} == {
        name: before[name] for name in ("accepted", "threshold")
    } | {"looks_before": [450]}
    assert "200 newer tasks were left out" in told["said"]
    kept = {row["task"]: row["provenance"] for row in rows_of(tmp_path / "again" / "finished.jsonl")}
    assert {kept.pop(SIZE + i) for i in range(200)} == {"none"}
    assert kept == {row["task"]: row["provenance"] for row in rows_of(tmp_path / "first" / "finished.jsonl")}
    assert "200 came after the audit" in (tmp_path / "again" / "certificate.md").read_text()
    project = projects.get(db, KEY)
    assert (project.audit_upto, project.audit_later, project.audit_due) == (
        SIZE - 1,
        SIZE + 199,
        450 + needed(450, 200, SIZE + 200),
    )


def catch_up(db: Database) -> None:
    """What a learn run does for the audit."""
    project = projects.get(db, KEY)
    move(db, project, reserve_of(project), mirror.all_tasks(db, KEY), mirror.all_annotations(db, KEY))


def test_what_can_not_be_judged_is_said(settings: Settings, db: Database, tmp_path: Path) -> None:
    """No project, no version, no audit, other labels, a version of an earlier ALE: one line each, no look."""
    assert finish(settings, tmp_path / "out")[1].endswith("run `ale connect 1`")
    add_audited_project(settings, db, 120, FEW)
    project: dict[str, Any]
    for project, named in (
        ({"audit_since": None}, "ALE_AUDIT_SHARE"),
        ({"version": None}, "no version in force"),
        ({"version": "ale-9"}, "ale-9"),
        ({"label_config": CHANGED}, "labels of project 1 have changed"),
    ):
        with db.session() as session:
            row = session.get_one(Project, KEY)
            before = {name: getattr(row, name) for name in project}
            for name, value in project.items():
                setattr(row, name, value)
        code, said = finish(settings, tmp_path / "out")
        assert code > 0
        assert named in said
        with db.session() as session:
            row = session.get_one(Project, KEY)
            for name, value in before.items():
                setattr(row, name, value)
    assert looks.promises(db, KEY) == []


CHANGED = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="good"/><Choice value="awful"/></Choices></View>'
)


def test_formats(settings: Settings, db: Database, tmp_path: Path) -> None:
    """CSV has the same rows."""
    add_audited_project(settings, db, 450, FEW)
    mirror.save_tasks(db, KEY, [mirror.TaskSeen(SIZE, None, None, is_labeled=False, updated_at="")])
    for kind in ("csv", "jsonl"):
        assert finish(settings, tmp_path / kind, "--max-error", "0.05", "--format", kind)[0] == 0
    with (tmp_path / "csv" / "finished.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = rows_of(tmp_path / "jsonl" / "finished.jsonl")
    assert [{name: "" if v is None else str(v) for name, v in line.items()} for line in lines] == rows
    assert (rows[-1]["task"], rows[-1]["text"], rows[-1]["provenance"]) == (str(SIZE), "", "none")


def test_parquet(settings: Settings, db: Database, tmp_path: Path) -> None:
    """The same rows, with types."""
    from pyarrow import parquet

    add_audited_project(settings, db, 450, FEW)
    for kind in ("parquet", "jsonl"):
        assert finish(settings, tmp_path / kind, "--max-error", "0.05", "--format", kind)[0] == 0
    table = parquet.read_table(tmp_path / "parquet" / "finished.parquet")
    assert table.to_pylist() == rows_of(tmp_path / "jsonl" / "finished.jsonl")
    assert str(table.schema.field("confidence").type) == "double"


def test_parquet_names_its_extra(
    settings: Settings, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pyarrow is missing; and that costs no look."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    add_audited_project(settings, db, 450, FEW)
    code, said = finish(settings, tmp_path / "out", "--format", "parquet")
    assert (code, "ale-label-studio[parquet]" in said) == (2, True)
    assert looks.promises(db, KEY) == []


def test_a_paid_teacher_is_doubted_where_its_readers_expect_another_answer(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    """One answer in nine is wrong, and the version repeats it: only the words of the text tell. Asked again, the
    same; without answers of a paid teacher, refused.
    """
    wrong = np.random.default_rng(5).permutation(SIZE)[: SIZE // 9]
    add_audited_project(settings, db, 450, wrong)
    key = type(settings.openai_api_key)("a-key-for-tests")
    paid = settings.model_copy(update={"teacher": "openai:gpt-4.1-mini", "openai_api_key": key})
    (teacher,) = encoded(paid, NAMES).teachers
    said = [SPACE.labels.index(label) for label in TRUTH]
    for place in wrong:
        said[place] = 1 - said[place]
    answers = {
        text_hash(name): np.eye(2, dtype=np.float32)[one] for name, one in zip(NAMES, said, strict=True)
    }
    assert finish(settings, tmp_path / "none", "--max-error", "0.06")[0] == 1, "another promise"
    replies.save(db, teacher.name, replies.question_of(SPACE), answers)
    first, second = (finish(paid, tmp_path / name, "--max-error", "0.05") for name in ("one", "two"))
    assert first[0] == second[0] == 0, first
    assert "has a confidence of 90% (union bound)" in first[1]
    assert json.loads((tmp_path / "one" / "manifest.json").read_text())["joint_confidence"] == 0.9
    one, two = (rows_of(tmp_path / name / "finished.jsonl") for name in ("one", "two"))
    assert one == two
    auto = [row for row in one if row["provenance"] == "auto"]
    assert len(auto) > SIZE / 3
    assert sum(row["label"] != TRUTH[row["task"]] for row in auto) <= 0.02 * len(auto)
    assert "the first 150 only taught" in (tmp_path / "one" / "certificate.md").read_text()


def test_labels_that_only_teach_the_selector_spend_nothing(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    """With a paid teacher's answers, 150 audits test nothing: no look is kept."""
    add_audited_project(settings, db, 150, FEW)
    key = type(settings.openai_api_key)("a-key-for-tests")
    paid = settings.model_copy(update={"teacher": "openai:gpt-4.1-mini", "openai_api_key": key})
    (teacher,) = encoded(paid, NAMES).teachers
    answers = {
        text_hash(name): np.eye(2, dtype=np.float32)[SPACE.labels.index(label)]
        for name, label in zip(NAMES, TRUTH, strict=True)
    }
    replies.save(db, teacher.name, replies.question_of(SPACE), answers)
    code, said = finish(paid, tmp_path / "out")
    assert (code, "the first 150 only teach" in said) == (1, True), said
    assert said.endswith("the next look is at 200.")
    assert looks.promises(db, KEY) == []


def test_a_folder_that_can_not_be_written_names_the_option(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    """As in a container whose files are read-only; the same look may be had again elsewhere."""
    add_audited_project(settings, db, 450, FEW)
    (tmp_path / "file").write_text("no folder")
    code, said = finish(settings, tmp_path / "file", "--max-error", "0.05")
    assert (code, "name another folder with --out" in said) == (2, True), said
    assert finish(settings, tmp_path / "out", "--max-error", "0.05")[0] == 0
