"""The README says what the code says."""

from __future__ import annotations

import os
import re
from pathlib import Path

from typer.main import get_command

from ml_backend.cli import app
from ml_backend.settings import Settings

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
START = "<!-- settings: made by tests/unit/ml_backend/test_readme.py, do not edit by hand -->\n"
END = "<!-- end of settings -->"


def settings_table() -> str:
    """The table of all environment variables, from the settings' own descriptions."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        default = field.default if field.default_factory is None else None
        secret = hasattr(default, "get_secret_value")
        shown = (
            ""
            if default in (None, "") or secret
            else f"`{default:g}`"
            if isinstance(default, float)
            else f"`{default}`"
        )
        lines.append(f"| `{field.alias}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def test_settings_table_is_the_code() -> None:
    """Every setting stands in the README with its default and meaning; ALE_README=write renews the table."""
    text = README.read_text()
    before, rest = text.split(START)
    table, after = rest.split(END)
    if os.environ.get("ALE_README") == "write":
        README.write_text(before + START + settings_table() + END + after)
    else:
        assert table == settings_table(), (
            "renew it: ALE_README=write make test ARGS=tests/unit/ml_backend/test_readme.py"
        )


def test_commands_exist() -> None:
    """Every `ale …` command that the README names is a command."""
    named = set(re.findall(r"`?(?:\.venv/bin/)?ale ([a-z-]+)", README.read_text()))
    assert named <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_make_targets_exist() -> None:
    """Every `make …` target that the README names is in the Makefile."""
    named = set(re.findall(r"^make ([a-z]+)", README.read_text(), flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert named
    assert named <= targets


def test_linked_files_exist() -> None:
    """Every relative link in the README leads somewhere."""
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_folders_of_the_extension_table_exist() -> None:
    """What the README tells to extend is there."""
    text = README.read_text()
    for folder, table in re.findall(r"in `((?:ale|ml_backend)/\w+/)` \| `(\w+)`", text):
        assert f"{table}: dict" in (ROOT / folder / "__init__.py").read_text()
