"""The way to MLflow, where a mirror is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from ale.errors import MissingExtra, TrackingError
from ml_backend.doctor.findings import Finding, broken, works
from ml_backend.settings import Settings

CREDENTIALS = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN) for ALE's worker"
)


def mlflow(settings: Settings) -> Iterator[Finding]:
    """Whether MLflow answers; no hop without MLFLOW_TRACKING_URI."""
    if not settings.mlflow_address:
        return
    from ml_backend.tracking.writing import Tracker

    try:
        Tracker(settings).answers()
    except MissingExtra as error:
        yield broken("mlflow", str(error), "run the command that it names, or unset MLFLOW_TRACKING_URI")
    except TrackingError as error:
        yield broken("mlflow", str(error), _advice(str(error)))
    else:
        yield works("mlflow", f"answers at {settings.mlflow_address}")


def _advice(said: str) -> str:
    if "Invalid Host" in said:  # MLflow's guard against DNS rebinding
        return "start MLflow with --allowed-hosts and the host of MLFLOW_TRACKING_URI"
    if any(word in said for word in ("401", "403", "PERMISSION_DENIED", "UNAUTHENTICATED")):
        return CREDENTIALS
    return "start MLflow, or set MLFLOW_TRACKING_URI to where it listens, or unset it: nothing else needs it"
