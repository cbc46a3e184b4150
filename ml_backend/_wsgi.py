"""For WSGI servers: `waitress-serve ml_backend._wsgi:app`. Reads the environment when it is imported."""

from __future__ import annotations

import logging

from ale.errors import AleError
from ml_backend.app import create_app
from ml_backend.settings import load_settings

try:
    settings = load_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = create_app(settings)
except AleError as error:
    # One line and a code that is not zero: whoever started us starts us again, until the database is there.
    raise SystemExit(f"ale: {error}") from error
