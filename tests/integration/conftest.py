"""What the tests of paid teachers ask for by name; a module that needs another `db` makes its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from ml_backend.standin import Policy, StandIn
from ml_backend.store.database import Database
from ml_backend.wiring import Services
from tests.integration.teaching import stand_in


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server; skips where only MLflow's client is installed."""
    from tests.integration.mirroring import server  # MLflow takes seconds to import

    with server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def db(services: Services) -> Database:
    """The database of the settings."""
    return services.db


@pytest.fixture
def endpoint() -> Iterator[Callable[..., StandIn]]:
    """Makes stand-ins, and ends them: one that knows the truth about some texts, or one of a given policy."""
    made: list[StandIn] = []

    def make(about: Sequence[str] | Policy, **how: object) -> StandIn:
        made.append(StandIn(about, **how) if callable(about) else stand_in(about, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()
