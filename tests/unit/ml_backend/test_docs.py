"""The pages in docs/ say what the code says: commands, options, variables, reasons, files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from ale.io.chat import ChatSpec
from ale.io.chat.prices import load_prices
from ale.types import Abstention
from ml_backend.cli import app
from ml_backend.doctor.teachers import advice
from ml_backend.settings import Settings
from ml_backend.teachers import NamedTeacher

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
AZURES_OWN = {
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
}


def blocks(page: Path, language: str = "") -> list[str]:
    """The code blocks of a page."""
    return [code for name, code in BLOCK.findall(page.read_text()) if name == language]


def ale_lines(page: Path) -> list[str]:
    """Every `ale …` command of a page, in blocks and in running text, less comments."""
    text = page.read_text()
    lines = [line.partition("#")[0] for code in blocks(page) for line in code.splitlines()]
    inline = re.findall(r"`(ale [^`]*)`", BLOCK.sub("", text))
    return [line.strip().rstrip("&").strip() for line in [*lines, *inline] if line.strip().startswith("ale ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_understood(page: Path) -> None:
    """Command, arguments and options are those of `ale`; nothing is run."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for line in ale_lines(page):
        _, name, *arguments = shlex.split(line)
        command = commands[name]
        if arguments:  # one that is only named lacks its arguments, which is all right
            command.make_context(name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_exists(page: Path) -> None:
    """A variable with one of our prefixes is a setting, an option's, or one of the compose file's."""
    ours = {str(field.alias) for field in Settings.model_fields.values()} | AZURES_OWN
    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    ours |= {str(option.envvar) for command in commands for option in command.params}
    ours |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    named = set(re.findall(r"\b(?:ALE|OPENAI|AZURE)_[A-Z_]+\b", page.read_text()))
    assert named
    assert named <= ours


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    """Every relative link leads somewhere."""
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_reason_of_a_model_is_explained() -> None:
    """No abstention is a riddle."""
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/teacher.md").read_text(), re.MULTILINE))
    of_a_model = {reason.value for reason in list(Abstention)[list(Abstention).index(Abstention.BAD_JSON) :]}
    assert of_a_model | {Abstention.NO_TEXT.value} == explained


def test_the_price_file_can_be_read(tmp_path: Path) -> None:
    """As it stands on the page."""
    (example,) = blocks(ROOT / "docs/teacher.md", "json")
    file = tmp_path / "prices.json"
    file.write_text(example)
    (model,) = json.loads(example)["models"]
    assert load_prices(file).of(model)


def test_the_doctor_knows_the_words_of_the_azure_page() -> None:
    """Each reason in its table is one for which the doctor has a line of its own."""
    named = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/azure.md").read_text(), re.MULTILINE))
    teacher = NamedTeacher("azure", spec=ChatSpec("mine", provider="azure"))
    otherwise = advice(teacher, "a reason that does not exist")
    assert named
    assert all(advice(teacher, reason) != otherwise for reason in named)
