"""Secrets of the compose stack: made once, kept, each where its reader is and nowhere else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from sqlalchemy.engine import make_url

from ale.errors import ConfigurationError
from ml_backend.compose.first_start import SECRETS, provide
from ml_backend.settings import load_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The three volumes, empty."""
    for reader in ("postgres", "label-studio", "ale"):
        (tmp_path / reader).mkdir()
    return tmp_path


def read(root: Path) -> dict[str, str]:
    """Every file's content by its path."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_second_start_changes_nothing(root: Path) -> None:
    """Else Postgres and Label Studio would be locked out of what they keep."""
    assert provide(root, {}) == [secret.name for secret in SECRETS]
    before = read(root)
    assert provide(root, {}) == []
    assert read(root) == before


def test_two_stacks_have_nothing_in_common(root: Path, tmp_path: Path) -> None:
    """No default that everybody knows."""
    other = tmp_path / "other"
    for reader in ("postgres", "label-studio", "ale"):
        (other / reader).mkdir(parents=True)
    provide(root, {})
    provide(other, {})
    ours = {path: value for path, value in read(root).items() if not path.startswith("other/")}
    theirs = read(other)
    assert ours.keys() == theirs.keys()
    assert not set(ours.values()) & set(theirs.values())
    assert all(len(value) >= 24 for value in ours.values())


def test_who_reads_what(root: Path) -> None:
    """Label Studio cannot open ALE's database, ALE not Label Studio's, and only Postgres knows its own user."""
    provide(root, {})
    assert set(read(root)) == {
        "postgres/POSTGRES_PASSWORD",
        "postgres/POSTGRE_PASSWORD",
        "postgres/ALE_POSTGRES_PASSWORD",
        "label-studio/POSTGRE_PASSWORD",
        "label-studio/LABEL_STUDIO_PASSWORD",
        "label-studio/LABEL_STUDIO_USER_TOKEN",
        "ale/ALE_POSTGRES_PASSWORD",
        "ale/BASIC_AUTH_PASS",
        "ale/ALE_WEBHOOK_SECRET",
        "ale/LABEL_STUDIO_API_KEY",
        "ale/DATABASE_URL",
    }
    assert read(root)["ale/LABEL_STUDIO_API_KEY"] == read(root)["label-studio/LABEL_STUDIO_USER_TOKEN"]
    # Other users in other containers read them: the volume is what keeps others out.
    modes = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}
    assert modes == {0o444}


@pytest.mark.parametrize("reader", ["postgres", "label-studio"])
def test_a_reader_waits_for_the_last_of_its_secrets(reader: str) -> None:
    """Begun with half of them, Postgres would give its users no password."""
    last = [secret.name for secret in SECRETS if reader in secret.readers][-1]
    service = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())["services"][
        reader
    ]
    assert f"until [ -s /run/secrets/ale/{last} ]" in str(service.get("entrypoint") or service["command"])


def test_a_value_of_ones_own_wins_and_may_be_changed(root: Path) -> None:
    """What only ALE keeps can be replaced at any time."""
    provide(root, {})
    assert provide(root, {"BASIC_AUTH_PASS": "mine", "LABEL_STUDIO_API_KEY": "a-new-token"}) == [
        "BASIC_AUTH_PASS"
    ]
    assert read(root)["ale/BASIC_AUTH_PASS"] == "mine"
    assert read(root)["ale/LABEL_STUDIO_API_KEY"] == "a-new-token"
    assert provide(root, {"BASIC_AUTH_PASS": "mine"}) == []
    assert read(root)["ale/LABEL_STUDIO_API_KEY"] == read(root)["label-studio/LABEL_STUDIO_USER_TOKEN"]


@pytest.mark.parametrize(
    "name",
    [
        "POSTGRES_PASSWORD",
        "POSTGRE_PASSWORD",
        "ALE_POSTGRES_PASSWORD",
        "LABEL_STUDIO_PASSWORD",
        "LABEL_STUDIO_USER_TOKEN",
    ],
)
def test_what_is_kept_elsewhere_is_refused_when_changed(root: Path, name: str) -> None:
    """With the way to change it, and nothing is written."""
    first, another = "1" * 40, "2" * 40
    provide(root, {name: first})
    before = read(root)
    changed = {name: another, "BASIC_AUTH_PASS": "mine"}
    with pytest.raises(ConfigurationError, match=rf"{name} in \.env .* SECRETS_ACCEPT={name}"):
        provide(root, changed)
    assert read(root) == before
    assert name in provide(root, {**changed, "SECRETS_ACCEPT": name})
    assert another in "".join(read(root).values())
    assert first not in "".join(read(root).values())
    assert provide(root, changed) == [], "once is enough"


def test_blanks_around_a_value_do_not_count(root: Path) -> None:
    """An editor may leave one: it would be another value at every start."""
    provide(root, {"LABEL_STUDIO_PASSWORD": "abc "})
    assert read(root)["label-studio/LABEL_STUDIO_PASSWORD"] == "abc"
    assert provide(root, {"LABEL_STUDIO_PASSWORD": "abc "}) == []


def test_a_token_that_label_studio_would_not_take_is_refused(root: Path) -> None:
    """It has forty digits; others would leave ALE locked out."""
    with pytest.raises(ConfigurationError, match="40 hexadecimal digits"):
        provide(root, {"LABEL_STUDIO_USER_TOKEN": "short"})
    assert read(root) == {}


def test_a_database_password_may_hold_anything(root: Path) -> None:
    """It stands in an address."""
    provide(root, {"ALE_POSTGRES_PASSWORD": "p@ss/w:rd%?#"})
    assert make_url(read(root)["ale/DATABASE_URL"]).password == "p@ss/w:rd%?#"


def test_settings_read_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is set in the environment wins; a folder that is not there stops the start."""
    provide(root, {})
    for name in ("BASIC_AUTH_PASS", "DATABASE_URL", "LABEL_STUDIO_API_KEY", "ALE_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALE_SECRETS_DIR", str(root / "ale"))
    monkeypatch.setenv("BASIC_AUTH_USER", "ale")
    settings = load_settings(home=tmp_path)
    assert settings.has_password
    assert settings.database.startswith("postgresql")
    assert settings.webhook_secret == read(root)["ale/ALE_WEBHOOK_SECRET"]
    monkeypatch.setenv("BASIC_AUTH_PASS", "from the environment")
    assert load_settings(home=tmp_path).basic_auth_pass.get_secret_value() == "from the environment"
    monkeypatch.setenv("ALE_SECRETS_DIR", str(root / "nowhere"))
    with pytest.raises(ConfigurationError, match=r"ALE_SECRETS_DIR=.*nowhere"):
        load_settings(home=tmp_path)
