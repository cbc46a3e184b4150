"""How the stand-in misbehaves, as the real client sees it, and what of it is charged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from ml_backend.standin import BEHAVIOURS, Script, StandIn, always, hang, rate_limit, share
from tests.conftest import wait_until
from tests.integration.standin_clients import POLICY, ask, azure_client, client, outcome

MARKED = sorted(set(BEHAVIOURS) - {"hang", "batch_expired"})


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """One that behaves, but for what texts ask of it."""
    with StandIn(POLICY) as made:
        yield made


ERRORS: dict[str, type[openai.APIError]] = {
    "rate_limit": openai.RateLimitError,
    "quota": openai.RateLimitError,
    "error_500": openai.InternalServerError,
    "error_503": openai.InternalServerError,
    "unauthorized": openai.AuthenticationError,
    "forbidden": openai.PermissionDeniedError,
    "not_found": openai.NotFoundError,
    "bad_request": openai.BadRequestError,
    "content_filter_code": openai.BadRequestError,
    "content_filter_inner": openai.BadRequestError,
    "content_filter_both": openai.BadRequestError,
    "reset_mid_body": openai.APIConnectionError,
    "closed": openai.APIConnectionError,
    "html": openai.APIResponseValidationError,
}
ONLY_WITH_IDS = {"wrong_id", "swapped_order", "missing_item", "twice_the_same_item", "extra_item"}
ONLY_WITH_CONFIDENCE = {name for name in BEHAVIOURS if name.startswith("score_")}


@pytest.mark.parametrize("name", MARKED)
def test_misbehaves_by_name(standin: StandIn, name: str) -> None:
    """A text that names a behaviour meets it, and the next one does not."""
    with client(standin) as ai:
        met = outcome(ai, f"lovely [[behaviour:{name}]]")
        good = outcome(ai, "lovely")
    assert good == ('{"label":"A"}', None, "stop")
    if name in ERRORS:
        assert met is ERRORS[name]
    else:
        assert (met == good) == (name in ONLY_WITH_IDS | ONLY_WITH_CONFIDENCE)
    assert standin.calls.all()[0].behaviour == name


def test_filter_has_three_shapes(standin: StandIn) -> None:
    """The code, the inner error, or the finish reason tells of Azure's filter."""
    with azure_client(standin) as ai:
        bodies = []
        for name in ("content_filter_code", "content_filter_inner"):
            with pytest.raises(openai.BadRequestError) as refusal:
                ask(ai, f"x [[behaviour:{name}]]")
            body = refusal.value.body
            assert isinstance(body, dict)
            bodies.append((body["code"], body.get("innererror", {}).get("code")))
        finish = ask(ai, "x [[behaviour:content_filter_finish]]").choices[0]
    assert bodies == [("content_filter", None), (None, "ResponsibleAIPolicyViolation")]
    assert (finish.finish_reason, finish.content_filter_results["violence"]["filtered"]) == (
        "content_filter",
        True,
    )


def test_marker_for_the_first_times(standin: StandIn) -> None:
    """`:2` means twice, then the text is answered."""
    with client(standin) as ai:
        met = [outcome(ai, "awful [[behaviour:error_500:2]]") for _ in range(3)]
    assert met == [openai.InternalServerError, openai.InternalServerError, ('{"label":"B"}', None, "stop")]


@pytest.mark.parametrize(
    ("behaviour", "header", "value"),
    [
        (rate_limit(7), "retry-after", "7"),
        (rate_limit(0.5), "retry-after", "0.5"),
        (rate_limit(ms=250), "retry-after-ms", "250"),
        (rate_limit(date="Wed, 21 Oct 2030 07:28:00 GMT"), "retry-after", "Wed, 21 Oct 2030 07:28:00 GMT"),
        (rate_limit(), "retry-after", None),
    ],
)
def test_says_when_to_come_back(behaviour: Any, header: str, value: str | None) -> None:
    """429 with seconds, milliseconds, a date, or nothing."""
    with StandIn(POLICY, script=Script(always(behaviour))) as standin, client(standin) as ai:
        with pytest.raises(openai.RateLimitError) as refusal:
            ask(ai)
        assert refusal.value.response.headers.get(header) == value


def test_reset_is_paid_and_not_delivered(standin: StandIn) -> None:
    """An answer that broke off was made and charged; one that never began was not."""
    with client(standin) as ai:
        for name in ("reset_mid_body", "closed"):
            with pytest.raises(openai.APIConnectionError):
                ask(ai, f"x [[behaviour:{name}]]")
    assert [(call.paid, call.delivered) for call in standin.calls.all()] == [(True, False), (False, False)]
    assert standin.calls.paid_by_text(delivered_only=True) == {}


def test_notices_that_the_client_left() -> None:
    """A call that the client gave up is noted at once, long before the hang is over: paid, not delivered."""
    with StandIn(POLICY, script=Script(always(hang(3600)))) as standin, client(standin, timeout=0.2) as ai:
        with pytest.raises(openai.APITimeoutError):
            ask(ai)
        wait_until(lambda: standin.calls.all()[0].status == 200)
        assert standin.calls.all()[0].delivered is False


def test_closing_ends_what_hangs() -> None:
    """Closing cuts open connections, waits for their threads, and the client is told."""
    before = threading.active_count()
    with ThreadPoolExecutor(1) as pool:
        with StandIn(POLICY, script=Script(always(hang(3600)))) as standin:
            ai = client(standin)
            asking = pool.submit(outcome, ai, "lovely")
            wait_until(lambda: len(standin.calls) == 1)
        assert asking.result(timeout=10) is openai.APIConnectionError
    ai.close()
    assert threading.active_count() == before


def test_counts_under_concurrency() -> None:
    """Of 300 calls by 16 threads none is lost, the share of 429s is the seed's, and the overlap is seen."""
    script = Script(share(0.2, "rate_limit", seed=5))
    with StandIn(POLICY, script=script, latency_s=0.01) as standin:
        with client(standin) as ai, ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: outcome(ai, f"text {n}"), range(300)))
        statuses = standin.calls.statuses()
        assert sum(statuses.values()) == 300 == len(standin.calls.asked_by_text())
        assert len(standin.calls.paid_by_text()) == statuses[200]
        assert 2 <= standin.calls.peak <= 16
        assert standin.calls.summary()["behaviours"] == {"rate_limit": statuses[429]}
    with StandIn(POLICY, script=script) as other, client(other) as ai:
        for n in range(300):
            outcome(ai, f"text {n}")
        assert other.calls.statuses() == statuses
