"""The review project's page and questions: labels as they are, a question once, and what a correction means."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.controls import find_control
from ml_backend.dataset import settle
from ml_backend.review_flags import told
from ml_backend.review_project.evidence import reason_of
from ml_backend.review_project.layout import TITLE_CHARS, project_values, review_config, shown
from ml_backend.review_project.tasks import question_of, suggestion, task_data, told_by
from ml_backend.store.schema import ReviewFlag
from tests.unit.ml_backend.test_dataset import says

NASTY = ('"Refund" & exchange', "<b>bold</b>", "it's $text", "Versand — Zoll")


def config(labels: tuple[str, ...], more: str = "") -> str:
    """A labelling config with these labels."""
    choices = "".join(f"<Choice value={quoteattr(label)} {more}/>" for label in labels)
    return (
        '<View><Text name="t" value="$body"/><TextArea name="note" toName="t"/>'
        f'<Choices name="c" toName="t" required="true">{choices}</Choices></View>'
    )


def flag(**values: Any) -> ReviewFlag:
    """A flag of the task 7 whose annotation 70 says A and should say B."""
    plain = {
        "task_id": 7,
        "annotation_id": 70,
        "annotation_updated_at": "2026-01-01T00:00:01Z",
        "text_hash": "h",
        "given": "A",
        "suggested": "B",
        "score": 0.9,
        "reason": told("Model says B (0.95)"),
    }
    return ReviewFlag(**{**plain, **values})


def test_labels_need_no_quoting() -> None:
    """Whatever stands in them, the page asks for exactly the labels of the project, about its own text."""
    theirs = config(NASTY)
    asks = find_control(review_config(theirs, find_control(theirs)))
    assert asks.label_space.labels == NASTY
    assert (asks.from_name, asks.field) == ("label", "text")


def test_hints_keys_and_aliases_come_along_and_a_selected_choice_does_not() -> None:
    """The reviewer presses the keys that annotators know; nothing competes with the suggestion."""
    theirs = config(("A", "B"), more='hint="of &lt;A&gt;" hotkey="q" selected="true"')
    made = review_config(theirs, find_control(theirs))
    assert made.count('hotkey="q"') == 2
    assert made.count("of &lt;A&gt;") == 2
    assert "selected=" not in made

    theirs = config(("Positive",), more='alias="pos"')
    control = find_control(theirs)
    asks = find_control(review_config(theirs, control))
    assert asks.label_space.labels == ("pos",)
    assert shown("pos", control.label_space) == "Positive"
    data = task_data(flag(given="pos", suggested="pos"), "a text", "why", "where", control.label_space)
    assert data["current_label"] == "Positive"


def test_a_title_fits_and_the_mark_tells_projects_apart() -> None:
    """Label Studio takes 50 characters; two projects of one title are not mixed up."""
    one, other = (project_values(key, {"title": "x" * 60}, "<View/>") for key in ("k1", "k2"))
    assert len(one["title"]) == TITLE_CHARS
    assert one["description"] != other["description"]


def test_a_question_is_new_when_label_or_text_are() -> None:
    """And the same while only the doubt moves."""
    question = question_of(flag())
    assert question_of(flag(score=0.6, suggested="C", reason="other")) == question
    assert question_of(flag(text_hash="other")) != question
    assert question_of(flag(annotation_updated_at="2026-01-01T00:00:02Z")) != question
    assert question_of(flag(annotation_id=71)) != question
    assert len(question_of(flag(task_id=2**31, annotation_id=2**31))) <= 64


def test_a_page_is_out_of_date_when_what_it_tells_has_changed() -> None:
    """Suggestion, reason, or a score that moved."""
    assert told_by(flag()) == told_by(flag(score=0.9001))
    assert told_by(flag()) != told_by(flag(score=0.7))
    assert told_by(flag()) != told_by(flag(suggested="C"))


def test_the_surest_error_is_served_first() -> None:
    """Label Studio serves the lowest score first."""
    asks = find_control(config(("A", "B")))
    sure, unsure = (suggestion(flag(score=score), asks)["score"] for score in (0.97, 0.6))
    assert 0 <= sure < unsure <= 1


def test_the_reason_comes_without_the_gestures_of_the_tab() -> None:
    """There the right label is a key away; here it is a question."""
    doubted = flag(reason=told("Model says B (0.95); teacher agrees; 3 of 4 similar too"))
    assert reason_of(doubted, teachers=True) == "Model says B (0.95); teacher agrees; 3 of 4 similar too."
    assert reason_of(doubted, teachers=False) == "Model says B (0.95); 3 of 4 similar too."


# -- a correction counts, not the answer that it corrects ---------------------------------------------------


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    """Two answers that contradict each other were a tie, and nothing would be learnt from the reviewer's."""
    human = settle([says(1, 7, "A"), says(2, 7, "B", parent_annotation=1)])
    assert human is not None
    assert (human.label, human.annotation_id) == ("B", 2)
    others = [says(3, 7, "A"), says(4, 7, "C")]
    assert settle([says(1, 7, "A"), says(2, 7, "B", parent_annotation=1), *others]) is None


def test_a_correction_of_a_correction_counts() -> None:
    """The last of a chain."""
    chain = [says(1, 7, "A"), says(2, 7, "B", parent_annotation=1), says(3, 7, "A", parent_annotation=2)]
    human = settle(chain)
    assert human is not None
    assert (human.label, human.annotation_id) == ("A", 3)


@pytest.mark.parametrize("values", [{"was_cancelled": True, "label": None}, {"updated_at": "2025"}])
def test_a_skip_corrects_nothing_and_neither_does_what_came_before(values: dict[str, Any]) -> None:
    """Whoever saved the first answer once more afterwards has spoken too."""
    late = says(2, 7, values.pop("label", "B"), parent_annotation=1, **values)
    answers = [a for a in (says(1, 7, "A"), late) if not a.was_cancelled]
    human = settle(answers)
    assert (human.label if human else None) == ("A" if late.was_cancelled else None)


# -- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says_so"),
    [
        (["review"], "name a project"),
        (["review", "7"], "--as-project"),
        (["review", "--write-back"], "need the project's number"),
        (["review", "7", "--data", "x.csv"], "not both"),
        (["review", "7", "--as-project", "--out", "x.html"], ".csv"),
    ],
)
def test_a_command_that_means_nothing_says_what_would(arguments: list[str], says_so: str) -> None:
    """Exit code 2, as for every wrong setting."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert says_so in done.stderr


def test_a_file_is_reviewed_as_before(tmp_path: Any) -> None:
    """The engine's options are all there: the error comes from it."""
    done = CliRunner().invoke(app, ["review", "--data", str(tmp_path / "none.csv"), "--label-column", "y"])
    assert done.exit_code == 2
    assert "none.csv" in done.stderr


def test_what_a_file_has_a_project_does_not() -> None:
    """An option that would be passed over is refused by name."""
    done = CliRunner().invoke(app, ["review", "7", "--as-project", "--precision", "0.9"])
    assert done.exit_code == 2
    assert "--precision: only for a file" in done.output
