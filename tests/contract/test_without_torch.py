"""The default configuration works where neither torch nor transformers is; each test has a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ale

HOUSE = Path(ale.__file__).parents[1]
TASKS = Path("/proc/self/task")

ABSENT = """
import sys

asked = []

class WithoutThem:
    def __init__(self, finder):
        self._finder = finder

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in GONE:
            return self._finder.find_spec(name, path, target)
        asked.append(name)

sys.meta_path[:] = [WithoutThem(finder) for finder in sys.meta_path]
"""
NO_TORCH = "GONE = {'torch', 'transformers', 'sentence_transformers', 'tensorflow'}\n" + ABSENT

WHOLE = """
import numpy as np
import ml_backend.app, ml_backend.worker, label_studio_sdk, openai, tiktoken
from ale.io.encoder import resolve_encoder
from ale.students import STUDENTS
from ale.teachers import resolve_teacher
from ale.text import to_example
from ale.types import LabelSpace
from ml_backend.demo import sample
from ml_backend.worker import preload, PRELOAD
from ale.io.encoder import preloads

preload(*preloads("embedded"))
messages = sample.pool()[:60]
encoder = resolve_encoder()
rows = encoder.encode([message.text for message in messages])
names = sorted({message.label for message in messages})
targets = np.array([names.index(message.label) for message in messages])
teacher = resolve_teacher("zero-shot", encoder)
said = teacher.predict_proba([to_example(i, m.text) for i, m in enumerate(messages)], LabelSpace(tuple(names)))
student = STUDENTS["linear"]().fit(rows, np.arange(60), targets, labels=len(names), teacher=said)
right = (student.logits(rows).argmax(axis=1) == targets).mean()
assert rows.shape == (60, 768) and np.isfinite(rows).all() and np.isfinite(said).all() and right > 0.9, right
assert not asked, asked
assert not GONE & set(sys.modules)
assert set(PRELOAD) <= set(sys.modules)
"""

FORK = """
import os, sys
import numpy, scipy.linalg, sklearn.linear_model, sklearn.cluster  # their algebra has threads that survive a fork
from pathlib import Path

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
from ale.io.encoder import preloads, resolve_encoder
from ml_backend.worker import preload
preload(*preloads("embedded"))
assert {"onnxruntime", "onnx", "tokenizers"} <= set(sys.modules)
assert threads() == before, (before, threads())
assert not list(Path.home().rglob("*")), list(Path.home().rglob("*"))
encoder = resolve_encoder()
for _ in range(2):
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    else:
        ok = encoder.encode(["a text", "another one"]).shape == (2, 768)
        os._exit(0 if ok and threads() > 1 else 1)
assert threads() <= before  # the algebra ends its own at a fork
"""


MISSING = """
import json, os
os.environ["ALE_ENCODER"] = SOURCE
from ale.errors import MissingExtra
from ale.io.encoder import resolve_encoder
from ml_backend.doctor.own import encoder
from ml_backend.settings import load_settings
try:
    resolve_encoder(SOURCE).encode(["x"])
except MissingExtra as error:
    said = str(error)
(found,) = encoder(load_settings())
print(json.dumps([said, found.ok, found.seen, found.fix]))
"""


def run(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """The code in a fresh interpreter with an empty home folder."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        cwd=HOUSE,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(HOUSE)},
        check=False,
        timeout=300,
    )


def test_the_default_configuration_needs_no_torch(tmp_path: Path) -> None:
    """Encode, teach zero-shot, fit the student, import the web app and the worker: nobody even asks for torch."""
    done = run(NO_TORCH + WHOLE, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not TASKS.exists(), reason="threads are counted in /proc")
