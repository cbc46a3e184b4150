"""Azure Blob Storage as azurite plays it: installed by npm into the checkout the first time, skipped without Node."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ml_backend.ports import free_port
from tests.conftest import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
VERSION = "3.35.0"
"""The last one that runs on Node below 21."""

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's account for everybody, as its documentation tells it."""


@contextmanager
def running_azurite(folder: Path) -> Iterator[str]:
    """A blob service that keeps all in memory until the block ends; its connection string."""
    program = _program()
    port = free_port()
    line = [
        *("node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"),
        # The client speaks a newer version of the protocol than this server has heard of.
        *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"),
    ]
    log = folder / "azurite.log"
    with log.open("wb") as said:
        process = subprocess.Popen(line, cwd=folder, stdout=said, stderr=said)

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, 90)
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )
    finally:
        process.terminate()
        process.wait(30)


def _program() -> Path:
    """What Node is to run; several test runs of one checkout may ask at once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("azurite needs Node.js and npm: apt-get install nodejs npm")
    folder = CHECKOUT / ".azurite"
    stamp = folder / f"{VERSION}.installed"
    with (CHECKOUT / ".azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "package.json").write_text("{}")
            done = subprocess.run(
                ["npm", "install", f"azurite@{VERSION}", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                env=os.environ | {"npm_config_update_notifier": "false"},
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            stamp.touch()
    return folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
