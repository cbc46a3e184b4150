"""Label Studio in a virtual environment of its own: its dependencies and ours never meet."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ale.errors import ConfigurationError

VERSION = "1.23.2"
CONSTRAINTS = Path(__file__).with_name("label-studio-constraints.txt")

_STEP = re.compile(
    r"^(Collecting|Downloading|Processing|Using cached|Installing collected packages)\b:? ?(\S*)"
)


def ensure_label_studio(venv: Path, say: Callable[[str], None]) -> Path:
    """The `label-studio` program in `venv`, installed first when it is not there yet (about 1.2 GB, minutes).

    Safe when two processes ask at once. Raises ConfigurationError with the end of pip's output.
    """
    venv = venv.absolute()
    program, stamp = venv / "bin" / "label-studio", venv / ".installed"
    wanted = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
    venv.parent.mkdir(parents=True, exist_ok=True)
    lock_file = venv.parent / f"{venv.name}.lock"
    if venv.exists() and any(venv.iterdir()) and not stamp.exists() and not lock_file.exists():
        raise ConfigurationError(f"{venv} is not empty and not ours: name another folder for Label Studio")
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted and program.exists():
            return program
        say(
            f"installing Label Studio {VERSION} into {venv} (about 1 GB, 1 to 4 minutes, only the first time)"
        )
        _run([sys.executable, "-m", "venv", "--clear", str(venv)], say)
        requirement = f"label-studio=={VERSION}"
        _run([str(venv / "bin" / "python"), "-m", "pip", "install", "-c", str(CONSTRAINTS), requirement], say)
        stamp.write_text(wanted)
    return program


def _run(argv: list[str], say: Callable[[str], None]) -> None:
    # Our own interpreter settings must not leak into the other environment.
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
    env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    packages = len(CONSTRAINTS.read_text().splitlines())
    seen = 0
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        if process.stdout is None:  # pragma: no cover - it was asked for
            raise ConfigurationError(f"{argv[0]} gives no output")
        for line in process.stdout:
            lines = [*lines[-20:], line.rstrip()]
            step = _STEP.match(line.strip())
            if step is None:
                continue
            if step[1] == "Collecting":
                seen += 1
                say(f"installing Label Studio: package {seen} of about {packages}: {step[2]}")
            elif step[1] == "Installing collected packages":
                say(f"installing Label Studio: unpacking {packages} packages")
    if process.returncode:
        shown = "\n  ".join(lines)
        raise ConfigurationError(f"installing Label Studio {VERSION} failed:\n  {shown}")
