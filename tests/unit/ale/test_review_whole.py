"""The review of a finished data set: every row answered, odd columns survived, verdicts heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ale.errors import ConfigurationError
from ale.review.labelled import Columns, read_columns
from ale.review.page import page_of
from ale.review.reasons import reasons_for
from ale.review.steering import Verdicts, cut_for, steer
from ale.review.whole import WholeReview, review_whole
from ale.types import Embeddings

TOPICS = {
    "money": "bank rate loan card account",
    "sport": "goal match team league coach",
    "food": "soup bread cook oven salt",
}
WRONG = (3, 40, 77)


def encode(texts: Sequence[str]) -> Embeddings:
    """Counts of the topics' words, and a little of each text's own."""
    rows = np.zeros((len(texts), 16), np.float32)
    for i, text in enumerate(texts):
        for j, words in enumerate(TOPICS.values()):
            rows[i, j] = rows[i, 8 + j] = sum(word in words.split() for word in text.split())
        rows[i, 3 + hash_of(text) % 5] += 0.3
        rows[i, 11 + hash_of(text) % 5] += 0.3
    return rows


def hash_of(text: str) -> int:
    """The same in every process."""
    return sum(map(ord, text))


def columns(**changes: Any) -> Columns:
    """90 texts of three topics; the labels of three rows are wrong."""
    rng = np.random.default_rng(0)
    names = list(TOPICS)
    gold = [names[i % 3] for i in range(90)]
    texts = [" ".join(rng.choice(TOPICS[label].split(), 3)) + f" number {i}" for i, label in enumerate(gold)]
    labels = [names[(i + 1) % 3] if i in WRONG else label for i, label in enumerate(gold)]
    return Columns(**({"texts": texts, "labels": labels} | changes))


def review(given: Columns, **options: Any) -> WholeReview:
    """Read and reviewed."""
    return review_whole(read_columns(given, encode), list(given.labels), **options)


def test_wrong_labels_are_flagged_with_the_right_suggestion() -> None:
    """They stand at the top, worst first, each with a reason that fits a cell."""
    found = review(columns())
    assert {one.row for one in found.flagged} == set(WRONG)
    assert all(one.suggested_label == list(TOPICS)[one.row % 3] for one in found.flagged)
    assert [one.score for one in found.flagged] == sorted((one.score for one in found.flagged), reverse=True)
    assert all(0 < len(one.reason) <= 120 for one in found.rows)
    assert 1 < found.errors < 8


def test_every_row_of_the_file_is_answered() -> None:
    """Rows without text or label are there, unflagged, with the reason; in the file's order."""
    given = columns()
    texts, labels = list(given.texts), list(given.labels)
    texts[0], labels[1] = "  ", ""
    found = review(columns(texts=texts, labels=labels))
    assert [one.row for one in found.rows] == list(range(90))
    assert all("not judged" in found.rows[row].reason and not found.rows[row].flagged for row in (0, 1))
    assert found.rows[1].as_json() == {
        "row": 1,
        "score": 0.0,
        "given_label": "",
        "suggested_label": "",
        "flagged": False,
        "reason": "not judged: no text or no label",
    }
    assert any("2 rows" in note for note in found.notes)


@pytest.mark.parametrize(
    ("labels", "skipped", "says"),
    [
        (["a"] * 20, "one_class", "all labels are the same"),
        (["a", "b"] * 2, "too_few_labels", "there are fewer than 10 labels"),
    ],
)
def test_too_little_is_said_not_crashed(labels: list[str], skipped: str, says: str) -> None:
    """A reason in plain words instead of flags, and a page all the same."""
    texts = [f"text {i}" for i in range(len(labels))]
    found = review(Columns(texts, labels))
    assert found.skipped == skipped
    assert not found.flagged
    assert found.why_no_flags == f"Nothing was judged: {says}."
    assert {one.reason for one in found.rows} == {f"not judged: {says}"}
    page = page_of("x.csv", found, texts)
    assert found.why_no_flags in page
    assert skipped not in page


def test_rare_and_single_labels_do_no_harm() -> None:
    """A label that was given once is told, not flagged."""
    labels = list(columns().labels)
    labels[10] = "once"
    found = review(columns(labels=labels))
    assert not found.rows[10].flagged
    assert any(tip.kind == "rare_label" and "once" in tip.text for tip in found.tips)


def test_no_label_at_all_is_refused() -> None:
    """With the column's name in plain words."""
    with pytest.raises(ConfigurationError, match="label column is empty"):
        read_columns(Columns(["a"], [" "]), encode)


