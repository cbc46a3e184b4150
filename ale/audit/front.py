"""How far the audit reaches in a pool that grows: new texts do not take its figures away.

The order is by place, so a text that comes later stands anywhere in it, most often before texts that are audited
already. Until it is audited, the audits behind it are no random sample of all texts any more. They are one of the
texts that were there before. So what is measured is the pool up to a text, `Reach.upto` (ids rise with time): its
front, the audits up to the first that nobody has answered, is the beginning of a random permutation of it, whatever
comes later. Newer texts are not spoken of before the audit has caught up with them: no figure, no promise.

When it has caught up. What came is fixed by an id, `Reach.later`, before any of it is audited; texts that come still
later wait for the next time. Places up to `later` are audited in their order, so the newest come first. They are
counted in when as many audits were answered as the new texts have places in the front, and three standard errors
more (`needed`): a number that depends on counts only, not on which texts have low places. To count them in as soon as
no place before the front's end is open would be another thing: that happens soonest where, by luck, few of them were
drawn. Then, almost surely, the front is no shorter than it was, and it is the beginning of a random permutation of all
texts up to `later`. Where it would be shorter all the same (a person has held a task open since), it waits for that.
What was learnt of the old texts is spent on a larger pool: with ten times as many new texts the front is as long as
before after nearly as many new audits, not after ten times as many.

What it assumes. Who answers, and how much, does not depend on places. Where the reserve is used up, no audit can be
waited for: then all of it is answered, and few texts may be counted in of which none could be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ale.types import Indices, Scores


@dataclass(frozen=True, slots=True)
class Reach:
    """The audit measures texts with an id up to `upto`, and catches up with those up to `later`, which is `upto`
    while there are none. It has caught up when `due` audits have been answered in all.
    """

    upto: int
    later: int
    due: int


def front(places: Scores, shown: NDArray[np.bool_]) -> Indices:
    """Of texts at these places, in their order, those before the first that nobody has answered."""
    order = np.argsort(places, kind="stable")
    return np.asarray(order[np.logical_and.accumulate(shown[order])], np.int64)


def needed(length: int, new: int, pool: int) -> int:
    """Audits until a front of this length is as long, almost surely, in a pool of which `new` texts came later."""
    expected = length * new / max(pool, 1)
    return int(np.ceil(expected + 3 * np.sqrt(expected)))


def advance(
    reach: Reach | None, ids: Indices, places: Scores, reserved: NDArray[np.bool_], shown: NDArray[np.bool_]
) -> Reach:
    """The reach by now, asked again and again. One number of each array per text of the pool.

    `reserved` texts may be audited, and those of them that somebody has answered are `shown`. As long as nothing is
    measured, all texts belong to the pool.
    """
    answered, newest = int((reserved & shown).sum()), int(ids.max(initial=0))

    def length(upto: int) -> int:
        rows = reserved & (ids <= upto)
        return len(front(places[rows], shown[rows]))

    if reach is None or not answered:
        return Reach(newest, newest, answered)
    if reach.later > reach.upto and length(reach.later) >= length(reach.upto):
        used_up = length(reach.later) == int((reserved & (ids <= reach.later)).sum())
        if answered >= reach.due or used_up:
            reach = replace(reach, upto=reach.later)
    if reach.later == reach.upto and newest > reach.upto:
        wanted = needed(length(reach.upto), int((ids > reach.upto).sum()), len(ids))
        reach = Reach(reach.upto, newest, answered + wanted)
    return reach
