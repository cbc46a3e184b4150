"""Which examples are shown: near, of all labels, different from one another, and within the budget."""

from __future__ import annotations

import numpy as np
import pytest

from ale.teachers.llm.shots import EMPTY, Shot, ShotPicker, ShotSet, contrast_shots, make_shots, unit_rows

ANGLES = np.deg2rad([0, 1, 30, 40, 60, 80])
POOL = [Shot(f"t{i}", i % 2) for i in range(6)]
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32) * 7
SHOTS = make_shots(pool=POOL, vectors=VECTORS)
EAST = np.array([[1.0, 0.0]], np.float32)


def picker(shots: ShotSet = SHOTS, labels: int = 2, most: int = 4, tokens: int = 1000) -> ShotPicker:
    """A picker that counts characters."""
    return ShotPicker(shots, labels, most=most, tokens=tokens, count=len)


def names(shots: tuple[Shot, ...]) -> list[str]:
    """Their texts."""
    return [shot.text for shot in shots]


def test_the_most_similar_comes_last_and_near_duplicates_are_dropped() -> None:
    """t1 says the same as t0, t3 the same as t2, and t4 would be a third of its label."""
    assert names(picker().pick({"x"}, EAST)) == ["t5", "t2", "t0"]


def test_no_label_has_more_than_its_share() -> None:
    """Two of two labels: one each, though the two nearest have the same label."""
    pool = [Shot("a", 0), Shot("b", 0), Shot("c", 1)]
    near = make_shots(pool=pool, vectors=np.array([[1, 0], [0.9, 0.4], [0, 1]], np.float32))
    assert names(picker(near, most=2).pick({"x"}, EAST)) == ["c", "a"]


def test_a_text_never_sees_its_own_label() -> None:
    """Else its agreement with people would measure nothing."""
    assert "t0" not in names(picker().pick({"t0"}, EAST))


def test_standing_examples_are_not_shown_twice() -> None:
    """They are in the prompt already."""
    both = make_shots([POOL[0]], POOL, VECTORS)
    assert "t0" not in names(picker(both).pick({"x"}, EAST))


def test_the_budget_holds_and_a_shorter_one_may_still_fit() -> None:
    """Characters here; twelve more for the JSON around each."""
    pool = [Shot("s" * 30, 0), Shot("l" * 90, 1), Shot("m" * 20, 1)]
    chosen = picker(make_shots(pool=pool), tokens=80).pick({"x"})
    assert sorted(map(len, names(chosen))) == [20, 30]
    assert picker(tokens=10).pick({"x"}, EAST) == ()


def test_without_a_vector_the_examples_are_the_same_for_all() -> None:
    """Balanced all the same."""
    assert names(picker().pick({"x"})) == names(picker().pick({"y"}, np.zeros((1, 2), np.float32)))
    assert [shot.label for shot in picker(most=2).pick({"x"})] == [1, 0]


def test_several_texts_share_their_nearest() -> None:
    """An example that is near to any of them counts as near."""
    north = np.array([[0.0, 1.0]], np.float32)
    assert names(picker(most=2).pick({"x"}, np.concatenate([EAST, north]))) == ["t5", "t0"]


def test_nothing_to_show() -> None:
    """No pool, or none wanted."""
    assert picker(EMPTY).pick({"x"}, EAST) == ()
    assert picker(most=0).pick({"x"}, EAST) == ()


def test_other_vectors_are_refused() -> None:
    """A width that does not fit is an error, and so is a wrong number of rows."""
    with pytest.raises(ValueError, match="3 columns"):
        picker().pick({"x"}, np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="6 vectors for 5"):
        make_shots(pool=POOL[:5], vectors=VECTORS)


def test_rows_without_a_direction_become_zeros() -> None:
    """NaN and zeros; the others have length 1."""
    rows = unit_rows(np.array([[3, 4], [0, 0], [np.nan, 1]], np.float32))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [0, 0]]


def test_the_fingerprint_names_the_examples() -> None:
    """Equal sets, equal names; another label, note or role is another set."""
    prints = {
        make_shots(standing, pool).fingerprint
        for standing, pool in [
            ([Shot("a", 0)], []),
            ([], [Shot("a", 0)]),
            ([], [Shot("a", 1)]),
            ([], [Shot("a", 0, "note")]),
            ([], []),
        ]
    }
    assert len(prints) == 5
    assert make_shots(pool=POOL).fingerprint == SHOTS.fingerprint


def test_contrast_shows_both_sides_of_the_most_frequent_confusions() -> None:
    """The frequent pair first; a side that was never mistaken is shown by a text that was got right."""
    human = [0, 0, 0, 1, 1, 2, 0]
    said = [1, 1, 2, 1, None, 2, 0]
    shots = [Shot(f"text {i} " + "x" * i, label) for i, label in enumerate(human)]
    chosen = contrast_shots(shots, said, ["a", "b", "c"], pairs=1)
    assert [(shot.text[:6], shot.label, shot.note) for shot in chosen] == [
        ("text 0", 0, "people chose a, not b"),
        ("text 3", 1, ""),
    ]
    assert len(contrast_shots(shots, said, ["a", "b", "c"])) == 4
    assert contrast_shots(shots, human, ["a", "b", "c"]) == ()