def test_teachers_may_be_empty_unusable_or_good() -> None:
    """A column of nonsense is left out with a note; a good one is named in the reason and measured."""
    gold = [list(TOPICS)[i % 3] for i in range(90)]
    teachers = {
        "gpt": [label.upper() if i % 11 != 1 else "" for i, label in enumerate(gold)],
        "none": [""] * 90,
        "junk": ["?"] * 90,
    }
    found = review(columns(teachers=teachers))
    assert [one.name for one in found.teachers] == ["gpt"]
    assert found.teachers[0].right > 0.95
    assert {one.row for one in found.flagged} == set(WRONG)
    assert any("gpt agrees" in one.reason for one in found.flagged)
    assert sum("left out" in note for note in found.notes) == 2


def test_annotators_are_measured() -> None:
    """Who gave the wrong labels has the lowest quality."""
    who = ["eve" if i in WRONG or i % 3 == 0 else "ann" for i in range(90)]
    quality = {one.name: one.right for one in review(columns(annotators=who)).annotators}
    assert quality["eve"] < quality["ann"]


def test_verdicts_settle_rows_and_are_never_flagged_again() -> None:
    """A confirmed label scores 0, a corrected one 1, and both are silent."""
    given = columns()
    verdicts = [""] * 90
    verdicts[WRONG[0]] = list(TOPICS)[WRONG[0] % 3]
    verdicts[WRONG[1]] = given.labels[WRONG[1]]
    found = review(columns(verdicts=verdicts))
    assert (found.rows[WRONG[0]].score, found.rows[WRONG[1]].score) == (1.0, 0.0)
    assert {one.row for one in found.flagged} <= {WRONG[2]}
    rest = [one for one in found.rows if one.row not in WRONG[:2]]
    assert max(rest, key=lambda one: one.score).row == WRONG[2]
    assert (found.reviewed, found.fixed) == (2, 1)
    assert found.rows[WRONG[0]].suggested_label == list(TOPICS)[WRONG[0] % 3]


def copied(copies: dict[int, str], verdicts: dict[int, str], **changes: Any) -> Columns:
    """The 90 rows, then row by row a copy of the text of a row with that label; verdicts by row."""
    given = columns()
    settled = [verdicts.get(row, "") for row in range(90 + len(copies))]
    return columns(
        texts=[*given.texts, *(given.texts[row] for row in copies)],
        labels=[*given.labels, *copies.values()],
        verdicts=settled,
        **changes,
    )


def test_a_verdict_reaches_equal_texts() -> None:
    """Another label of a settled text is surely wrong, the same one surely right; nobody has looked at either."""
    found = review(copied({0: "sport", 1: "sport"}, {0: "money", 1: "sport"}))
    wrong, right = found.rows[90], found.rows[91]
    assert 0.99 < wrong.score < 1
    assert 0 < right.score < 0.01
    assert (wrong.flagged, right.flagged) == (True, False)
    assert (wrong.suggested_label, right.suggested_label) == ("money", "sport")
    assert wrong.reason == "the same text was settled as 'money'"
    assert right.reason == "the same text was settled as 'sport'"
    assert (found.reviewed, found.fixed) == (2, 0)
    assert found.ranked[0] == wrong
    assert (
        "settled by a verdict on the same text in another row: 2 rows, 1 with a wrong label and 1 with the right one"
        in found.notes
    )


def test_a_verdict_overrules_the_evidence_on_equal_texts() -> None:
    """A label that everything else doubts is right when its text was settled so, also where it is rare."""
    doubted = review(copied({0: "sport"}, {}))
    assert doubted.rows[90].flagged
    assert not review(copied({0: "sport"}, {0: "sport"})).rows[90].flagged
    rare = review(copied({0: "money"}, {0: "weather"}))
    assert rare.rows[90].flagged
    assert rare.rows[90].suggested_label == "weather"


def test_contradicting_verdicts_leave_equal_texts_as_judged() -> None:
    """Two reviewers of two minds settle their own rows, and nothing else; it is said."""
    given = columns()
    texts, labels = [*given.texts, given.texts[3], given.texts[3]], [*given.labels, "sport", "money"]

    def settled(one: str, other: str) -> WholeReview:
        verdicts = [""] * len(texts)
        verdicts[3], verdicts[90] = one, other
        return review(Columns(texts, labels, verdicts=verdicts))

    apart, agreed = settled("food", "sport"), settled("food", "food")
    assert (apart.rows[3].score, apart.rows[90].score) == (1.0, 0.0)
    assert apart.rows[91].score == review(Columns(texts, labels)).rows[91].score
    assert "same text" not in apart.rows[91].reason
    assert any("1 text with verdicts that contradict" in note for note in apart.notes)
    assert agreed.rows[91].reason == "the same text was settled as 'food'"
    assert not any("contradict" in note for note in agreed.notes)


