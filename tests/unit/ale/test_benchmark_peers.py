"""Peers get what we get: features, first batch, schedule; their answers are read by label, not by position."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.benchmark.curves import Method, curve, methods
from ale.benchmark.peers import PEERS, PeerInput, PeerTurn, resolve_peers
from ale.benchmark.points import draw_audit
from ale.errors import MissingExtra, UnknownName
from ale.simulate import rounds
from ale.strategies import DEFAULT_STRATEGY, resolve_strategy
from ale.students import LinearStudent
from tests.unit.ale.test_benchmark import arrays

PEER = "small-text:BreakingTies"


def needs_small_text() -> None:
    """Skip where the extra is not installed, and say how to get it."""
    pytest.importorskip("small_text", reason="pip install 'ale-label-studio[bench]'", exc_type=ImportError)


def blobs(gold: list[int], labels: int = 3) -> NDArray[np.float32]:
    """A row per label, well apart from the others."""
    rng = np.random.default_rng(0)
    return (4 * np.eye(labels, 8)[gold] + 0.3 * rng.normal(size=(len(gold), 8))).astype(np.float32)


def given(gold: list[int], first: list[int], stops: list[int], reserved: tuple[int, ...] = ()) -> PeerInput:
    """A pool of blobs."""
    mark = np.zeros(len(gold), bool)
    mark[list(reserved)] = True
    return PeerInput(blobs(gold), np.array(gold), 3, np.array(first), mark, stops, seed=0)


def test_a_peer_starts_where_ale_starts_without_a_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same features and first batch, every fit of ours, no audited row, and the answers on the test split."""
    heard: list[PeerInput] = []

    def spy(told: PeerInput) -> Iterator[PeerTurn]:
        heard.append(told)
        free = np.setdiff1d(np.flatnonzero(~told.reserved), told.first)
        for stop in told.stops:
            rows = np.concatenate([told.first, free])[:stop]
            yield PeerTurn(rows, lambda features: np.zeros((len(features), told.labels)), 0.25, 0.5)

    monkeypatch.setitem(PEERS, "spy:still", spy)
    data = arrays(200)
    method = Method("spy:still", "", "", teacher=False, peer=True)
    found = list(curve(data, method, 7, [10, 60], 25, audit=20))
    audit = draw_audit(20, data.groups, 7)
    ours = rounds(
        data.pool, data.gold, data.labels, stops=[0, 10, 35, 60], strategy=resolve_strategy(DEFAULT_STRATEGY),
        student=LinearStudent, groups=data.groups, seed=7, reserved=audit.reserved,
    )  # fmt: skip
    next(ours)
    (told,) = heard
    assert told.first.tolist() == next(ours).labelled.tolist()
    assert told.stops == [10, 35, 60]
    assert np.array_equal(told.reserved, audit.reserved)
    assert np.allclose(np.linalg.norm(told.features, axis=1), 1)
    assert [(p.labels, p.fit_seconds, p.learn_seconds) for p in found] == [(10, 0.25, 0.5), (60, 0.25, 0.5)]
    assert found[0].accuracy == pytest.approx(np.mean(data.test_gold == 0))


def test_a_label_not_seen_yet_moves_no_column() -> None:
    """Trained on labels 1 and 2 only, it says 1 and 2; label 0 is the least likely everywhere."""
    needs_small_text()
    gold = [1, 2] * 10 + [0] * 5
    (turn,) = PEERS[PEER](given(gold, [0, 1, 2, 3], [4]))
    logits = turn.logits(blobs(gold))
    assert logits[:20].argmax(axis=1).tolist() == gold[:20]
    assert (logits.argmin(axis=1) == 0).all()
    assert np.isfinite(logits).all()


def test_small_text_asks_for_free_rows_once_each() -> None:
    """Up to the last free row; a reserved one never."""
    needs_small_text()
    gold = [0, 1, 2] * 8
    turns = list(PEERS[PEER](given(gold, [0, 1], [2, 10, 20], reserved=(5, 6, 7, 8))))
    assert [len(turn.labelled) for turn in turns] == [2, 10, 20]
    assert sorted(turns[-1].labelled) == sorted(set(range(24)) - {5, 6, 7, 8})
    assert turns[-1].logits(blobs(gold)).argmax(axis=1).tolist() == gold
    assert all(0 < turn.fit_seconds <= turn.learn_seconds for turn in turns)


def test_small_text_asks_where_two_labels_tie() -> None:
    """Of a hundred clear rows and one between two labels, the one between is asked for first."""
    needs_small_text()
    told = given([0, 1, 2] * 10 + [0], [0, 1, 2], [3, 4])
    told.features[-1] = told.features[[0, 1]].mean(axis=0)
    *_, last = PEERS[PEER](told)
    assert last.labelled[-1] == 30


def test_one_label_so_far_is_no_crash() -> None:
    """Until two are known it is given random free rows, and the shares of the labels are its answer."""
    needs_small_text()
    gold = [0] * 6 + [1] * 30
    first, second = PEERS[PEER](given(gold, [0, 1], [2, 30], reserved=(10,)))
    assert (first.logits(blobs(gold)).argmax(axis=1) == 0).all()
    assert first.fit_seconds == 0
    assert 10 not in second.labelled
    assert second.logits(blobs(gold)).argmax(axis=1).tolist() == gold


def test_the_peer_runs_on_a_whole_curve() -> None:
    """Named as published, after our methods, and far above chance."""
    needs_small_text()
    method = methods([], ["linear"], teacher=False, peers=["small-text"])[-1]
    first, last = curve(arrays(), method, 0, [10, 60], 25)
    assert (first.method, first.labels, last.labels) == (PEER, 10, 60)
    assert last.accuracy > 0.6


def test_the_peer_does_not_warn_into_the_progress_bar() -> None:
    """Of more labels than half of the texts, which is how active learning begins."""
    needs_small_text()
    gold = np.arange(60) % 30
    many = PeerInput(blobs(gold.tolist(), 30), gold, 30, np.arange(30), np.zeros(60, bool), [30], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        (turn,) = PEERS[PEER](many)
    assert turn.fit_seconds > 0


def test_a_peer_is_named_or_its_absence_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """By package or in full; an unknown one lists the known, a missing one its extra, before anything is run."""
    monkeypatch.setitem(sys.modules, "small_text", None)
    with pytest.raises(MissingExtra, match=r"the peer small-text needs the extra \[bench\]: pip install"):
        methods([], ["linear"], teacher=False, peers=["small-text"])
    with pytest.raises(UnknownName, match="unknown peer 'modal'; known: small-text, small-text:BreakingTies"):
        resolve_peers(["modal"])
    monkeypatch.undo()
    assert resolve_peers([]) == []
    needs_small_text()
    assert resolve_peers(["small-text", PEER]) == [PEER]
