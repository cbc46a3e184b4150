"""All behaviours that need no argument, by name."""

from __future__ import annotations

from ml_backend.standin.bad_replies import bad_replies
from ml_backend.standin.behaviours import connections, refusals

BEHAVIOURS = {behaviour.name: behaviour for behaviour in (*refusals(), *connections(), *bad_replies())}
"""A script or a text (`[[behaviour:NAME]]`) names one of these."""
