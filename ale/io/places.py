"""Paths and URLs of object stores: what they need installed, how they are opened, and what goes wrong there.

Every store's package has errors of its own; none of them leaves this house.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from ale.errors import ConfigurationError, MissingExtra, StoreUnreachable

_CLOUD = frozenset({"s3", "s3a", "abfs", "abfss", "az", "gs", "gcs"})
_ERRORS = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "azure.core.exceptions": ("AzureError",),
    "google.auth.exceptions": ("GoogleAuthError",),
    "gcsfs.retry": ("HttpError",),
    "aiohttp": ("ClientError",),
}
"""What the stores' packages raise beside OSError. One that was not imported has raised nothing."""


def check_place(url: str) -> None:
    """Raises MissingExtra where the package of that store is not installed; opens nothing."""
    protocol, found, _ = url.partition("://")
    if not found:
        return
    protocol = protocol.rpartition("::")[2]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        if protocol in _CLOUD:
            raise MissingExtra(url, "cloud") from error
        raise ConfigurationError(f"cannot reach {url}: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"cannot reach {url}: {error}") from error


def open_place(url: str) -> tuple[Any, str]:
    """The file system and the path in it. MissingExtra without the store's package; nothing is asked there yet.

    What was listed before is forgotten: other processes write there, too.
    """
    check_place(url)
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ValueError as error:
        raise ConfigurationError(f"cannot reach {url}: {error}") from error
    fs.invalidate_cache()
    return fs, str(path)


def try_writing(url: str) -> None:
    """Writes an empty object below that URL and removes it; StoreUnreachable or MissingExtra where it cannot."""
    with reaching(url):
        fs, path = open_place(url)
        probe = f"{path.rstrip('/')}/.ale-{uuid.uuid4().hex}"
        fs.pipe_file(probe, b"")
        fs.rm_file(probe)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """What goes wrong at an object store becomes StoreUnreachable; what goes wrong on a disk stays an OSError."""
    try:
        yield
    except StoreUnreachable:
        raise
    except store_errors() as error:
        if "://" not in url:
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreUnreachable(f"cannot reach {url}: {first}") from error


def store_errors(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """OSError, the errors of the stores' packages that are in use, and `more`: for an except clause."""
    theirs = (
        getattr(sys.modules[module], name)
        for module, names in _ERRORS.items()
        if module in sys.modules
        for name in names
    )
    return (OSError, *theirs, *more)