def test_a_worker_forks_without_a_thread(tmp_path: Path) -> None:
    """What a worker imports beforehand starts no thread and writes no file; each child makes its own session."""
    done = run(FORK, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "source", "extra"),
    [
        ("onnx", "embedded", "encoder"),
        ("onnxruntime", "embedded", "encoder"),
        ("tokenizers", "embedded", "encoder"),
        ("torch", "some/model", "transformers"),
        ("transformers", "some/model", "transformers"),
    ],
)
def test_what_is_missing_is_named_by_its_extra(tmp_path: Path, package: str, source: str, extra: str) -> None:
    """The error, and the doctor's line, say which command installs it."""
    code = f"GONE, SOURCE = {({package}, source)!r}\n{ABSENT}{MISSING}"
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    said, ok, seen, fix = json.loads(done.stdout)
    assert not ok
    assert f"pip install 'ale-label-studio[{extra}]'" in said
    assert f"pip install 'ale-label-studio[{extra}]'" in seen
    assert ("unset ALE_ENCODER" in fix) == (source != "embedded")


NO_STUDENT = """
import os
os.environ["ALE_STUDENT"] = "transformer"
os.environ["LABEL_STUDIO_API_KEY"] = "a-key"
import ml_backend.app, ml_backend.jobs, ml_backend.tuning.process, ml_backend.tuning.step
from ale.errors import MissingExtra
from ml_backend.doctor.student import student
from ml_backend.processes import work
from ml_backend.settings import load_settings
from ml_backend.worker import run_worker
assert not asked, asked
for start in (work, lambda: run_worker(load_settings())):
    try:
        start()
    except MissingExtra as error:
        print(error)
(found,) = student(load_settings())
print(found.ok, found.seen, "|", found.fix)
os.environ["ALE_TUNE_S"] = "0"
assert list(student(load_settings())) == []
"""


def test_the_transformer_student_names_its_extra_at_the_start(tmp_path: Path) -> None:
    """Of the worker, not of its first job; the doctor says it too. Web process and jobs import without torch."""
    done = run(NO_TORCH + NO_STUDENT, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second, finding = done.stdout.splitlines()
    assert first == second
    assert "the transformer student needs the extra [transformers]: pip install" in first
    assert finding == f"False {first} | run the command that it names, or unset ALE_STUDENT"


NO_TUNING = """
import numpy as np
from ale.commands.benchmark import _tuner
from ale.benchmark.run import Plan
from ale.errors import MissingExtra
from ale.io.tuner import MiniLMTuner
from ale.students.transformer import TransformerStudent
for step in (
    lambda: MiniLMTuner().tune(["x"] * 40, np.arange(40), np.arange(40) % 2, labels=2),
    lambda: _tuner(Plan(students=("transformer",)), 60.0),
):
    try:
        step()
    except MissingExtra as error:
        print(error)
points, targets = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32), np.arange(40) % 2
print(TransformerStudent().fit(points, np.arange(40), targets, labels=2).share)
"""


def test_tuning_names_its_extra_and_the_student_falls_back(tmp_path: Path) -> None:
    """Before a benchmark spends minutes, too; without a belief the transformer student is the hybrid one."""
    done = run(NO_TORCH + NO_TUNING, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second, share = done.stdout.splitlines()
    assert first == second
    assert "the transformer student needs the extra [transformers]: pip install" in first
    assert share == "0.0"


NO_INDEX = """
import json
from typer.testing import CliRunner
from ml_backend.cli import app
open(FOLDER + "/texts.csv", "w").write("text,label\\na refund,billing\\nthank you,praise\\n")
said = []
fit = ["fit", FOLDER + "/texts.csv", "--out", FOLDER + "/m"]
index = ["index", FOLDER + "/texts.csv", FOLDER + "/out"]
for arguments in (fit, index) if "numba" in GONE else (index,):
    done = CliRunner().invoke(app, arguments)
    said.append([done.exit_code, " ".join(done.output.split())])
print(json.dumps(said))
assert asked
"""


@pytest.mark.parametrize("package", ["numba", "pyarrow"])
def test_indexing_names_its_extra(tmp_path: Path, package: str) -> None:
    """Before anything is read or written: both commands without numba, `ale index` without pyarrow."""
    done = run(f"GONE, FOLDER = {({package}, str(tmp_path))!r}\n{ABSENT}{NO_INDEX}", tmp_path)
    assert done.returncode == 0, done.stderr
    named = "needs the extra [index]: pip install 'ale-label-studio[index]'"
    for code, said in json.loads(done.stdout):
        assert (code, named in said) == (2, True), said
    assert [path.name for path in tmp_path.glob("*")] == ["texts.csv"]
