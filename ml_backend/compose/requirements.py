"""Prints what `pyproject.toml` asks for, part by part: the image's layer of packages is made before the code is there."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
parts = {"base": project["dependencies"], **project["optional-dependencies"]}
for part in sys.argv[1:]:
    sys.stdout.write("\n".join(parts[part]) + "\n")
