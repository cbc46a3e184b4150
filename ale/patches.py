"""Prompt patches with a gate: proposed from settled disagreements, shipped only when a paired test says so.

Recorded studies of such patches show small gains and an occasional loss. So a patch must prove itself on a
gold set that neither it nor any few-shot example was taken from. Which texts are gold is decided by the text
alone: whoever picks examples asks the same rule first, and the two can never meet.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ale.chance import one_sided
from ale.trust import words
from ale.types import LabelSpace, Probs

GOLD_SHARE = 0.2
"""Share of texts that are kept for gold."""

MOST_HINT_CHARS = 300
"""A hint is read with every question, and paid for."""


def reserved_for_gold(text_hash: str, share: float = GOLD_SHARE) -> bool:
    """Whether a text may serve as gold, and so must never be shown in a prompt. Equal texts, equal answer."""
    lot = hashlib.blake2b(text_hash.encode(), digest_size=8, key=b"gold").digest()
    return int.from_bytes(lot, "big") < share * 2**64


@dataclass(frozen=True, slots=True)
class GoldSet:
    """Texts by hash and what people say they are. Frozen: old and new prompt are judged on the same ones."""

    hashes: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.hashes)


def freeze_gold(
    human: Mapping[str, int],
    shown: Collection[str],
    audit: Collection[str] = (),
    reserved: Callable[[str], bool] = reserved_for_gold,
) -> GoldSet:
    """The gold set from labels by text hash: what is reserved for it, and neither shown in a prompt nor audited.

    `shown` are hashes of all few-shot and contrast examples of the old and the new prompt: those of a prompt
    that was built under another rule may be reserved under this one. `reserved` is the rule of `propose` too.
    """
    out = {*shown, *audit}
    kept = sorted(h for h in human if reserved(h) and h not in out)
    return GoldSet(tuple(kept), tuple(human[h] for h in kept))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate found. `fixed` texts only the new prompt gets right, `broken` only the old one.

    `p_value` is one-sided and exact; `ships` only when it is below `level`, else the patch is rolled back.
    """

    n: int
    old_right: int
    new_right: int
    fixed: int
    broken: int
    p_value: float
    level: float

    @property
    def ships(self) -> bool:
        """Whether the patch may replace the prompt in force."""
        return self.p_value < self.level

    def __str__(self) -> str:
        verdict = "ships" if self.ships else "rolled back"
        return (
            f"{verdict}: {self.fixed} fixed, {self.broken} broken of {self.n} gold texts "
            f"({self.old_right} right before, {self.new_right} after), p = {self.p_value:.3f} "
            f"against {self.level:.3f}"
        )


def gate(
    old: Probs, new: Probs, gold: NDArray[np.int64], *, alpha: float = 0.05, tries: int = 1
) -> Judgement:
    """Whether the new prompt is better than the old one on the gold texts; an abstention counts as wrong.

    Exact one-sided McNemar test. `tries` counts the patches that were judged on these gold labels, this one
    included: the level is `alpha / tries` (Bonferroni), else the tenth bad patch would slip through by luck.
    """
    if not len(old) == len(new) == len(gold):
        raise ValueError(f"{len(old)} old and {len(new)} new answers for {len(gold)} gold texts")
    if tries < 1:
        raise ValueError(f"tries counts this patch too, so it is at least 1, not {tries}")
    before, after = words(old) == gold, words(new) == gold
    fixed, broken = int((after & ~before).sum()), int((before & ~after).sum())
    return Judgement(
        n=len(gold),
        old_right=int(before.sum()),
        new_right=int(after.sum()),
        fixed=fixed,
        broken=broken,
        p_value=one_sided(fixed, broken),
        level=alpha / tries,
    )


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A text that a person has settled: `human` is right, the teacher had said `said` (label positions)."""

    text: str
    text_hash: str
    human: int
    said: int


@dataclass(frozen=True, slots=True)
class Patch:
    """A candidate for the prompt: a new hint for label `human`, or contrast examples for the pair.

    Exactly one of `hint` and `contrast` is filled. `seen` disagreements of this pair stand behind it.
    """

    human: int
    said: int
    seen: int
    hint: str = ""
    contrast: tuple[Disagreement, ...] = ()

    def apply_hint(self, labels: LabelSpace) -> LabelSpace:
        """The label space with this patch's hint; unchanged for a contrast patch."""
        if not self.hint:
            return labels
        hints = list(labels.hints)
        hints[self.human] = self.hint
        return replace(labels, hints=tuple(hints))


WriteHint = Callable[[LabelSpace, int, int, Sequence[Disagreement]], str]
"""Writes a better hint for label `human`, taken for `said`, from examples; a language model may do it."""


def propose(
    disagreements: Iterable[Disagreement],
    labels: LabelSpace,
    *,
    write_hint: WriteHint | None = None,
    reserved: Callable[[str], bool] = reserved_for_gold,
    at_least: int = 3,
    pairs: int = 3,
    examples: int = 2,
) -> list[Patch]:
    """Candidates for the most confused pairs, most frequent first: contrast examples, and a hint if one is written.

    Only from texts that are not `reserved` for gold; a pair needs `at_least` of them. The shortest texts become
    examples: they are paid for with every question. A hint that is empty or equal to the old one is dropped.
    """
    usable: dict[tuple[int, int], dict[str, Disagreement]] = defaultdict(dict)
    for one in disagreements:
        if one.human != one.said and not reserved(one.text_hash):
            usable[one.human, one.said].setdefault(one.text_hash, one)
    frequent = sorted((p for p in usable if len(usable[p]) >= at_least), key=lambda p: (-len(usable[p]), p))
    found = []
    for human, said in frequent[:pairs]:
        seen = sorted(usable[human, said].values(), key=lambda one: (len(one.text), one.text_hash))
        found.append(Patch(human, said, len(seen), contrast=tuple(seen[:examples])))
        hint = "" if write_hint is None else one_line(write_hint(labels, human, said, seen))
        if hint and hint != labels.hints[human]:
            found.append(Patch(human, said, len(seen), hint=hint))
    return found


def one_line(hint: str) -> str:
    """What a model wrote, as a hint may be: one line, cut at the last word that fits."""
    line = " ".join(hint.split())
    return line if len(line) <= MOST_HINT_CHARS else line[:MOST_HINT_CHARS].rsplit(" ", 1)[0]