def test_rows_that_follow_a_verdict_count_as_errors_or_not() -> None:
    """Each copy with another label adds one expected error, each with the same label none."""
    count = 12
    wrong = columns()
    texts, labels = [*wrong.texts, *[wrong.texts[0]] * count], [*wrong.labels, *["sport"] * count]
    expected = {
        verdict: review(Columns(texts, labels, verdicts=[verdict] + [""] * (len(texts) - 1))).errors
        for verdict in ("money", "sport")
    }
    # The row itself is right in one case, its copies in the other.
    assert expected["money"] - expected["sport"] == pytest.approx(count - 1)


def test_settled_copies_are_all_flagged_and_only_max_flags_holds_them_back() -> None:
    """The share of flags in one run is about doubts; what a person settled is none."""
    wrong = columns()
    count = 60
    texts, labels = [*wrong.texts, *[wrong.texts[0]] * count], [*wrong.labels, *["sport"] * count]
    given = Columns(texts, labels, verdicts=["money"] + [""] * (len(texts) - 1))
    assert {one.row for one in review(given).flagged} >= set(range(90, 90 + count))
    assert len(review(given, most=2).flagged) == 2
    few = Columns(texts[:96], labels[:96], verdicts=["money"] + [""] * 95)
    room = {one.row for one in review(few, most=8, precision=0.3).flagged}
    assert len(room) == 8
    assert room > set(range(90, 96))


def test_caps_and_precision() -> None:
    """`most` caps the flags; a precision that nothing reaches flags nothing."""
    assert [one.row for one in review(columns(), most=1).flagged] == [review(columns()).flagged[0].row]
    scores = np.array([0.1, 0.9, 0.8])
    assert np.sum(scores > cut_for(scores, scores, 0.8)) == 2
    assert cut_for(scores, scores / 3, 0.9) == 1.0
    assert np.sum(scores > cut_for(scores, np.array([0.0, 0.9, 0.2]), 0.8)) == 1
    few, many = (len(review(columns(), precision=asked).flagged) for asked in (0.95, 0.1))
    assert few < many


def test_reviewed_rows_make_no_room_for_flags_and_take_none() -> None:
    """The precision that was asked for is that of the flags; four verdicts do not steer."""
    verdicts = ["food" if row in (0, 12, 15, 18) else "" for row in range(90)]
    for precision in (0.5, 0.8):
        before, after = (review(given, precision=precision) for given in (columns(), columns(verdicts=verdicts)))  # fmt: skip
        assert [one.row for one in after.flagged] == [one.row for one in before.flagged]
        assert before.flagged


def test_equal_texts_speak_for_each_other_without_annotators() -> None:
    """Who labelled what need not be known: five equal labels are a word against the sixth."""
    given = columns()
    texts, labels = list(given.texts), list(given.labels)
    odd = []
    for row in (0, 1, 2, 4, 5):
        texts += [texts[row]] * 5
        other = next(name for name in TOPICS if name != labels[row])
        labels += [labels[row]] * 4 + [other]
        odd.append(len(labels) - 1)
    found = review(Columns(texts, labels))
    assert {one.row for one in found.flagged} >= set(odd)
    assert {one.row for one in found.flagged} <= {*odd, *WRONG}


def test_no_more_than_a_share_is_flagged_and_that_is_said() -> None:
    """Whoever asks for a low precision hears that there is more."""
    found = review(columns(), precision=0.05)
    assert len(found.flagged) <= 0.3 * 90
    assert any("no more than 30% are flagged in one run" in note for note in found.notes)
    assert not any("in one run" in note for note in review(columns()).notes)


def test_a_verdict_in_another_spelling_is_the_same_label() -> None:
    """As for teachers; a label that the file does not have is a new one."""
    given = columns()
    verdicts = [
        label.upper() if row < 20 and row not in WRONG else "" for row, label in enumerate(given.labels)
    ]
    read = read_columns(columns(verdicts=verdicts), encode)
    assert read.space.labels == tuple(sorted(TOPICS))
    assert not read.settled.wrong.any()
    verdicts[20] = "weather"
    assert "weather" in read_columns(columns(verdicts=verdicts), encode).space.labels


