"""`ale review PROJECT --labels-of TEACHER`: a teacher's answers, checked before anybody has looked at them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from ale.errors import ConfigurationError
from ale.text import text_hash
from ale.types import LabelSpace
from ml_backend.cli import app
from ml_backend.settings import Settings
from ml_backend.store import mirror, replies
from ml_backend.store.database import Database
from ml_backend.teacher_labels import teacher_labels
from ml_backend.wiring import Services
from tests.e2e.messages import LABELS, messages
from tests.integration.teaching import KEY, add_project, environment

GPT, OTHER = "openai:gpt-4.1-mini@v1", "zero-shot-minilm-l6-6+3-v2"
MESSAGES = messages(60)
SPACE = LabelSpace(LABELS)
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    + "".join(f'<Choice value="{label}"/>' for label in LABELS)
    + "</Choices></View>"
)
WRONG, SILENT, FIRST_ID = {3, 20, 41}, 7, 0


@pytest.fixture
def paying(settings: Settings) -> Settings:
    """Two teachers, of which one costs money."""
    key = type(settings.openai_api_key)("a-key-for-tests")
    return settings.model_copy(update={"teacher": "zero-shot,openai:gpt-4.1-mini", "openai_api_key": key})


@pytest.fixture
def db(services: Services) -> Database:
    """GPT has answered all but one text, three of them wrongly; the other teacher the first thirty, rightly."""
    add_project(services.db, [one.text for one in MESSAGES], label_config=CONFIG, instructions="")
    said: dict[str, dict[str, NDArray[np.float32] | None]] = {GPT: {}, OTHER: {}}
    for place, message in enumerate(MESSAGES):
        right = LABELS.index(message.label)
        name = text_hash(message.text)
        answer = (right + 1) % len(LABELS) if place in WRONG else right
        said[GPT][name] = None if place == SILENT else np.eye(len(LABELS), dtype=np.float32)[answer]
        if place < 30:
            said[OTHER][name] = np.eye(len(LABELS), dtype=np.float32)[right]
    for teacher, answers in said.items():
        question = replies.question_of(SPACE)
        replies.save(services.db, teacher, question, {k: v for k, v in answers.items() if v is not None})
    return services.db


def annotate(db: Database, place: int, label: str) -> None:
    """A person labels that task."""
    row = {
        "annotation_id": place + 1,
        "task_id": place,
        "label": label,
        "values": {},
        "updated_at": "",
        "annotator": 7,
    }
    mirror.save_annotations(db, KEY, [place], [row])


def run(settings: Settings, *args: object) -> Result:
    """The command, as typed."""
    env = {**environment(settings), "LABEL_STUDIO_API_KEY": "a-token"}
    return CliRunner().invoke(app, ["review", "1", *map(str, args)], env=env)


def test_texts_answers_witnesses_and_what_people_said(
    services: Services, paying: Settings, db: Database
) -> None:
    """Where the teacher was silent there is nothing to check; another teacher's silence is an empty cell."""
    annotate(db, 3, MESSAGES[3].label)
    found = teacher_labels(replace(services, settings=paying), 1, "gpt")
    assert found.tasks == [place for place in range(60) if place != SILENT]
    columns = found.columns
    assert columns.texts[0] == MESSAGES[0].text
    assert [
        place for place in found.tasks if columns.labels[found.tasks.index(place)] != MESSAGES[place].label
    ] == (sorted(WRONG))
    assert columns.teachers[OTHER][:2] == [MESSAGES[0].label, MESSAGES[1].label]
    assert set(columns.teachers[OTHER][29:]) == {""}
    assert columns.verdicts is not None
    assert {place: v for place, v in zip(found.tasks, columns.verdicts, strict=True) if v} == {
        3: MESSAGES[3].label
    }


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        ("nobody", f"no teacher is named 'nobody'; there are: {re.escape(OTHER)}, {GPT}"),
        ("-", "several teachers are named '-'"),
    ],
)
def test_who_is_no_teacher_is_told_who_is(
    services: Services, paying: Settings, db: Database, teacher: str, says: str
) -> None:
    """By name."""
    with pytest.raises(ConfigurationError, match=says):
        teacher_labels(replace(services, settings=paying), 1, teacher)


def test_without_an_answer_it_says_what_to_run(services: Services, paying: Settings) -> None:
    """The labels may have changed since the teacher was asked."""
    add_project(services.db, ["a text"], label_config=CONFIG)
    with pytest.raises(ConfigurationError, match="`ale teach 1` asks it"):
        teacher_labels(replace(services, settings=paying), 1, "gpt")


def test_the_wrong_answers_come_first_by_their_tasks(paying: Settings, db: Database, tmp_path: Path) -> None:
    """In the table, the page and the JSON; a task that a person has labelled is not flagged again."""
    annotate(db, 20, MESSAGES[20].label)
    files = tmp_path / "doubtful.csv", tmp_path / "doubtful.html"
    done = run(
        paying,
        *("--labels-of", "gpt", "--out", ",".join(map(str, files))),
        *("--json", tmp_path / "all.json", "--cache", tmp_path / "cache"),
    )
    assert done.exit_code == 0, done.output
    with files[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["task"]) for row in rows[:2]} == {3, 20}, "where another teacher or a person says so"
    flagged = {int(row["task"]) for row in rows if row["flagged"] == "True"}
    assert flagged
    assert flagged <= WRONG - {20}
    assert rows[0]["suggested_label"] == MESSAGES[int(rows[0]["task"])].label
    assert "task 3<" in files[1].read_text()
    told = json.loads((tmp_path / "all.json").read_text())
    assert [one["task"] for one in told] == [place for place in range(60) if place != SILENT]
    assert "reviewed: was wrong" in next(one["reason"] for one in told if one["task"] == 20)
    assert f"labels by {GPT}" in done.output


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--labels-of", GPT, "--as-project"), "One of the two at a time"),
        (("--labels-of", GPT, "--write-back"), "only reported"),
        (("--labels-of", GPT, "--label-column", "x"), "--label-column: only for a file"),
        (("--labels-of", GPT, "--out", "x.pdf"), "must end in .csv, .parquet, .html"),
        (("--precision", "0.7", "--as-project"), "--precision: only for a file"),
    ],
)
def test_options_that_do_not_go_together(
    paying: Settings, db: Database, args: tuple[str, ...], says: str
) -> None:
    """Said at once."""
    done = run(paying, *args)
    assert done.exit_code == 2
    assert says in done.output
