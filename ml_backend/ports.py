"""Free ports on loopback."""

from __future__ import annotations

import socket

LABEL_STUDIO, ALE = 8080, 9090
"""The ports that both have where nobody says otherwise."""


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(preferred: int = 0, *, tries: int = 50) -> int:
    """The first free port from `preferred` on; any free one when that is 0 or all of them are taken."""
    if preferred:
        for port in range(preferred, min(preferred + tries, 65_536)):
            if is_free(port):
                return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
