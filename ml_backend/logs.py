"""Logging of all our processes: one line per event, with names, numbers and versions, never text or keys."""

from __future__ import annotations

import logging

# Libraries that write request lines or task names at INFO.
QUIET = (
    "httpx",
    "httpcore",
    "httpx2",
    "httpcore2",
    "rq",
    "rq.worker",
    "urllib3",
    "fsspec",
    "azure",
    "botocore",
    "google",
    "filelock",
    "transformers",
)


def configure_logging(level: str) -> None:
    """Set the root logger once per process."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
