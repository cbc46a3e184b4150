"""The report as an answer of the web process, under headers that let a browser apply our style and nothing else."""

from __future__ import annotations

from flask import Response
from werkzeug.exceptions import NotFound

from ale.pages.style import style_source
from ml_backend.report.facts import gather
from ml_backend.report.page import report_page
from ml_backend.store import projects
from ml_backend.wiring import Services

_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {style_source()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def report_answer(services: Services, number: int) -> Response:
    """The page of the project with that number: of several over time the connected one, else the newest.

    Raises NotFound, which says what to run, for one that nobody has connected here.
    """
    row = projects.find_by_id(services.db, services.settings.label_studio_url, number)
    if row is None:
        raise NotFound(f"project {number} is not known here: run `ale connect {number}`")
    page = report_page(gather(services, row))
    return Response(page, content_type="text/html; charset=utf-8", headers=_HEADERS)
