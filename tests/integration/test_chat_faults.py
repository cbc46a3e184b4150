"""Each way in which an endpoint can fail: which error it becomes, how often it was asked, what it cost."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import traceback
from email.utils import format_datetime

import pytest

from ale.errors import ConfigurationError, ContentFiltered, TeacherRefused, TeacherUnavailable
from ale.io.chat import ChatSpec, make_chat
from ale.io.chat.faults import retry_after
from ale.io.chat.openai_chat import OpenAIChat
from ale.types import Usage
from ml_backend.standin import Script, StandIn, always, error, hang, on_calls, rate_limit
from ml_backend.standin.behaviours import Behaviour
from ml_backend.standin.errors import ApiError
from tests.integration.chats import (
    FULL_POWER,
    KEY,
    MAKERS,
    POLICY,
    TEXT,
    Maker,
    Polite,
    openai_chat,
    question,
)

each_endpoint = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)

REFUSED = {
    "quota": "insufficient_quota",
    "unauthorized": "unauthorized",
    "forbidden": "forbidden",
    "not_found": "model_not_found",
    "bad_request": "bad_request",
}
TRANSIENT: dict[str, tuple[Behaviour | str, str, bool]] = {
    # behaviour, reason, whether the provider may have charged it
    "429": (rate_limit(), "rate_limited", False),
    "429-seconds": (rate_limit(2), "rate_limited", False),
    "429-milliseconds": (rate_limit(ms=1500), "rate_limited", False),
    "408": (error(408), "timeout", True),
    "409": (error(409), "server_error", False),
    "500": (error(500), "server_error", False),
    "502": (error(502), "gateway_error", True),
    "503": (error(503), "server_error", False),
    "504": (error(504), "gateway_error", True),
    "reset": ("reset_mid_body", "interrupted", True),
    "closed": ("closed", "interrupted", True),
    "html": ("html", "not_an_api", True),
}
ECHO = ApiError(500, f"cannot serve {TEXT} to {KEY}", param=TEXT, code=KEY)
BAD: dict[str, Behaviour | str] = {
    "echo": Behaviour("echo", refuse=ECHO),
    **{name: name for name in (*REFUSED, "content_filter_both")},
    **{name: behaviour for name, (behaviour, _, _) in TRANSIENT.items()},
}


@each_endpoint
@pytest.mark.parametrize(("behaviour", "reason"), REFUSED.items(), ids=REFUSED)
def test_refused_is_asked_once(make: Maker, behaviour: str, reason: str) -> None:
    """What only a person can change costs one call, no wait and no money, and then the breaker is open."""
    with StandIn(POLICY, script=Script(always(behaviour))) as standin:
        polite = Polite(make(standin, known=FULL_POWER))
        for _ in range(3):
            with pytest.raises(TeacherRefused) as caught:
                polite.ask()
            assert caught.value.reason == reason
        assert len(standin.calls) == 1
        assert polite.time.slept == []
        assert (polite.meter.tokens, polite.meter.open) == (0, 0)


@each_endpoint
@pytest.mark.parametrize(("behaviour", "reason", "charged"), TRANSIENT.values(), ids=TRANSIENT)
def test_transient_is_asked_again_in_bounds(
    make: Maker, behaviour: Behaviour | str, reason: str, charged: bool
) -> None:
    """A fault that stays is asked five times, then said; only calls of unknown fate count as spent."""
    with StandIn(POLICY, script=Script(always(behaviour))) as standin:
        polite = Polite(make(standin, known=FULL_POWER))
        with pytest.raises(TeacherUnavailable) as caught:
            polite.ask()
        assert not isinstance(caught.value, TeacherRefused)
        assert caught.value.reason == reason
        assert len(standin.calls) == 5
        assert len(polite.time.slept) == 4
        assert (polite.meter.tokens > 0) == charged
        assert polite.meter.usage == Usage()
        assert polite.meter.open == 0


@each_endpoint
@pytest.mark.parametrize("behaviour", [b for b, _, _ in TRANSIENT.values()], ids=TRANSIENT)
def test_transient_recovers(make: Maker, behaviour: Behaviour | str) -> None:
    """After two faults the third attempt is answered."""
    with StandIn(POLICY, script=Script(on_calls([1, 2], behaviour))) as standin:
        polite = Polite(make(standin, known=FULL_POWER))
        assert polite.ask().content == '{"label":"Complaint"}'
        assert len(standin.calls) == 3
        assert polite.meter.usage == standin.calls.all()[2].usage


@each_endpoint
@pytest.mark.parametrize("shape", ["content_filter_code", "content_filter_inner", "content_filter_both"])
def test_content_filter_in_a_400(make: Maker, shape: str) -> None:
    """The filter's 400 in each of its forms concerns that question only: one call, free, and the next goes on."""
    with StandIn(POLICY, script=Script(on_calls([1], shape))) as standin:
        polite = Polite(make(standin, known=FULL_POWER))
        with pytest.raises(ContentFiltered):
            polite.ask()
        assert len(standin.calls) == 1
        assert polite.meter.tokens == 0
        assert polite.ask().finish_reason == "stop"


