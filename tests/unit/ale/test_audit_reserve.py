"""The audit reserve: a sample that nobody chooses, equal in every process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ale.audit.reserve import RESERVE, place

KEY = "0a1b2c3d-7-1700000000"


def test_places_are_uniform() -> None:
    """Each tenth of [0, 1) holds a tenth of the ids, within five standard errors; the reserve is a quarter."""
    found = place(KEY, range(1, 20_001))
    counts, _ = np.histogram(found, bins=10, range=(0, 1))
    assert np.abs(counts - 2_000).max() < 5 * np.sqrt(20_000 * 0.1 * 0.9)
    assert np.mean(found < RESERVE) == pytest.approx(RESERVE, abs=0.015)


def test_neighbouring_ids_have_nothing_in_common() -> None:
    """Tasks are often imported in the order of their labels: a place says nothing about the next one."""
    found = place(KEY, range(1, 20_001))
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.03


def test_every_process_agrees() -> None:
    """Also with another seed of Python's own hash; an imported task moves none that was there."""
    code = f"from ale.audit.reserve import place; print(*place({KEY!r}, range(50)).tolist())"
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert [float(one) for one in there.stdout.split()] == place(KEY, range(50)).tolist()
    assert place(KEY, [7, 3]).tolist() == [place(KEY, [7])[0], place(KEY, [3])[0]]


def test_another_project_has_another_sample() -> None:
    """The same ids are reserved anew in each project."""
    one, other = (place(key, range(4_000)) < RESERVE for key in (KEY, "0a1b2c3d-8-1700000000"))
    assert np.mean(one & other) == pytest.approx(RESERVE**2, abs=0.02)


def test_no_ids_no_places() -> None:
    """An empty pool has an empty reserve."""
    assert place(KEY, []).shape == (0,)
