"""A short code for each label, because the probability of one token can be read and that of a name cannot.

An endpoint lists the 20 likeliest tokens at each position. Names of several tokens spread their probability
over positions that depend on one another; a code that is one token has all of it at one position.
"""

from __future__ import annotations

from string import ascii_uppercase

from ale.teachers.llm.names import normal
from ale.types import LabelSpace

# OpenAI's vocabularies have each number of up to three digits as one token.
_LETTERS, _NUMBERS = tuple(ascii_uppercase), tuple(map(str, range(100, 1000)))


def codes_for(labels: LabelSpace) -> tuple[str, ...]:
    """One code per label, letters while they suffice, else three-digit numbers; empty when neither do.

    No code is a name or an alias of a label: a reply that says "A" can mean one thing only.
    """
    taken = {normal(name) for name in labels.labels}
    taken |= {normal(alias) for aliases in labels.aliases for alias in aliases}
    for codes in (_LETTERS, _NUMBERS):
        free = tuple(code for code in codes if normal(code) not in taken)
        if len(free) >= len(labels):
            return free[: len(labels)]
    return ()
