"""`python -m ml_backend.standin`: a stand-in, on loopback unless told otherwise, until Ctrl+C."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from ale.errors import UnknownName
from ml_backend.standin.policies import KeywordPolicy, Policy, RecordedPolicy
from ml_backend.standin.profiles import PROFILES
from ml_backend.standin.server import StandIn


def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 = any free one.")] = 8099,
    profile: Annotated[str, typer.Option(help=f"What it can do: {', '.join(PROFILES)}.")] = "full",
    latency_s: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0.3,
    stage_s: Annotated[float, typer.Option(min=0, help="Seconds per stage of a job; 0 = per look.")] = 2.0,
    recorded: Annotated[Path | None, typer.Option(help="CSV with answers to replay.", exists=True)] = None,
    text: Annotated[str, typer.Option(help="Column of the texts in that CSV.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the answers in that CSV.")] = "label",
) -> None:
    """Answer as OpenAI's and Azure OpenAI's endpoints do, from keywords or recorded answers. It is not GPT."""
    if profile not in PROFILES:
        raise typer.BadParameter(str(UnknownName("profile", profile, list(PROFILES))))
    policy: Policy = KeywordPolicy() if recorded is None else RecordedPolicy(_answers(recorded, text, label))
    try:
        started = StandIn(
            policy, profile=PROFILES[profile], latency_s=latency_s, host=host, port=port, stage_s=stage_s
        )
    except OSError as error:
        typer.echo(f"stand-in: port {port} cannot be listened on: {error.strerror}; try --port 0", err=True)
        raise typer.Exit(2) from error
    with started as standin:
        typer.echo("This is a stand-in, not GPT: its answers are no model's. Any key will do.")
        typer.echo(f"OPENAI_BASE_URL={standin.base_url}")
        typer.echo(f"AZURE_OPENAI_ENDPOINT={standin.azure_endpoint}")
        try:
            standin.wait()
        except KeyboardInterrupt:
            typer.echo(str(standin.calls.summary()))


def _answers(path: Path, text: str, label: str) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row[text]: row[label] for row in csv.DictReader(file)}


if __name__ == "__main__":
    typer.run(main)
