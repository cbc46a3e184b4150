"""`ale serve-model`: a model folder as an HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ale.errors import ConfigurationError

if TYPE_CHECKING:
    from ale.cascade import Cascade
    from ale.model import Model

app = typer.Typer()

_WHO, _LIMITS, _MODEL = "Who may ask", "Limits", "Model"


@app.command("serve-model")
def serve_model(
    model: Annotated[
        str, typer.Argument(metavar="DIR", help="Model folder that `ale fit` made, or its URL.")
    ],
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; loopback without password or token.", rich_help_panel=_WHO),
    ] = "",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port to listen on.", rich_help_panel=_WHO)
    ] = 9191,
    token: Annotated[
        str,
        typer.Option(
            envvar="ALE_SERVE_TOKEN",
            help="Bearer token that is asked for; others on the machine see it if it is given here.",
            rich_help_panel=_WHO,
        ),
    ] = "",
    user: Annotated[
        str, typer.Option(envvar="BASIC_AUTH_USER", help="Or Basic credentials.", rich_help_panel=_WHO)
    ] = "",
    password: Annotated[
        str, typer.Option(envvar="BASIC_AUTH_PASS", help="Likewise.", rich_help_panel=_WHO)
    ] = "",
    max_batch: Annotated[
        int, typer.Option(min=1, max=100_000, help="Texts in one request.", rich_help_panel=_LIMITS)
    ] = 1_000,
    max_body: Annotated[
        int, typer.Option(min=1_000, max=1_000_000_000, help="Bytes of one request.", rich_help_panel=_LIMITS)
    ] = 8 * 1024 * 1024,
    threads: Annotated[
        int, typer.Option(min=1, max=256, help="Requests that are answered at once.", rich_help_panel=_LIMITS)
    ] = 4,
    below: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Leave texts of a lower confidence to the encoder student.",
            rich_help_panel=_MODEL,
        ),
    ] = 0.0,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The same, for as little as reaches this accuracy on the texts held out from `ale fit`.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
) -> None:
    """Serve a model: POST /v1/classify, a page at /docs, counters at /metrics. Needs no Label Studio."""
    from ale.loading import load
    from ml_backend.logs import configure_logging
    from ml_backend.serving.app import Serving
    from ml_backend.serving.options import Access, Options
    from ml_backend.serving.server import listen

    access = Access(user, password, token)
    address = access.host(host)
    configure_logging("INFO")
    found = load(model, threads=threads)
    options = Options(access, max_batch, max_body, _cascade(found, below, min_accuracy))
    listen(Serving(found, options), address, port, threads)


def _cascade(model: Model, below: float, min_accuracy: float | None) -> Cascade:
    from ale.cascade import Cascade

    if below and min_accuracy is not None:
        raise ConfigurationError(
            "give --below or --min-accuracy: the one is a confidence, the other finds it"
        )
    return Cascade(below=below) if min_accuracy is None else model.held_out.deferring(min_accuracy)[0]
