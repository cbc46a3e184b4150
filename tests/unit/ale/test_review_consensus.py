"""One label per text from several annotators: by their worth, by the other evidence, and by verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ale.review.labelled import Columns, read_columns
from ale.review.page import page_of
from ale.review.whole import WholeReview, review_whole
from tests.unit.ale.test_review_whole import TOPICS, columns, encode

NAMES = sorted(TOPICS)


def crowd(**changes: Any) -> Columns:
    """90 texts, each labelled by ann and eve; ann is always right, eve draws lots."""
    clean = columns()
    gold = [list(TOPICS)[i % 3] for i in range(90)]
    rng = np.random.default_rng(1)
    lots = [NAMES[i] for i in rng.integers(0, 3, 90)]
    both = {"texts": [*clean.texts, *clean.texts], "labels": [*gold, *lots]}
    return Columns(**(both | {"annotators": ["ann"] * 90 + ["eve"] * 90} | changes))


def review(given: Columns) -> WholeReview:
    """Read and reviewed."""
    return review_whole(read_columns(given, encode), list(given.labels))


def sentence(several: int, apart: int, tied: int, against: int) -> str:
    """What is told of the texts."""
    return (
        f"texts labelled more than once: {several}; with labels that differ: {apart}, of these without a majority: "
        f"{tied}; with a consensus by all evidence that is not what most said: {against}"
    )


def test_a_text_with_one_label_has_no_majority_to_differ_from() -> None:
    """Only texts with several labels are counted; a doubt about a single one is a flag."""
    clean = columns()
    found = review(Columns([*clean.texts, clean.texts[0]], [*clean.labels, "money"], annotators=["ann"] * 90 + ["eve"]))  # fmt: skip
    assert len(found.flagged) == 3
    assert sentence(1, 0, 0, 0) in found.notes


def test_who_is_right_more_often_is_heard() -> None:
    """Two against each other are no tie where one of them is known to be careless."""
    given = crowd()
    found = review(given)
    of = [one.consensus_label for one in found.rows]
    assert of[:90] == of[90:]
    assert np.mean(np.array(of[:90]) == np.array(given.labels[:90])) > 0.97
    apart = sum(a != b for a, b in zip(given.labels[:90], given.labels[90:], strict=True))
    (told,) = [note for note in found.notes if "labelled more than once" in note]
    assert told == sentence(90, apart, apart, 0)


def test_a_consensus_against_the_majority_is_counted() -> None:
    """Where two careless people happen to say the same, one who is right otherwise may outweigh them."""
    given = crowd()
    lots = [NAMES[i] for i in np.random.default_rng(2).integers(0, 3, 90)]
    labels = [*given.labels, *lots]
    found = review(
        Columns(
            [*given.texts, *given.texts[90:]], labels, annotators=["ann"] * 90 + ["eve"] * 90 + ["bob"] * 90
        )
    )
    of = [one.consensus_label for one in found.rows[:90]]
    votes = [labels[row::90] for row in range(90)]
    against = sum(vote.count(one) < max(map(vote.count, vote)) for one, vote in zip(of, votes, strict=True))
    tied = sum(len(set(vote)) == 3 for vote in votes)
    assert against > 0
    assert tied > 0
    (told,) = [note for note in found.notes if "labelled more than once" in note]
    assert told == sentence(90, sum(len(set(vote)) > 1 for vote in votes), tied, against)


def test_a_verdict_is_the_consensus() -> None:
    """Whoever said what: a reviewer has settled it; two verdicts that differ settle nothing."""
    verdicts = [""] * 180
    before = review(crowd()).rows[0].consensus_label
    other = next(name for name in NAMES if name != before)
    verdicts[0] = other
    found = review(crowd(verdicts=verdicts))
    assert {found.rows[row].consensus_label for row in (0, 90)} == {other}
    verdicts[90] = before
    assert review(crowd(verdicts=verdicts)).rows[0].consensus_label == before


def test_without_annotators_there_is_no_consensus() -> None:
    """Neither a label nor a word about it; with them, rows that are not judged have none."""
    assert not any(one.consensus_label for one in review(columns()).rows)
    assert not any("consensus" in note for note in review(columns()).notes)
    found = review(columns(annotators=["ann"] * 90, labels=["", *columns().labels[1:]]))
    assert found.rows[0].consensus_label == ""
    assert found.rows[1].consensus_label
    assert any("no text was labelled twice" in note for note in found.notes)


def test_the_page_tells_the_consensus_and_escapes_it() -> None:
    """Beside the reason of each flag, and only where annotators are known."""
    clean = crowd()
    given = crowd(labels=[f"<i>{label}" for label in clean.labels])
    page = page_of("x", review(given), given.texts)
    assert "consensus of this text: &lt;i&gt;" in page
    assert "<i>" not in page
    assert "consensus of this text" not in page_of("x", review(columns()), columns().texts)
