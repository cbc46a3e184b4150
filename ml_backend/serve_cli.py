"""`ale serve-model`: a model folder as an HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ale.errors import ConfigurationError

if TYPE_CHECKING:
    from ale.cascade import Cascade
    from ale.model import Model

app = typer.Typer()

_WHO, _LIMITS, _MODEL, _KEEP = "Who may ask", "Limits", "Model", "What is kept, in DATABASE_URL"


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
    capture: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the predictions to keep, drawn at random.", rich_help_panel=_KEEP
        ),
    ] = 0.0,
    capture_below: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Keep predictions of a lower confidence as well.", rich_help_panel=_KEEP
        ),
    ] = 0.0,
    keep_texts: Annotated[
        bool,
        typer.Option(
            "--keep-texts", help="With their texts; only those can become tasks.", rich_help_panel=_KEEP
        ),
    ] = False,
    keep_days: Annotated[
        int, typer.Option(min=1, max=36_500, help="Delete them after so many days.", rich_help_panel=_KEEP)
    ] = 90,
    name: Annotated[
        str,
        typer.Option(help="The service's name, for `ale capture` and `ale drift`.", rich_help_panel=_KEEP),
    ] = "default",
) -> None:
    """Serve a model: POST /v1/classify, a page at /docs, counters at /metrics. Needs no Label Studio."""
    from ale.loading import load
    from ml_backend.logs import configure_logging
    from ml_backend.serving.app import Serving
    from ml_backend.serving.capture import Policy
    from ml_backend.serving.options import Access, Options
    from ml_backend.serving.server import listen, listen_and_keep

    access = Access(user, password, token)
    address = access.host(host)
    configure_logging("INFO")
    found = load(model, threads=threads)
    options = Options(access, max_batch, max_body, _cascade(found, below, min_accuracy))
    policy = Policy(name, capture, capture_below, keep_texts, keep_days)
    if policy:
        listen_and_keep(found, options, policy, address, port, threads)
    else:
        listen(Serving(found, options), address, port, threads)


def _cascade(model: Model, below: float, min_accuracy: float | None) -> Cascade:
    from ale.cascade import Cascade

    if below and min_accuracy is not None:
        raise ConfigurationError(
            "give --below or --min-accuracy: the one is a confidence, the other finds it"
        )
    return Cascade(below=below) if min_accuracy is None else model.held_out.deferring(min_accuracy)[0]