def test_a_reason_does_not_call_the_less_likely_label_the_models_word() -> None:
    """A flag may be raised where the given label is likelier than any other, by a low cut."""
    read = read_columns(columns(), encode)
    reasons = reasons_for(read.evidence, np.array([0]))
    names = read.space.labels
    given, other = int(read.given[0]), int(read.given[0] != 1)
    truth = np.full(3, 0.1)
    truth[given], truth[other] = 0.6, 0.3
    assert reasons.tell(0, other, truth, read.space).startswith(
        f"Not sure: {names[given]} 0.60, {names[other]} 0.30"
    )
    truth[given], truth[other] = 0.3, 0.6
    assert reasons.tell(0, other, truth, read.space).startswith(f"Model says {names[other]} (0.60)")


def test_a_reason_tells_what_others_say_of_the_same_text() -> None:
    """Before similar texts: it is nearer. Who says nothing of the suggested label is not counted as agreeing."""
    texts = ["my parcel is late"] * 4 + [f"a lamp of model {n}" for n in range(8)]
    labels = ["lamp", "parcel", "parcel", "other", *["lamp"] * 8]
    read = read_columns(Columns(texts, labels), encode)
    reasons = reasons_for(read.evidence, np.array([0, 3]))
    parcel, other = read.space.labels.index("parcel"), read.space.labels.index("other")
    truth = np.eye(3)[parcel]
    told = reasons.tell(0, parcel, truth, read.space, 120)
    assert told.startswith("Model says parcel (1.00); 2 of 3 others of this text too")
    assert "others" not in reasons.tell(1, other, np.eye(3)[other], read.space, 120)


def test_verdicts_steer_the_rest_by_label() -> None:
    """Where every doubt about label 0 was right and every one about label 1 was not, the rest follows."""
    scores = np.full(60, 0.5)
    given = np.arange(60) % 2
    verdicts = Verdicts(np.arange(20), given[:20] == 0)
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    out = steer(scores, given, features, np.zeros((60, 0)), verdicts)
    assert out[20:][given[20:] == 0].min() > out[20:][given[20:] == 1].max()
    assert out[:20].tolist() == (given[:20] == 0).astype(float).tolist()


def test_too_few_verdicts_change_nothing_else() -> None:
    """Four verdicts settle their rows only."""
    scores = np.linspace(0.1, 0.9, 20).astype(np.float64)
    verdicts = Verdicts(np.arange(4), np.ones(4, bool))
    out = steer(scores, np.zeros(20, np.int64), np.ones((20, 2), np.float32), np.zeros((20, 0)), verdicts)
    assert np.array_equal(out[4:], scores[4:])


def test_the_page_escapes_everything() -> None:
    """Texts, labels and the file's name may hold anything."""
    evil = "<script>alert(1)</script>"
    given = columns()
    texts = [f"{text} {evil}" for text in given.texts]
    labels = [f"{label}<b>" for label in given.labels]
    page = page_of(evil, review(columns(texts=texts, labels=labels)), texts)
    assert "<script" not in page
    assert (
        "<b>"
        not in page.replace("<b>3</b>", "")
        .replace("<b>90</b>", "")
        .split("About", 1)[-1]
        .split("<article")[-1]
    )
    assert "&lt;script&gt;" in page
    assert "http" not in page


def test_equal_texts_with_two_labels_are_told() -> None:
    """And so are two labels that are confused as a whole."""
    given = columns()
    texts, labels = list(given.texts), list(given.labels)
    texts[6] = texts[0]
    labels[6], labels[0] = "money", "food"
    kinds = {tip.kind for tip in review(columns(texts=texts, labels=labels)).tips}
    assert "two_labels_of_one_text" in kinds


def test_texts_that_are_all_alike_are_no_outliers() -> None:
    """They have one label too many each, and nothing else is known of them."""
    given = columns()
    kinds = {tip.kind for tip in review(columns(texts=["same"] * len(given.texts))).tips}
    assert "two_labels_of_one_text" in kinds
    assert "outlier" not in kinds


def test_many_rare_labels_are_one_line() -> None:
    """A column of numbers taken as labels does not fill the page; a label known from verdicts only is not rare."""
    count = len(columns().labels)
    found = review(columns(labels=[f"l{i}" for i in range(count)], verdicts=["new"] + [""] * (count - 1)))
    (rare,) = [tip for tip in found.tips if tip.kind == "rare_label"]
    assert rare.text.endswith(f"and {count - 10} more labels")
    assert not found.flagged


def test_a_cell_that_looks_missing_is_told() -> None:
    """'nan' stays a label: it may be one; the user reads what was made of it."""
    labels = list(columns().labels)
    labels[0] = "nan"
    assert any("'nan': taken as a label" in note for note in review(columns(labels=labels)).notes)
