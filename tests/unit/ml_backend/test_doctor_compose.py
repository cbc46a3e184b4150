"""Inside the compose stack the doctor names lines of docker-compose.yml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ml_backend.doctor.compose import LINES, in_compose
from ml_backend.doctor.findings import broken, works
from ml_backend.doctor.studio import SUBNETS

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())


def test_what_works_stays() -> None:
    """There is nothing to change."""
    assert in_compose(works("redis", "answers")) == works("redis", "answers")


@pytest.mark.parametrize("hop", LINES)
def test_a_hop_that_fails_has_its_line(hop: str) -> None:
    """Instead of the one for a machine without containers."""
    finding = in_compose(broken(hop, "what was seen", "run: ale worker"))
    assert (finding.hop, finding.seen, finding.fix) == (hop, "what was seen", LINES[hop])


def test_named_services_exist() -> None:
    """A line that names a service which is not there helps nobody."""
    for line in LINES.values():
        for command in ("up -d", "restart", "logs"):
            _, found, rest = line.partition(f"docker compose {command} ")
            if found:
                assert rest.split()[0].strip("),") in COMPOSE["services"]


def test_the_guard_of_label_studio_is_named_with_its_line() -> None:
    """And what to do once it is open."""
    blocked = broken(
        "project 3: Label Studio to ALE", "reserved", f"start Label Studio with {SUBNETS}; run: ale connect 3"
    )
    fix = in_compose(blocked).fix
    assert "service label-studio, line USE_DEFAULT_BANNED_SUBNETS" in fix
    assert fix.endswith("docker compose up -d label-studio; run: docker compose exec backend ale connect 3")
    assert "USE_DEFAULT_BANNED_SUBNETS" in COMPOSE["services"]["label-studio"]["environment"]


def test_commands_run_inside_the_container() -> None:
    """As one types them outside."""
    finding = in_compose(broken("project 3: order", "random", "wait for the first pass; see `ale status`"))
    assert finding.fix == "wait for the first pass; see docker compose exec backend ale status"
