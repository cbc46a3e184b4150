"""`ale export`, and the files and jobs of `ale teach`, as a person meets them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ale.errors import ConfigurationError
from ale.io.snapshots import read_snapshot
from ml_backend.cli import app
from ml_backend.settings import Settings
from ml_backend.shots import is_gold
from ml_backend.standin import StandIn
from ml_backend.store import projects, spend, tunings
from ml_backend.store.database import Database
from ml_backend.teach_command.files import run_files
from ml_backend.teach_command.ready import Ready
from ml_backend.teach_command.run import Files, Tuning, Wish
from ml_backend.teach_command.tuning import run_tuning
from ml_backend.wiring import Services
from tests.integration.provider_jobs import AT_ONCE, PROVIDERS, at_provider, hashes, label
from tests.integration.teaching import (
    KEY,
    SPACE,
    add_project,
    environment,
    stand_in,
    stored,
    teaching,
    texts,
    truth,
)

NAMES = [*texts(60), 'quoted, "twice"\nand over two lines; =1+1 is broken']


@pytest.fixture
def db(services: Services) -> Database:
    """A project with labels, on a Label Studio that can not be reached."""
    add_project(services.db, NAMES)
    label(services.db, NAMES)
    return services.db


@pytest.fixture
def server() -> Iterator[StandIn]:
    """The endpoint."""
    with stand_in(NAMES) as standin:
        yield standin


def exported(settings: Settings, out: Path, *more: str) -> str:
    """What the command says."""
    found = CliRunner().invoke(
        app,
        ["export", "1", "--out", str(out), *more],
        env={**environment(settings), "LABEL_STUDIO_API_KEY": "a-token"},
    )
    assert found.exit_code == 0, found.output
    return found.output


def screen() -> tuple[Console, io.StringIO]:
    """A terminal of a hundred columns, and what it shows."""
    out = io.StringIO()
    return Console(file=out, width=100), out


def ready(services: Services, paying: Settings) -> Ready:
    """What `ale teach` has once it has read Label Studio."""
    found = teaching(paying, services.db, NAMES)
    return Ready(Services(paying, services.db, services.marks, services.beliefs), found)


@pytest.mark.usefixtures("db")
def test_training_files_come_with_what_they_are_made_of(settings: Settings, tmp_path: Path) -> None:
    """Without a key, without a call: two files that nobody else may read, their snapshot, tokens and cost."""
    said = exported(settings, tmp_path / "out")
    assert "exporting what was read last" in " ".join(said.split())
    assert "$" in said
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for side in ("train", "validation"):
        content = (tmp_path / "out" / f"{side}.jsonl").read_bytes()
        lines = [json.loads(line) for line in content.splitlines()]
        assert len(lines) == manifest["examples"][side] > 0
        assert {tuple(m["role"] for m in line["messages"]) for line in lines} == {
            ("system", "user", "assistant")
        }
        assert manifest["sha256"][f"{side}.jsonl"] == hashlib.sha256(content).hexdigest()
        assert (tmp_path / "out" / f"{side}.jsonl").stat().st_mode & 0o77 == 0
    assert sorted(manifest["labels"].values()) == sorted(SPACE.labels)
    assert manifest["tokens"]["trained"] == manifest["epochs"] * manifest["tokens"]["per_epoch"]
    assert manifest["usd"] == pytest.approx(manifest["tokens"]["trained"] * 5.0 / 1e6)
    rows = read_snapshot(settings.home / "snapshots" / KEY, manifest["snapshot"])
    assert len(list(rows)) == len(NAMES)
    again = exported(settings, tmp_path / "again")
    assert " ".join(again.split()).replace("/again.", "/out.") == " ".join(said.split())
    assert (tmp_path / "again" / "train.jsonl").read_bytes() == (
        tmp_path / "out" / "train.jsonl"
    ).read_bytes()


@pytest.mark.usefixtures("db")
def test_labels_come_as_a_table_with_their_provenance(settings: Settings, tmp_path: Path) -> None:
    """CSV and JSONL hold the same rows, whatever stands in the texts."""
    exported(settings, tmp_path / "csv", "--format", "csv")
    exported(settings, tmp_path / "jsonl", "--format", "jsonl")
    with (tmp_path / "csv" / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = (tmp_path / "jsonl" / "labels.jsonl").read_text().splitlines()
    assert [{name: str(value) for name, value in json.loads(line).items()} for line in lines] == rows
    assert {row["text"]: row["label"] for row in rows} == truth(NAMES)
    assert {(row["provenance"], row["annotator"]) for row in rows} == {("human", "7")}
    assert all((row["side"] == "validation") == is_gold(KEY, row["text_hash"]) for row in rows)


def test_a_project_that_is_not_known_is_one_line(settings: Settings, tmp_path: Path) -> None:
    """Exit code 2, and nothing is written."""
    found = CliRunner().invoke(
        app,
        ["export", "9", "--out", str(tmp_path / "out")],
        env={**environment(settings), "LABEL_STUDIO_API_KEY": "a-token"},
    )
    assert found.exit_code == 2
    assert "ale connect 9" in found.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_fine_tuning_is_shown_first_then_done_then_registered(
    services: Services, settings: Settings, db: Database, server: StandIn, provider: str
) -> None:
    """The plan with its cost; with --yes the job; at the end the line to set, and nothing is set by itself."""
    paying = at_provider(settings, provider, server.azure_endpoint)
    console, out = screen()
    assert run_tuning(console, ready(services, paying), yes=False, patience=AT_ONCE)[0] == 0
    assert "ale teach 1 --finetune --yes" in out.getvalue()
    assert "at most $" in out.getvalue()
    assert list(tunings.every(db, KEY)) == []
    console, out = screen()
    code, told = run_tuning(
        console, ready(services, paying), yes=True, base="gpt-4.1-mini-2025-04-14", patience=AT_ONCE
    )
    assert (code, told["state"]) == (0, "succeeded")
    assert f"ALE_TEACHER={told['teacher']}" in out.getvalue()
    assert ("az cognitiveservices" in out.getvalue()) == (provider == "azure")


@pytest.mark.usefixtures("db")
def test_a_job_that_somebody_left_is_found_again(
    services: Services, settings: Settings, server: StandIn
) -> None:
    """Ctrl+C while it runs; the next look needs no second --yes and starts no second job."""

    def leave(_: float) -> None:
        raise KeyboardInterrupt

    paying = at_provider(settings, "openai", server.azure_endpoint)
    console, out = screen()
    code, told = run_tuning(
        console, ready(services, paying), yes=True, patience=replace(AT_ONCE, sleep=leave)
    )
    assert (code, told) == (1, {"stopped": True})
    assert "finds the job again" in out.getvalue()
    code, told = run_tuning(screen()[0], ready(services, paying), yes=False, patience=AT_ONCE)
    assert (code, told["state"], told["job"]) == (0, "succeeded", "ftjob-stand-in-1")


def test_a_batch_is_sent_once_somebody_has_agreed(
    services: Services, settings: Settings, server: StandIn
) -> None:
    """Before that nothing is sent; then the answers are there, for a sum that is shown."""
    add_project(services.db, NAMES)
    paying = at_provider(settings, "openai", server.azure_endpoint)
    console, out = screen()
    with pytest.raises(ConfigurationError, match="--yes"):
        run_files(console, ready(services, paying), patience=AT_ONCE)
    assert len(server.calls) == 0
    sent = run_files(console, ready(services, paying).agree(), patience=AT_ONCE)
    assert not sent.ended_early
    assert f"{len(NAMES) - 1} of {len(NAMES) - 1} texts are settled by files, for $" in out.getvalue()
    assert stored(services.db).keys() == hashes(NAMES)


def test_what_a_budget_leaves_out_is_not_asked_at_the_full_price(
    services: Services, settings: Settings, server: StandIn
) -> None:
    """The command ends and says how to go on."""
    add_project(services.db, NAMES)
    paying = at_provider(settings, "openai", server.azure_endpoint, budget_tokens=20_000)
    console, out = screen()
    sent = run_files(console, ready(services, paying).agree(), patience=AT_ONCE)
    assert sent.ended_early
    assert "no room for" in out.getvalue()
    assert spend.spent(services.db, KEY).tokens <= 20_000
    assert projects.get(services.db, KEY).paid_teacher


def test_options_that_contradict_each_other_are_refused() -> None:
    """Before anything is read."""
    for wish in (
        {"files": Files(wanted=True), "tuning": Tuning(wanted=True)},
        {"files": Files(wanted=True), "sample": 3},
        {"tuning": Tuning(wanted=True), "again": True},
    ):
        with pytest.raises(ConfigurationError, match="--batch"):
            Wish(**wish)  # type: ignore[arg-type]
