"""The stop is said when models agree and the curve is flat, and not before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from ale.audit.stopping import Past, cohen_kappa, expected_gain, judge

POOL = 4000
NOBODY = np.zeros(0, np.int64)


def curve(*errors: tuple[int, float], alike: bool = True) -> tuple[list[Past], NDArray[np.int64]]:
    """Models with these shares of errors after so many labels, and the truth; `alike` models share their errors."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, POOL)
    hard = rng.random(POOL)
    past = []
    for labels, share in errors:
        wrong = (hard if alike else rng.random(POOL)) < share
        past.append(Past(labels, np.where(wrong, (truth + 1) % 3, truth)))
    return past, truth


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
def test_kappa_is_cohens(rows: list[tuple[int, int]]) -> None:
    """As scikit-learn has it; two who only ever know the same answer agree."""
    one, other = (np.array(side) for side in zip(*rows, strict=True))
    if len(set(one) | set(other)) == 1:
        assert cohen_kappa(one, other) == 1.0
    else:
        assert cohen_kappa(one, other) == pytest.approx(cohen_kappa_score(one, other))


def test_a_flat_curve_of_agreeing_models_is_the_end() -> None:
    """The reason names both: agreement, and what is left to gain."""
    past, truth = curve(*((n, 0.10 + 0.5 / n) for n in range(100, 401, 50)))
    found = judge(past, np.arange(200), truth[:200])
    assert found.stop, found.reason
    assert "kappa" in found.reason
    assert "expected to gain" in found.reason


def test_models_that_still_change_go_on() -> None:
    """The same accuracy all the time, but other answers each time."""
    past, truth = curve(*((n, 0.10) for n in range(100, 401, 50)), alike=False)
    found = judge(past, np.arange(200), truth[:200])
    assert not found.stop
    assert found.kappa is not None
    assert found.kappa < 0.9
    assert "still change" in found.reason


def test_a_rising_curve_goes_on() -> None:
    """Slow and steady: neighbours agree by .99, but a hundred more labels gain more than half a point."""
    past, truth = curve(*((n, 0.30 - 0.00025 * n) for n in range(100, 501, 25)))
    found = judge(past, np.arange(2000), truth[:2000])
    assert found.kappa is not None
    assert found.kappa >= 0.99
    assert not found.stop
    assert found.gain is not None
    assert 0.005 <= found.gain.expected <= 0.03
    assert found.gain.low <= found.gain.expected <= found.gain.high


def test_a_falling_curve_is_no_end() -> None:
    """Neighbours agree by .99 and nothing is gained, but the models get worse and worse: no stop, and it is said."""
    past, truth = curve(*((n, 0.10 + 0.00025 * n) for n in range(100, 501, 25)))
    found = judge(past, np.arange(2000), truth[:2000])
    assert found.kappa is not None
    assert found.kappa >= 0.99
    assert not found.stop
    assert "the accuracy falls: the next 100 labels are expected to lose" in found.reason
    assert found.gain is not None
    assert -0.03 <= found.gain.expected <= -0.005


def test_a_gain_that_may_be_large_is_no_end() -> None:
    """Of 60 audited rows three were mended and three spoilt: nothing is expected, but the interval is too wide."""
    past, truth = curve(*((n, 0.10) for n in range(100, 401, 50)))
    for place, one in enumerate(past):
        late = place >= len(past) // 2
        one.said[:6] = (truth[:6] + np.array([not late] * 3 + [late] * 3)) % 3
    found = judge(past, np.arange(60), truth[:60])
    assert found.kappa is not None
    assert found.kappa >= 0.99
    assert found.gain is not None
    assert (abs(found.gain.expected) < 0.005, found.gain.high >= 0.01, found.stop) == (True, True, False)
    assert judge(past, np.arange(2000), truth[:2000]).stop, "beside 2,000 rows they are few"


def test_rows_that_people_labelled_do_not_count_for_agreement() -> None:
    """There the models repeat what they were told, or did not know it yet."""
    past, truth = curve(*((n, 0.10) for n in range(100, 401, 50)))
    for place, one in enumerate(past):
        one.said[3000 : 4000 - 100 * place] = 0
    told = np.arange(3000, 4000)
    assert "still change" in judge(past, np.arange(200), truth[:200]).reason
    found = judge(past, np.arange(200), truth[:200], labelled=told)
    assert (found.kappa, found.stop) == (1.0, True)
    assert not judge(past, np.arange(200), truth[:200], labelled=np.arange(POOL)).stop


def test_a_power_law_is_continued() -> None:
    """From .30 - 2 n^-.7 at 200 to 800 labels, the next hundred gain what the law says."""
    past, truth = curve(*((n, 0.05 + 4 * n**-0.7) for n in range(200, 801, 50)))
    found = expected_gain(past, np.arange(POOL), truth)
    assert found is not None
    assert found.expected == pytest.approx(4 * (800**-0.7 - 900**-0.7), abs=0.002)


def test_nothing_is_said_without_models_or_audits() -> None:
    """Too few models, models too close together, too few audit labels: no stop, and the reason says which."""
    past, truth = curve(*((n, 0.1) for n in range(100, 401, 50)))
    assert "fewer than" in judge([], NOBODY, NOBODY).reason
    assert "fewer than" in judge(past[:3], np.arange(99), truth[:99]).reason
    close, _ = curve(*((n, 0.1) for n in range(300, 330, 5)))
    assert "25 labels apart" in judge(close, np.arange(99), truth[:99]).reason
    few = judge(past, np.arange(20), truth[:20])
    assert not few.stop
    assert "20 audit labels" in few.reason
