"""The budget in SQL, shared by processes: never overspent, never handed back without knowing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ale.errors import BudgetReached
from ale.types import Usage
from ml_backend.metering import SqlMeter, SqlThread
from ml_backend.store import spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.store.spend import Budget, Settled, Spent

KEY = "a-project"
CENT = 10_000_000

RACE = """
import sys
from ml_backend.store import spend
from ml_backend.store.database import Database
from ml_backend.store.spend import Budget, Settled

db = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
calls = 0
# At most 80 each: 200 then need three processes at least, however the machine shares out its time.
while calls < 80 and (name := spend.reserve(db, "a-project", 10_000_000, 100, Budget(usd=2.005))) is not None:
    calls += 1
    with db.session() as session:
        spend.settle(session, "a-project", [Settled(name, 10_000_000, 100)])
print(calls)
"""


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A database with one project."""
    found = Database(database_url)
    with found.session() as session:
        session.add(Project(key=KEY, server="http://ls", project_id=1, created_at=1))
    yield found
    found.dispose()


def metered(
    db: Database,
    budget: Budget,
    do: Callable[[SqlMeter], Awaitable[object]],
    cost: Callable[[Usage], float] | None = lambda usage: usage.total * 1e-6,
) -> SqlMeter:
    """Let `do` work with a meter, in an event loop."""

    async def run() -> SqlMeter:
        with SqlThread() as thread:
            meter = SqlMeter(db, KEY, budget, cost, thread)
            await do(meter)
            return meter

    return asyncio.run(run())


def test_four_processes_cannot_overspend_by_one_call(db: Database) -> None:
    """200 calls of a cent fit into 2.005 dollars: four workers at once make exactly 200 of them."""
    url = db.engine.url.render_as_string(hide_password=False)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:  # all at once, only then is anybody waited for
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    calls = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sum(calls) == 200
    found = spend.spent(db, KEY)
    assert (found.usd, found.calls, found.tokens) == (2.0, 200, 20_000)
    assert (found.reserved_usd, found.lost_calls) == (0.0, 0)
    assert sum(n > 0 for n in calls) >= 3, "there was no race"


@pytest.mark.parametrize(
    "budget", [Budget(usd=0.0), Budget(tokens=0), Budget(usd=0.0, tokens=10**9), Budget(usd=9.0, tokens=0)]
)
def test_a_budget_of_zero_forbids_even_a_free_call(db: Database, budget: Budget) -> None:
    """Zero means: nobody is asked."""
    assert spend.reserve(db, KEY, 0, 0, budget) is None
    assert spend.spent(db, KEY) == Spent()


def test_tokens_are_limited_as_money_is(db: Database) -> None:
    """Calls under way count with the most that they may cost."""
    assert spend.reserve(db, KEY, CENT, 60, Budget(tokens=100))
    assert spend.reserve(db, KEY, CENT, 41, Budget(tokens=100)) is None
    assert spend.reserve(db, KEY, CENT, 40, Budget(tokens=100))


def test_a_call_is_counted_at_what_it_really_cost(db: Database) -> None:
    """Settling gives back what was set aside too much, releasing all of it; doing so twice changes nothing."""
    cheap, unsent = (spend.reserve(db, KEY, CENT, 100, Budget(usd=1.0)) for _ in range(2))
    assert cheap
    assert unsent
    for _ in range(2):
        with db.session() as session:
            spend.settle(session, KEY, [Settled(cheap, CENT // 4, 30)])
        spend.release(db, KEY, unsent)
    assert spend.spent(db, KEY) == Spent(usd=0.0025, tokens=30, calls=1)


def test_what_a_dead_worker_had_reserved_stays_counted(db: Database) -> None:
    """It is never handed back: after a while it is counted as spent, and told apart as lost."""
    name = spend.reserve(db, KEY, CENT, 100, Budget(usd=0.01))
    assert name
    assert spend.lose_abandoned(db, KEY) == 0  # it may still be under way
    assert spend.reserve(db, KEY, CENT, 100, Budget(usd=0.01)) is None
    assert spend.lose_abandoned(db, KEY, datetime.now(UTC) + timedelta(hours=1)) == 1
    lost = Spent(usd=0.01, tokens=100, calls=1, lost_usd=0.01, lost_tokens=100, lost_calls=1)
    assert spend.spent(db, KEY) == lost
    assert spend.reserve(db, KEY, CENT, 100, Budget(usd=0.01)) is None
    with db.session() as session:  # the worker lived after all: its call is counted already, at the most
        spend.settle(session, KEY, [Settled(name, 1, 1)])
    assert spend.spent(db, KEY) == lost


def test_a_model_without_a_price_is_refused_under_a_money_budget(db: Database) -> None:
    """The message names both ways out; a budget of tokens is one of them."""

    async def reserve(meter: SqlMeter) -> None:
        await meter.reserve(100, 10)

    with pytest.raises(BudgetReached, match=r"ALE_PRICES.*ALE_BUDGET_TOKENS") as raised:
        metered(db, Budget(usd=5.0), reserve, cost=None)
    assert raised.value.reason == "price_unknown"
    assert spend.spent(db, KEY) == Spent()
    metered(db, Budget(usd=5.0, tokens=110), reserve, cost=None)
    assert spend.spent(db, KEY).reserved_tokens == 110
    with pytest.raises(BudgetReached, match="110 tokens"):
        metered(db, Budget(usd=5.0, tokens=110), reserve, cost=None)


def test_the_meter_writes_a_settled_call_with_its_answer(db: Database) -> None:
    """Until the answer is saved the reservation stands, so that a stop in between loses no money from sight."""

    async def call(meter: SqlMeter) -> None:
        ticket = await meter.reserve(1000, 100)
        assert (ticket.tokens, ticket.usd) == (1100, 0.0011)
        await meter.settle(ticket, Usage(prompt=1000, cached=500, completion=1))
        await meter.lost(await meter.reserve(1000, 100))
        await meter.release(await meter.reserve(1000, 100))

    meter = metered(db, Budget(usd=5.0), call)
    assert spend.spent(db, KEY).reserved_usd == 0.0011
    with db.session() as session:
        spend.settle(session, KEY, meter.take_settled())
    assert spend.spent(db, KEY) == Spent(
        usd=0.002101, tokens=2101, calls=2, lost_usd=0.0011, lost_tokens=1100, lost_calls=1
    )
    assert meter.take_settled() == []
