"""Settings: wrong values stop the start, no secret is shown, no port is opened by accident."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ale.errors import ConfigurationError, UnknownName
from ale.strategies import STRATEGIES
from ml_backend.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of our variables stands in the environment but the home."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(field.alias or "", raising=False)
    monkeypatch.setenv("ALE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ALE_AUTO_CONNECT", "yes", "'free', 'all' or 'off'"),
        ("ALE_PORT", "0", "greater than or equal to 1"),
        ("ALE_DEBOUNCE_S", "-1", "greater than or equal to 0"),
        ("ALE_BATCH", "many", "valid integer"),
        ("ALE_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LABEL_STUDIO_URL", "localhost:8080", "http:// or https://"),
        ("REDIS_URL", "localhost:6379", "redis://, rediss:// or unix://"),
        ("ALE_KEEP_VERSIONS", "1", "greater than or equal to 2"),
        ("ALE_BUDGET_USD", "-1", "greater than or equal to 0"),
        ("ALE_BUDGET_USD", "inf", "finite number"),
        ("ALE_BUDGET_USD", "nan", "finite number"),
        ("ALE_BUDGET_USD", "1e+300", "less than or equal to 1000000000"),
        ("ALE_LLM_TPM", "inf", "finite number"),
        ("ALE_BUDGET_TOKENS", "1.5", "valid integer"),
        ("ALE_LLM_CONCURRENCY", "0", "greater than or equal to 1"),
        ("OPENAI_BASE_URL", "localhost:8000", "http:// or https://"),
        ("MLFLOW_TRACKING_URI", "file:///mlruns", "sqlite:////absolute/path/mlflow.db"),
        ("MLFLOW_TRACKING_URI", "./mlruns", "http:// or https://"),
        ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db", "sqlite:////absolute/path/mlflow.db"),
        ("MLFLOW_TRACKING_URI", "http://mlflow:port", "http:// or https://"),
    ],
)
def test_a_wrong_value_names_variable_value_and_what_is_valid(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """One readable error before anything starts."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert name in str(raised.value)
    assert value in str(raised.value)
    assert says in str(raised.value)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the settings' own words nor in an error."""
    secrets = (
        "LABEL_STUDIO_API_KEY",
        "BASIC_AUTH_PASS",
        "ALE_WEBHOOK_SECRET",
        "OPENAI_API_KEY",
        "AZURE_OPENAI_API_KEY",
    )
    for name in secrets:
        monkeypatch.setenv(name, "hush-hush")
    assert "hush-hush" not in repr(load_settings())
    monkeypatch.setenv("ALE_PORT", "none")
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert "hush-hush" not in str(raised.value)


def test_a_password_in_mlflows_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the settings, nor where the address is shown, nor in an error about it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:hush-hush@mlflow.test:5000/base/")
    settings = load_settings()
    assert "hush-hush" not in repr(settings)
    assert settings.mlflow_address == "https://mlflow.test:5000/base"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/a@b/mlflow.db")
    assert load_settings().mlflow_address == "sqlite:////data/a@b/mlflow.db"
    for wrong in ("htp://ann:hush-hush@mlflow.test", "ann:hush/hush-hush@mlflow.test"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", wrong)
        with pytest.raises(ConfigurationError, match=r"mlflow\.test") as raised:
            load_settings()
        assert "hush-hush" not in str(raised.value)


def test_empty_variables_are_unset_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a compose file leaves them."""
    monkeypatch.setenv("ALE_PORT", "")
    monkeypatch.setenv("REDIS_URL", "")
    assert load_settings().port == 9090


def test_without_a_password_only_loopback_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unprotected port for others has to be refused, not warned about."""
    assert load_settings().bind_host == "127.0.0.1"
    monkeypatch.setenv("ALE_HOST", "0.0.0.0")  # noqa: S104 - refused
    with pytest.raises(ConfigurationError, match="BASIC_AUTH_USER and BASIC_AUTH_PASS"):
        _ = load_settings().bind_host
    monkeypatch.setenv("BASIC_AUTH_USER", "u")
    with pytest.raises(ConfigurationError):
        _ = load_settings().bind_host
    monkeypatch.setenv("BASIC_AUTH_PASS", "p")
    assert load_settings().bind_host == "0.0.0.0"  # noqa: S104 - with a password


def test_the_webhook_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """Two processes read the same; only our user can."""
    first, second = load_settings(), load_settings()
    assert first.webhook_secret == second.webhook_secret
    assert len(first.webhook_secret) == 64
    assert stat.S_IMODE((tmp_path / "home" / "webhook-secret").stat().st_mode) == 0o600


def test_a_given_webhook_secret_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And nothing is written."""
    monkeypatch.setenv("ALE_WEBHOOK_SECRET", "given")
    assert load_settings().webhook_secret == "given"
    assert not (tmp_path / "home").exists()


def test_where_things_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the home, unless a variable says otherwise; the store's address comes before the folder."""
    home = tmp_path / "home"
    assert load_settings().database == f"sqlite:///{home / 'ale.db'}"
    assert load_settings().checkpoints == str(home / "models")
    monkeypatch.setenv("MODEL_DIR", "/models")
    assert load_settings().checkpoints == "/models"
    monkeypatch.setenv("ALE_STORE_URL", "s3://bucket/ale")
    assert load_settings().checkpoints == "s3://bucket/ale"


def test_the_shells_own_variables_are_not_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HOME, HOST, PORT, URL and the like belong to the shell: only the documented names count."""
    monkeypatch.delenv("ALE_HOME", raising=False)
    for name, value in {
        "HOME": str(tmp_path),
        "HOST": "mybox",
        "PORT": "abc",
        "URL": "x",
        "TEACHER": "y",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.home != tmp_path
    assert (settings.host, settings.port, settings.teacher) == ("", 9090, "zero-shot")


def test_an_unknown_override_is_refused() -> None:
    """A misspelt name never silently does nothing."""
    with pytest.raises(UnknownName, match="ALE_HOME"):
        load_settings(hom="x")


def test_the_strategies_named_are_those_that_exist() -> None:
    """Who reads the table of settings learns every name, and no other."""
    said = (Settings.model_fields["strategy"].description or "").partition(": ")[2]
    assert [name.strip(" `.") for name in said.split(",")] == list(STRATEGIES)