@each_endpoint
@pytest.mark.parametrize(
    ("behaviour", "finish_reason"),
    [("content_filter_finish", "content_filter"), ("truncated", "length"), ("refusal", "stop")],
)
def test_answers_that_are_none_are_passed_on(make: Maker, behaviour: str, finish_reason: str) -> None:
    """A 200 is an answer and is paid for, whatever it says; its finish reason and refusal are passed on."""
    with StandIn(POLICY, script=Script(always(behaviour))) as standin:
        polite = Polite(make(standin, known=FULL_POWER))
        reply = polite.ask()
        assert reply.finish_reason == finish_reason
        assert (reply.refusal is not None) == (behaviour == "refusal")
        assert polite.meter.usage == standin.calls.usage()
        assert len(standin.calls) == 1


def test_question_beyond_the_context_is_cut_off() -> None:
    """A question that is too long reads as an answer without room; it costs nothing, and others are asked."""
    too_long = Behaviour("too_long", refuse=ApiError(400, "no", code="context_length_exceeded"))
    with StandIn(POLICY, script=Script(on_calls([1], too_long))) as standin:
        polite = Polite(openai_chat(standin, known=FULL_POWER))
        assert polite.ask().finish_reason == "length"
        assert polite.meter.tokens == 0
        assert polite.ask().finish_reason == "stop"


@each_endpoint
def test_hanging_server_meets_the_deadline(make: Maker) -> None:
    """A server that does not answer in time counts as spent: the answer may have been made."""
    with StandIn(POLICY, script=Script(always(hang(30)))) as standin:
        polite = Polite(make(standin, known=FULL_POWER, timeout_s=0.2), attempts=2)
        with pytest.raises(TeacherUnavailable) as caught:
            polite.ask()
        assert caught.value.reason == "timeout"
        assert len(standin.calls) == 2
        assert polite.meter.tokens > 0


def test_dripping_server_meets_the_deadline() -> None:
    """A server that sends a byte now and then, and so never lets a read time out, is left at the deadline."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n")
        try:
            for _ in range(60):
                writer.write(b" ")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        if not await reader.read(65536):
                            break  # the client has left
        finally:
            writer.close()
            left.set()

    async def ask() -> None:
        async with await asyncio.start_server(drip, "127.0.0.1") as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            try:
                await OpenAIChat("m", KEY, url, known=FULL_POWER, timeout_s=0.3).complete(question())
            finally:
                await left.wait()

    left = asyncio.Event()
    with pytest.raises(TeacherUnavailable) as caught:
        asyncio.run(ask())
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/v1", "connection refused"),
        ("http://no-such-host.invalid/v1", "DNS"),
        ("https://127.0.0.1:{port}/v1", "TLS"),
    ],
)
def test_unreachable(url: str, words: str) -> None:
    """Refused, unknown and speaking no TLS are told apart; nothing was sent, so nothing was spent."""
    with StandIn(POLICY) as standin:
        polite = Polite(OpenAIChat("m", KEY, url.format(port=standin.port), known=FULL_POWER), attempts=2)
        with pytest.raises(TeacherUnavailable, match=words) as caught:
            polite.ask()
        assert caught.value.reason == "unreachable"
        assert (polite.meter.tokens, polite.meter.open) == (0, 0)
        assert len(standin.calls) == 0


@each_endpoint
@pytest.mark.parametrize("behaviour", BAD.values(), ids=BAD)
def test_nothing_secret_is_said(
    make: Maker, behaviour: Behaviour | str, caplog: pytest.LogCaptureFixture
) -> None:
    """No error, no traceback and no log line, ours or a library's, holds the key or the text."""
    caplog.set_level(logging.DEBUG)
    with StandIn(POLICY, script=Script(always(behaviour))) as standin:
        polite = Polite(make(standin, known=FULL_POWER), attempts=2)
        with pytest.raises((TeacherUnavailable, ContentFiltered)) as caught:
            polite.ask()
    said = ("".join(traceback.format_exception(caught.value)) + caplog.text).casefold()
    assert TEXT.casefold() not in said
    assert KEY.casefold() not in said


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-\u00e9", "sk a"])
def test_impossible_key_stops_at_once(key: str) -> None:
    """A key with characters that no header can hold is refused before a library quotes it."""
    with pytest.raises(ConfigurationError) as caught:
        OpenAIChat("m", key, "http://127.0.0.1:9/v1")
    assert key not in str(caught.value)


def test_missing_settings_are_named() -> None:
    """Without a key, an API version or an address the message names what to set."""
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        make_chat(ChatSpec("gpt-4.1-mini"))
    with pytest.raises(ConfigurationError, match="OPENAI_API_VERSION"):
        make_chat(ChatSpec("m", provider="azure", api_key=KEY, url="https://r.openai.azure.com"))
    with pytest.raises(ConfigurationError, match="https://"):
        make_chat(ChatSpec("m", provider="azure", api_key=KEY, api_version="2024-10-21"))
    assert KEY not in repr(ChatSpec("m", api_key=KEY))


def test_retry_after_in_all_its_forms() -> None:
    """Milliseconds win over seconds, a date counts from now, and nonsense is no wish."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert 25 < (retry_after({"retry-after": format_datetime(soon, usegmt=True)}) or 0) <= 30
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    for nonsense in ("", "soon", "nan", "inf", "-3"):
        assert retry_after({"retry-after": nonsense}) is None
