"""ALE_TEACHER: who is meant, what it is called, and what is missing to ask it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ale.errors import ConfigurationError, UnknownName
from ale.io.chat.prices import Tariff, load_prices
from ml_backend.learning import build_learning
from ml_backend.settings import Settings
from ml_backend.teachers import NamedTeacher, price_of
from tests.conftest import make_settings


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    """Settings without any key."""
    return make_settings(tmp_path, "redis://127.0.0.1:1/0", openai_model="gpt-4.1-mini")


def teachers(settings: Settings, said: str, **changes: object) -> tuple[NamedTeacher, ...]:
    """The teachers of ALE_TEACHER=`said`."""
    return build_learning(settings.model_copy(update={"teacher": said, **changes})).teachers


def secret(settings: Settings, value: str) -> object:
    """A key."""
    return type(settings.openai_api_key)(value)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("none", []),
        ("openai", ["openai:gpt-4.1-mini@v1"]),
        ("openai:gpt-5@v1", ["openai:gpt-5@v1"]),
        ("openai:ft:gpt-4.1-mini:org::abc", ["openai:ft:gpt-4.1-mini:org::abc@v1"]),
        ("azure:my-gpt", ["azure:my-gpt@v1"]),
        ("azure:my-gpt=gpt-4.1@v1", ["azure:my-gpt@v1"]),
        ("openai:gpt-4.1-nano, openai:gpt-5", ["openai:gpt-4.1-nano@v1", "openai:gpt-5@v1"]),
    ],
)
def test_the_name_needs_no_key(plain: Settings, said: str, names: list[str]) -> None:
    """Stored answers are found by it also when nobody can be asked any more; their order is that of the setting."""
    found = teachers(plain, said)
    assert [teacher.name for teacher in found] == names
    assert all(teacher.paid and teacher.problem for teacher in found)


def test_another_endpoint_is_another_teacher(plain: Settings) -> None:
    """The same model's name at another server, or at an Azure resource, may mean another model."""
    own = teachers(plain, "openai", openai_base_url="http://localhost:11434/v1")
    azure = teachers(plain, "azure:gpt", azure_endpoint="https://mine.openai.azure.com")
    assert [teacher.name for teacher in (*own, *azure)] == [
        "compatible@localhost:11434:gpt-4.1-mini@v1",
        "azure@mine.openai.azure.com:gpt@v1",
    ]
    assert [teacher.problem for teacher in (*own, *azure)] == ["", ""]  # they need no key of ours


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ("oracle", UnknownName, "azure:DEPLOYMENT"),
        ("azure", UnknownName, "azure:DEPLOYMENT"),
        ("azure:=gpt-4.1", UnknownName, "azure:DEPLOYMENT"),
        ("azure:my-gpt=gpt-4.1,azure:my-gpt=gpt-4o", ConfigurationError, "twice"),
        ("openai@v99", UnknownName, "v1"),
        ("zero-shot@v1", ConfigurationError, "neither models nor prompts"),
        ("none,openai", ConfigurationError, "stands alone"),
        ("openai,openai:gpt-4.1-mini", ConfigurationError, "twice"),
    ],
)
def test_what_can_never_work_stops_the_start(
    plain: Settings, said: str, error: type[ConfigurationError], says: str
) -> None:
    """The message says what is valid."""
    with pytest.raises(error, match=says):
        teachers(plain, said)


def test_a_key_makes_another_chance_and_is_never_shown(plain: Settings) -> None:
    """The breaker of one key does not hold for the next; the key stands in no text."""
    first, second = (
        teachers(plain, "openai", openai_api_key=secret(plain, key))[0] for key in ("sk-first", "sk-second")
    )
    assert (first.name, first.problem) == (second.name, "")
    assert first.endpoint != second.endpoint
    assert "sk-first" not in f"{first} {first.endpoint}"


def test_prices_of_ones_own_come_first(plain: Settings, tmp_path: Path) -> None:
    """A deployment has no price of its own before somebody gives it one."""
    own = tmp_path / "prices.json"
    own.write_text('{"models": {"my-gpt": {"input": 1, "output": 2}}}')
    (deployment,) = teachers(plain, "azure:my-gpt")
    assert price_of(plain, deployment) is None
    price = price_of(plain.model_copy(update={"prices": own}), deployment)
    assert price is not None
    assert (price.input, price.output) == (1, 2)


def test_a_deployment_is_priced_by_the_model_that_it_is_said_to_serve(plain: Settings) -> None:
    """Its own name asks and keys answers; another word for what it serves is another chance."""
    (named,) = teachers(plain, "azure:dep=gpt-4.1", azure_endpoint="https://mine.openai.azure.com")
    (unnamed,) = teachers(plain, "azure:dep", azure_endpoint="https://mine.openai.azure.com")
    assert price_of(plain, named) == load_prices().of("gpt-4.1")
    assert price_of(plain, unnamed) is None
    assert named.name == unnamed.name == "azure@mine.openai.azure.com:dep@v1"
    assert named.endpoint != unnamed.endpoint


@pytest.mark.parametrize(
    ("charged", "answered", "other"),
    [
        ("gpt-4o-mini", "gpt-4-0613", "gpt-4"),
        ("gpt-4o", "gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o", "gpt-4o-2024-08-06", None),
        ("gpt-3.5-turbo", "gpt-35-turbo", None),
        ("gpt-4o", "", None),
        ("gpt-4o", "somebody's name", None),
        ("dep", "gpt-4", None),
        ("my-gpt", "gpt-4", None),
    ],
)
def test_who_answers_at_another_price_is_known_by_name(
    tmp_path: Path, charged: str, answered: str, other: str | None
) -> None:
    """Only names that the table has are compared, and a price of one's own is believed."""
    own = tmp_path / "prices.json"
    own.write_text('{"models": {"my-gpt": {"input": 1, "output": 2}}}')
    tariff = Tariff(load_prices(own), charged, "ALE_TEACHER=azure:dep=")
    assert tariff.other(answered) == other
    refusal = tariff.refusal(answered)
    assert (refusal is None) == (other is None)
    if refusal is not None:
        assert f"set ALE_TEACHER=azure:dep={other}" in str(refusal)


def test_naming_teachers_loads_no_client(plain: Settings) -> None:
    """The web process resolves names at its start; it needs neither `openai` nor torch for that."""
    code = (
        "import sys; from ml_backend.settings import load_settings; from ml_backend.learning import build_learning\n"
        f"build_learning(load_settings(home={str(plain.home)!r}, teacher='openai:gpt-5,azure:x,zero-shot'))\n"
        "assert not {'openai', 'torch', 'transformers', 'tiktoken'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
