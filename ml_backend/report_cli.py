"""`ale report`: the page that the web process shows, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ale.errors import ConfigurationError

app = typer.Typer()


@app.command()
def report(
    project: Annotated[int, typer.Argument(min=1, help="The project's number, as in its address.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write a page with plots: learning curve, calibration, teacher and student per label, spend, queue, review."""
    from ml_backend.private_files import write_private
    from ml_backend.report.facts import gather
    from ml_backend.report.page import report_page
    from ml_backend.settings import load_settings
    from ml_backend.store import projects
    from ml_backend.wiring import build_services

    if out.suffix.lower() not in {".html", ".htm"}:
        raise ConfigurationError(f"--out {out}: the report is written as .html")
    services = build_services(load_settings(), redis_timeout_s=1.0, redis_needed=False)
    try:
        row = projects.find_by_id(services.db, services.settings.label_studio_url, project)
        if row is None:
            raise ConfigurationError(f"project {project} is not known here: run `ale connect {project}`")
        page = report_page(gather(services, row))
    finally:
        services.db.dispose()
    try:
        write_private(out, page)
    except OSError as error:
        raise ConfigurationError(f"cannot write {out}: {error.strerror}") from error
    typer.echo(f"{out} is written. The web process shows it at {services.settings.report_address(project)}")
