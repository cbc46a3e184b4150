"""Who may import whom, read from the source: the house stays in one direction."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ale
import ml_backend

HOUSE = Path(ale.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
FOREIGN = {"ml_backend", "flask", "redis", "rq", "label_studio_sdk", "label_studio_ml"}
NETWORK_AND_DISK = {"fsspec", "httpx", "requests", "urllib", "socket", "safetensors"}
JOINTS = {"cli.py", "commands", "loading.py"}
PLUG_INS = ("strategies", "teachers", "students")


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def top(names: set[str]) -> set[str]:
    """First parts of dotted names."""
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_engine_knows_no_server(path: Path) -> None:
    """`ale` imports nothing of Label Studio, Redis or the web, and never unpickles."""
    assert not top(imports(path)) & (FOREIGN | {"pickle", "joblib", "dill"})


@pytest.mark.parametrize("path", FILES, ids=str)
def test_plug_ins_do_not_know_each_other(path: Path) -> None:
    """Strategies, teachers and students import neither each other, nor the engine, nor io."""
    folder = path.relative_to(HOUSE).parts[0]
    if folder not in PLUG_INS:
        return
    banned = tuple(f"ale.{other}" for other in (*PLUG_INS, "engine", "simulate", "io") if other != folder)
    assert not [name for name in imports(path) if name.startswith(banned)]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_disk_and_network_stand_in_io(path: Path) -> None:
    """Only `ale/io`, the command line and `ale.load` may touch them; io itself imports nothing of the engine's plug-ins."""
    inside = path.relative_to(HOUSE).parts[0]
    names = imports(path)
    if inside == "io":
        assert not [n for n in names if n.startswith(("ale.engine", *(f"ale.{p}" for p in PLUG_INS)))]
    elif inside not in JOINTS:
        assert not top(names) & NETWORK_AND_DISK
        assert not [name for name in names if name.startswith("ale.io")]


@pytest.mark.parametrize("path", [*FILES, *sorted(Path(ml_backend.__file__).parent.rglob("*.py"))], ids=str)
def test_one_file_imports_onnx_runtime(path: Path) -> None:
    """The one that forbids it to report to its maker before it is imported."""
    assert ("onnxruntime" in top(imports(path))) == (path == HOUSE / "io" / "onnx_runtime.py")


@pytest.mark.parametrize("path", FILES, ids=str)
def test_tuning_stands_apart(path: Path) -> None:
    """It knows neither engine, plug-ins nor io; torch is imported there and in io only."""
    folder, names = path.relative_to(HOUSE).parts[0], imports(path)
    if folder == "tuning":
        banned = tuple(f"ale.{other}" for other in (*PLUG_INS, "engine", "simulate", "io"))
        assert not [name for name in names if name.startswith(banned)]
    elif folder != "io":
        assert not top(names) & {"torch", "transformers"}


def test_learning_without_new_texts_needs_no_encoder() -> None:
    """Importing the engine, the tables and the encoder's module loads neither torch nor ONNX Runtime."""
    code = (
        "import sys, ale, ale.engine, ale.io.encoder, ale.io.embeddings, ale.strategies, ale.teachers\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime', 'tokenizers', 'sklearn', 'cleanlab'}\n"
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HOUSE.parent)
