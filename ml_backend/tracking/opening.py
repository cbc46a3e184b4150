"""Opening MLflow's client so that it says nothing to third parties, hangs nowhere and shows no password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sqlalchemy.exc import SQLAlchemyError

from ale.errors import MissingExtra, TrackingRefused, TrackingUnreachable
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

OURS = {
    # MLflow reports usage to its makers unless told not to.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # A repeated "create a run" may make two. What failed is tried again by our own queue, which looks first.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
UNLESS_SET = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_LOGGING_LEVEL": "WARNING"}

_NOBODYS_FAULT = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
"""The first is also what MLflow's client says when there was no connection or no JSON."""
_SHOWN = 200


def check_installed(settings: Settings) -> None:
    """Raise MissingExtra when a mirror is asked for and MLflow's client is not there."""
    if settings.mlflow_address and find_spec("mlflow") is None:
        raise MissingExtra("MLFLOW_TRACKING_URI", "mlflow")


def prepare(settings: Settings) -> None:
    """Set MLflow's own variables in this process; has to happen before MLflow is first imported."""
    parts = urlsplit(settings.mlflow_tracking_uri.get_secret_value())
    os.environ |= OURS | {"MLFLOW_TRACKING_URI": settings.mlflow_address}
    for name, value in UNLESS_SET.items():
        os.environ.setdefault(name, value)
    # MLflow quotes addresses in its errors, so the password travels beside the address.
    if parts.username is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")


def open_client(settings: Settings) -> MlflowClient:
    """MLflow's client; speaks to nobody yet, but a SQLite file is made. Raises TrackingError, MissingExtra."""
    check_installed(settings)
    prepare(settings)
    with translated(settings.mlflow_address):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=settings.mlflow_address, registry_uri=settings.mlflow_address)


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn whatever MLflow's client raises into TrackingUnreachable or TrackingRefused."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        said = f"MLflow at {address}: {_short(error)}"
        if error.error_code in _NOBODYS_FAULT:
            raise TrackingUnreachable(said) from error
        raise TrackingRefused(said, str(error.error_code)) from error
    except (OSError, SQLAlchemyError) as error:
        raise TrackingUnreachable(f"MLflow at {address}: {_short(error)}") from error
    except ImportError as error:  # its artifacts lie in a cloud whose client is not installed here
        raise TrackingRefused(f"MLflow at {address} needs the package {error.name}", "NO_PACKAGE") from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
