"""The process behind the API: waitress, which reads requests in one loop and hands whole ones to its threads."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import waitress

from ale.errors import ConfigurationError
from ale.model import Model
from ml_backend.serving.app import Serving, create_app
from ml_backend.serving.capture import Capture, Policy
from ml_backend.serving.meters import Meters
from ml_backend.serving.options import Options
from ml_backend.settings import load_settings
from ml_backend.store.database import Database

logger = logging.getLogger(__name__)


def listen(serving: Serving, host: str, port: int, threads: int) -> None:
    """Serve until told to stop, by Ctrl+C or SIGTERM. ConfigurationError where the port is taken."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        bound = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; name another --port"
        ) from error
    app = create_app(serving)
    server = waitress.create_server(
        app,
        sockets=[bound],
        threads=threads,
        channel_timeout=30,
        connection_limit=500,
        # The application answers in JSON to what is too large; beyond twice that nothing is read at all.
        max_request_body_size=2 * serving.options.max_body,
        ident="",
    )
    logger.info(
        "serving model %s on http://%s:%d, the API is described at /docs", serving.model.version, host, port
    )
    server.run()


def listen_and_keep(
    model: Model, options: Options, policy: Policy, host: str, port: int, threads: int
) -> None:
    """The same; what is served is kept. At the end what waits is written."""
    db = Database(load_settings().database)
    counts = Meters(model.version, model.labels)
    keeper = Capture(db, policy, model.version, lambda outcome, n: counts.captured.labels(outcome).inc(n))
    try:
        listen(Serving(model, options, keeper, counts), host, port, threads)
    finally:
        keeper.close()
        db.dispose()
