"""A patch ships only when it is better beyond luck, on texts that no prompt has ever shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ale.patches import Disagreement, freeze_gold, gate, propose, reserved_for_gold
from ale.text import text_hash
from ale.types import LabelSpace, Probs

SPACE = LabelSpace(("bug", "question", "praise"), ("something is broken", "", ""))


def answers(*said: int) -> Probs:
    """Hard answers over three labels; -1 abstains."""
    rows: Probs = np.eye(3, dtype=np.float32)[np.maximum(said, 0)]
    rows[np.array(said) < 0] = np.nan
    return rows


def disagreement(text: str, human: int = 0, said: int = 1) -> Disagreement:
    """A settled one."""
    return Disagreement(text, text_hash(text), human, said)


def many(n: int, human: int = 0, said: int = 1) -> list[Disagreement]:
    """Disagreements of which some are reserved for gold, as they come."""
    return [disagreement(f"text {human}{said} number {i}", human, said) for i in range(n)]


def test_a_better_prompt_ships_and_a_worse_one_is_rolled_back() -> None:
    """Five fixed, none broken: 1 in 32; the other way round it is certain to be no better."""
    gold = np.zeros(50, np.int64)
    old, new = answers(*[1] * 5, *[0] * 45), answers(*[0] * 50)
    better = gate(old, new, gold)
    assert (better.fixed, better.broken, better.old_right, better.new_right) == (5, 0, 45, 50)
    assert better.p_value == pytest.approx(1 / 32)
    assert better.ships
    worse = gate(new, old, gold)
    assert worse.p_value == 1.0
    assert not worse.ships
    assert str(worse).startswith("rolled back: 0 fixed, 5 broken of 50 gold texts")


def test_a_gain_that_may_be_luck_does_not_ship() -> None:
    """Four fixed (1 in 16), and a patch that fixes ten and breaks five (p = .15), stay outside."""
    gold = np.zeros(20, np.int64)
    assert not gate(answers(*[1] * 4, *[0] * 16), answers(*[0] * 20), gold).ships
    mixed = gate(answers(*[1] * 10, *[0] * 10), answers(*[0] * 10, *[1] * 5, *[0] * 5), gold)
    assert (mixed.fixed, mixed.broken) == (10, 5)
    assert mixed.p_value == pytest.approx(0.1509, abs=1e-4)
    assert not mixed.ships
    nothing = np.zeros((0, 3), np.float32)
    assert not gate(nothing, nothing, np.zeros(0, np.int64)).ships


def test_every_try_makes_the_next_one_harder() -> None:
    """What would ship as the first patch does not as the second on the same gold labels."""
    gold = np.zeros(50, np.int64)
    old, new = answers(*[1] * 5, *[0] * 45), answers(*[0] * 50)
    assert gate(old, new, gold, tries=1).ships
    assert not gate(old, new, gold, tries=2).ships
    with pytest.raises(ValueError, match="at least 1"):
        gate(old, new, gold, tries=0)


def test_silence_does_not_win() -> None:
    """A prompt that abstains where the old one erred fixes nothing; where it was right, it breaks."""
    gold = np.zeros(12, np.int64)
    quiet = gate(answers(*[1] * 6, *[0] * 6), answers(*[-1] * 12), gold)
    assert (quiet.fixed, quiet.broken) == (0, 6)


def test_gold_and_prompt_examples_never_meet() -> None:
    """Whatever is proposed or was shown or audited is not gold, and the reserved share is as set."""
    found = many(300)
    human = {one.text_hash: one.human for one in found}
    proposed = {shown.text_hash for patch in propose(found, SPACE, examples=300) for shown in patch.contrast}
    gold = freeze_gold(human, proposed)
    assert proposed
    assert not proposed & set(gold.hashes)
    assert len(gold) == sum(reserved_for_gold(h) for h in human)
    assert 0.13 < len(gold) / 300 < 0.27
    shown, audited = gold.hashes[:2], gold.hashes[2:5]
    smaller = freeze_gold(human, shown, audited)
    assert smaller.hashes == gold.hashes[5:]
    assert smaller.labels == (0,) * len(smaller)


def test_the_most_confused_pairs_are_proposed_with_short_examples() -> None:
    """Pairs by number of disagreements, equal texts once, rare pairs not at all."""
    free = [d for d in many(60) if not reserved_for_gold(d.text_hash)][:6]
    fewer = [d for d in many(60, 2, 1) if not reserved_for_gold(d.text_hash)][:4]
    rare = [d for d in many(60, 1, 2) if not reserved_for_gold(d.text_hash)][:2]
    patches = propose([*rare, *fewer, *free, *free], SPACE)
    assert [(p.human, p.said, p.seen) for p in patches] == [(0, 1, 6), (2, 1, 4)]
    shortest = sorted(len(one.text) for one in free)[:2]
    assert [len(one.text) for one in patches[0].contrast] == shortest
    assert propose([disagreement("agreed", 1, 1)] * 9, SPACE) == []


def test_a_written_hint_becomes_a_candidate() -> None:
    """The writer sees the pair and its texts; what it writes is cut to one short line, and replaces the hint."""
    asked: list[tuple[int, int, int]] = []

    def write(labels: LabelSpace, human: int, said: int, seen: Sequence[Disagreement]) -> str:
        asked.append((human, said, len(seen)))
        return "an error,\n not a wish " + "word " * 100

    free = [d for d in many(60) if not reserved_for_gold(d.text_hash)][:5]
    contrast, hint = propose(free, SPACE, write_hint=write)
    assert asked == [(0, 1, 5)]
    assert hint.hint.startswith("an error, not a wish word")
    assert len(hint.hint) <= 300
    assert hint.apply_hint(SPACE).hints == (hint.hint, "", "")
    assert hint.apply_hint(SPACE).fingerprint != SPACE.fingerprint
    assert contrast.apply_hint(SPACE) is SPACE


@pytest.mark.parametrize("written", ["", "  \n", "something is broken"])
def test_a_hint_that_changes_nothing_is_dropped(written: str) -> None:
    """Empty, or what stands there already."""
    free = [d for d in many(60) if not reserved_for_gold(d.text_hash)][:5]
    patches = propose(free, SPACE, write_hint=lambda *_: written)
    assert [bool(patch.hint) for patch in patches] == [False]
