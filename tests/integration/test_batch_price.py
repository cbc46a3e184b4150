"""What a file costs when its deployment serves another model than its name says."""

from __future__ import annotations

import pytest
import redis

from ale.chat import Capabilities
from ale.io.chat.batches import half
from ale.io.chat.prices import load_prices
from ml_backend.batching import Batching
from ml_backend.capabilities import remember
from ml_backend.settings import Settings
from ml_backend.standin import SimulatedPolicy, StandIn
from ml_backend.store import projects, spend
from ml_backend.store.database import Database
from tests.integration.provider_jobs import AT_ONCE, at_provider
from tests.integration.teaching import KEY, SPACE, add_project, encoded, stored, texts, truth

NAMES = texts(6)


def test_a_file_that_a_dearer_model_answered_is_the_last(settings: Settings) -> None:
    """Its answers are paid and kept, at the price of who answered; no other file is sent, and it says why."""
    db = Database(settings.database)
    add_project(db, NAMES)
    with StandIn(SimulatedPolicy(truth(NAMES), error_rate=0.0)) as standin:
        standin.models.deploy("gpt-4o-mini", "gpt-4")
        paying = at_provider(settings, "azure", standin.azure_endpoint, teacher="azure:gpt-4o-mini")
        learning = encoded(paying, NAMES)
        with redis.Redis.from_url(paying.redis_url) as connection:
            remember(connection, learning.teachers[0].endpoint, Capabilities())
        row = projects.get(db, KEY)
        done = Batching(paying, db, paying.redis_url, learning, row, SPACE, AT_ONCE, most=3).run()
        price = load_prices().of("gpt-4")
        assert price is not None
        assert (done.sent, done.answered, len(stored(db))) == (3, 3, 3)
        assert "ALE_TEACHER=azure:gpt-4o-mini=gpt-4" in done.problem
        assert spend.spent(db, KEY).usd == pytest.approx(half(price).usd(standin.calls.usage()), abs=1e-8)
    db.dispose()
