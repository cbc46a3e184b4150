"""`ale serve-model` as a process, and the same model through MLflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ale
from ale.errors import ConfigurationError
from ale.io.pyfunc import save_pyfunc
from ml_backend.cli import app
from ml_backend.demo import sample
from tests.integration.served import Server, fit, serving, write_data
from tests.unit.ml_backend.test_docs import ROOT, ale_lines, blocks

pytest.importorskip("numba", reason="pip install 'ale-label-studio[index]'")

TEXTS: list[str | None] = [message.text for message in sample.held_out()[:30]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the real encoder."""
    folder = tmp_path_factory.mktemp("model")
    return fit(folder, write_data(folder / "data.csv"))


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process for all tests; unsure texts go to the encoder student."""
    with serving(model, tmp_path_factory.mktemp("home"), "--below", "0.5", "--max-batch", "500") as running:
        yield running


def test_many_clients_at_once_get_what_python_says(server: Server, model: Path) -> None:
    """The same labels over HTTP as by `ale.load`, from eight clients at once."""
    from ale.cascade import Cascade
    from ale.scanner.texts import Texts

    found = ale.load(model)
    said = found.classify(Texts.of(TEXTS), Cascade(below=0.5))
    expected = [found.labels[best] for best in said.best]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.classify(*TEXTS), range(8)))
    assert all([one["label"] for one in answer["results"]] == expected for answer in answers)
    assert len({answer["request_id"] for answer in answers}) == 8
    right = [one == message.label for one, message in zip(expected, sample.held_out()[:30], strict=True)]
    assert sum(right) > 20
    assert all(str(text)[:20] not in server.log for text in TEXTS)


def test_a_body_beyond_the_limit_is_told_so(server: Server) -> None:
    """Over HTTP as well; beyond twice the limit, without an explanation."""
    large = server.ask("POST", "/v1/classify", json={"texts": ["x" * (9 * 1024 * 1024)]})
    assert large.status_code == 413
    assert "bytes" in large.json()["detail"]
    largest = server.ask("POST", "/v1/classify", json={"texts": ["x" * (17 * 1024 * 1024)]})
    assert largest.status_code == 413


def test_wrong_starts_say_what_to_do(server: Server, model: Path, tmp_path: Path) -> None:
    """A port that is taken, an open port without a password, a folder that is no model."""
    port = server.url.rsplit(":", 1)[1]
    for arguments, says in (
        ([str(model), "--port", port], "name another --port"),
        ([str(model), "--host", "0.0.0.0"], "set ALE_SERVE_TOKEN"),  # noqa: S104
        ([str(tmp_path)], "`ale fit` makes one"),
    ):
        done = CliRunner(env={"ALE_SERVE_TOKEN": "", "BASIC_AUTH_USER": ""}).invoke(
            app, ["serve-model", *arguments]
        )
        assert done.exit_code in {1, 2}
        assert says in done.output


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_mlflow_loads_the_same_model(model: Path, tmp_path: Path) -> None:
    """From a table with the text column, also with a deferred share; nothing in it is a pickle."""
    mlflow = pytest.importorskip("mlflow", reason="pip install 'ale-label-studio[mlflow]'")
    import pandas as pd

    save_pyfunc(model, tmp_path / "flavour")
    assert not [path for path in (tmp_path / "flavour").rglob("*") if path.suffix in {".pkl", ".pickle"}]
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "flavour"))
    expected = ale.load(model).predict(TEXTS)
    table = pd.DataFrame({"other": 1, "text": TEXTS})
    found = loaded.predict(table)
    assert found["label"].tolist() == [one.label for one in expected]
    assert found["confidence"].tolist() == pytest.approx([one.confidence for one in expected])
    assert set(found["model_version"]) == {ale.load(model).version}
    deferred = loaded.predict(table, params={"defer": 1.0})["label"].tolist()
    assert deferred == [one.label for one in ale.load(model).predict(TEXTS, defer=1.0)]
    with pytest.raises(ConfigurationError, match="never overwritten"):
        save_pyfunc(model, tmp_path / "flavour")


def test_the_commands_of_the_page_are_answered(
    server: Server, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of `ale drift` are run as they stand; the options of `ale serve-model` start a server that keeps."""
    pytest.importorskip("matplotlib", reason="pip install 'ale-label-studio[bench]'")
    page = ROOT / "docs/serve.md"
    (start,) = [line.split() for line in ale_lines(page) if "--keep-days" in line]
    with serving(model, tmp_path, *start[3:]) as keeping:
        told = [keeping.classify(*TEXTS) for _ in range(6)]  # a tenth of 180 texts: some for sure
        for one in told:
            body = {"request_id": one["request_id"], "thumbs": "up"}
            assert keeping.ask("POST", "/v1/feedback", json=body).status_code == 201
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").symlink_to(model)
    env = {"ALE_HOME": str(tmp_path), "DATABASE_URL": ""}
    for line in ale_lines(page):
        if line.startswith("ale drift --"):
            done = CliRunner(env=env).invoke(app, line.split()[1:])
            assert done.exit_code == 0, done.output
            assert "What was served, day by day" in done.output
    assert (tmp_path / "drift.png").stat().st_size > 1_000
    for command in blocks(page, "bash")[0].splitlines():
        path = re.search(r"9191(/\S+)", command)
        assert path is not None
        sent = re.search(r"-d '(.*?)'", command)
        method = "POST" if sent else "GET"
        answer = server.ask(method, path[1], json=json.loads(sent[1]) if sent else None)
        assert answer.status_code == 200, command
