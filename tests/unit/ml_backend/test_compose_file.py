"""docker-compose.yml keeps its promises: nothing open, nothing privileged, every variable explained."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_backend.compose.first_start import SECRETS
from ml_backend.settings import Settings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
USED = set(re.findall(r"\$\{([A-Z_]+)", TEXT))


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    """No writable image, no capability, no new privileges, no root that we could do without."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user") != "root"
    assert not service["image"].endswith(":latest") or service["image"].startswith("${ALE_IMAGE")


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "secrets"])
def test_a_service_that_runs_is_watched_and_limited(name: str) -> None:
    """Health, memory, and it comes back."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["restart"] == "unless-stopped"


def test_ports_are_open_to_this_machine_only() -> None:
    """Unless somebody says otherwise in .env."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(re.match(r"\$\{[A-Z_]+_BIND:-127\.0\.0\.1\}:", port) for port in ports)
    assert not any("ports" in SERVICES[name] for name in ("postgres", "redis", "worker"))


def test_every_variable_is_in_the_example() -> None:
    """And the example has none that nobody reads."""
    explained = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, flags=re.MULTILINE))
    assert USED - explained == {"USE_DEFAULT_BANNED_SUBNETS"}  # on purpose: to be left alone
    assert explained - USED == {"COMPOSE_PROFILES"}  # compose reads that one itself
    assert all(line.startswith("#") for line in EXAMPLE.splitlines() if line), "the example sets nothing"


def test_no_secret_has_a_default() -> None:
    """Random, or given."""
    names = {secret.name for secret in SECRETS} | {
        "LABEL_STUDIO_API_KEY",
        "OPENAI_API_KEY",
        "AZURE_OPENAI_API_KEY",
    }
    assert names <= USED
    for name in names:
        assert set(re.findall(rf"\$\{{{name}([^A-Z}}][^}}]*)\}}", TEXT)) == {":-"}


def test_what_ale_is_given_are_settings() -> None:
    """A misspelt variable would be ignored in silence."""
    aliases = {field.alias for field in Settings.model_fields.values()}
    theirs = {"HF_HOME", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}  # libraries read these
    assert set(SERVICES["backend"]["environment"]) <= aliases | theirs
    assert set(SERVICES["worker"]["environment"]) <= aliases | theirs


def test_redis_is_out_of_reach_of_label_studio() -> None:
    """Its users can name addresses that its server then calls."""
    assert not set(SERVICES["redis"]["networks"]) & set(SERVICES["label-studio"]["networks"])
    assert COMPOSE["networks"]["queue"] == {"internal": True}


def test_every_setting_is_passed_on() -> None:
    """But those that the stack decides itself, and files that are not in the image."""
    decided = {"ALE_HOST", "ALE_PORT", "ALE_PRICES", "ALE_STORE_URL", "MODEL_DIR", "ALE_ALIVE_FILE"}
    secret = {"DATABASE_URL", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS", "ALE_WEBHOOK_SECRET"}
    aliases = {str(field.alias) for field in Settings.model_fields.values()}
    assert aliases - set(SERVICES["backend"]["environment"]) == decided | secret


def test_label_studio_calls_the_network_of_the_file_and_no_other_private_one() -> None:
    """Its own list is off: this one has all of it but that network."""

    def default(name: str) -> str:
        found = re.search(rf"\$\{{{name}:-([^}}]*)\}}", TEXT)
        assert found
        return found[1]

    banned = [ip_network(one) for one in default("USER_ADDITIONAL_BANNED_SUBNETS").split(",")]
    ours = IPv4Network(default("STUDIO_SUBNET"))
    fours = [net for net in banned if isinstance(net, IPv4Network)]
    assert not any(ours.overlaps(net) for net in fours)
    private = [
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
    ]
    for net in map(IPv4Network, private):
        left = [net]
        for ban in fours:
            left = [rest for one in left for rest in without(one, ban)]
        assert left == ([ours] if ours.subnet_of(net) else [])
    for address in (
        "0.0.0.0",  # noqa: S104 - to be refused
        "::1",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
    ):
        assert any(ip_address(address) in net for net in banned), address


def without(net: IPv4Network, ban: IPv4Network) -> list[IPv4Network]:
    """What is left of a network."""
    if net.subnet_of(ban):
        return []
    return list(net.address_exclude(ban)) if ban.subnet_of(net) else [net]


def test_a_backup_holds_every_volume_but_the_queue() -> None:
    """Redis may be lost."""
    found = re.search(
        r'^volumes="([^"]*)"', (ROOT / "ml_backend/compose/volumes.sh").read_text(), re.MULTILINE
    )
    assert found
    assert set(found[1].split()) == set(COMPOSE["volumes"]) - {"redis"}
