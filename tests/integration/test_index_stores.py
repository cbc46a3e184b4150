"""`ale index` and checkpoints in object stores: S3 as moto's server plays it, Azure Blob as azurite does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from ale.errors import MissingExtra, StoreUnreachable
from ale.io.checkpoints import list_versions, load_checkpoint, prune, save_checkpoint
from ale.io.index.inputs import find_inputs
from ale.io.model_folder import read_model
from ale.io.places import check_place, open_place
from ml_backend.doctor.own import checkpoints
from ml_backend.ports import free_port
from ml_backend.settings import load_settings
from tests.integration.azurite import ACCOUNT, KEY, running_azurite
from tests.integration.test_index import index, model, run, write_parquet

__all__ = ["model"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
"""The stores' own packages; what they leave open, they close at the end of the process."""

AZURE = ("ACCOUNT_NAME", "ACCOUNT_KEY", "CONNECTION_STRING", "SAS_TOKEN", "CLIENT_ID", "ANON")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of a server that plays S3."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, moto: str) -> Iterator[str]:
    """A new bucket."""
    from s3fs import S3FileSystem

    sign_in_to_s3(monkeypatch, moto)
    S3FileSystem.clear_instance_cache()
    fs = S3FileSystem()
    fs.mkdir("bucket")
    yield "s3://bucket"
    fs.rm("bucket", recursive=True)
    S3FileSystem.clear_instance_cache()


def sign_in_to_s3(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """As people do, by the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a server that plays Azure Blob Storage."""
    with running_azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, azurite: str) -> Iterator[str]:
    """A new container, reached by the connection string in the environment."""
    from adlfs import AzureBlobFileSystem

    for name in AZURE:
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite)
    AzureBlobFileSystem.clear_instance_cache()
    fs = AzureBlobFileSystem()
    fs.mkdir("texts")
    yield "az://texts"
    fs.rm("texts", recursive=True)
    AzureBlobFileSystem.clear_instance_cache()


@pytest.fixture(params=["s3", "azure"])
def store(request: pytest.FixtureRequest) -> str:
    """An empty place in each of them."""
    place: str = request.getfixturevalue(request.param)
    return place


def test_there_and_back(model: Path, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files as on a disk; a second run finds its parts; a part that is missing is made again."""
    from ale.io.index import parquet as parquet_io

    monkeypatch.setattr(parquet_io, "ROWS_PER_PART", 100)
    source = write_parquet(tmp_path / "in.parquet", 300)
    fs, root = open_place(store)
    fs.put_file(str(source), f"{root}/in/a.parquet")
    index(model, source, tmp_path / "out")
    assert index(model, f"{store}/in/*.parquet", f"{store}/out")["rows"] == 300
    names = sorted(path.name for path in (tmp_path / "out").glob("part-*"))
    assert len(names) == 3
    for name in names:
        assert fs.cat_file(f"{root}/out/{name}") == (tmp_path / "out" / name).read_bytes()
    fs.rm_file(f"{root}/out/{names[1]}")
    assert index(model, f"{store}/in/*.parquet", f"{store}/out")["parts_resumed"] == 2
    with fs.open(f"{root}/out/{names[1]}", "rb") as part:
        assert parquet.read_table(part).num_rows == 100


def test_one_file_and_a_model_in_the_store(model: Path, tmp_path: Path, store: str) -> None:
    """The model is read from there, and the parts become one file at the end, whatever the kind of input."""
    fs, root = open_place(store)
    for file in model.iterdir():
        fs.put_file(str(file), f"{root}/model/{file.name}")
    texts = "message\nwhere is my card\nhow do I pay\n"
    fs.pipe_file(f"{root}/in.csv", texts.encode())
    (tmp_path / "in.csv").write_text(texts)
    index(model, tmp_path / "in.csv", tmp_path / "out.csv")
    told = run("index", f"{store}/in.csv", f"{store}/out.csv", "--model", f"{store}/model", "--json")
    assert told.exit_code == 0, told.output
    assert fs.cat_file(f"{root}/out.csv") == (tmp_path / "out.csv").read_bytes()
    assert sorted(str(name).rsplit("/", 1)[-1] for name in fs.ls(root, detail=False)) == [
        "in.csv", "model", "out.csv"
    ]  # fmt: skip


def test_checkpoints_in_the_store(store: str) -> None:
    """What was written is read back, listed in order, and pruned; others' versions are seen at once."""
    url, arrays = f"{store}/ale", {"w": np.arange(6, dtype=np.float32)}
    manifest: dict[str, Any] = {"labels": ["a", "b"], "student": "linear"}
    for number in (1, 2):
        save_checkpoint(url, "p", f"v{number}", arrays, manifest | {"created_at": f"2026-01-0{number}"})
    assert list_versions(url, "p") == ["v1", "v2"]
    program = (
        "import sys, numpy as np; from ale.io.checkpoints import save_checkpoint as save;"
        "save(sys.argv[1], 'p', 'v3', {'w': np.zeros(1)}, {'labels': [], 'student': 'x', 'created_at': '2026-02'})"
    )
    subprocess.run([sys.executable, "-c", program, url], check=True)
    assert list_versions(url, "p") == ["v1", "v2", "v3"]
    np.testing.assert_array_equal(load_checkpoint(url, "p", "v2")[0]["w"], arrays["w"])
    assert prune(url, "p", keep=1) == ["v1", "v2"]
    assert list_versions(url, "p") == ["v3"]


def test_azure_by_account_and_key(azure: str, azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other variables than the connection string: the account's name is in the URL or in the environment."""
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    fs, path = open_place(f"abfs://texts@{ACCOUNT}.dfs.core.windows.net/in.parquet")
    assert (fs.account_name, fs.account_key, path) == (ACCOUNT, KEY, "texts/in.parquet")
    type(fs).clear_instance_cache()  # it knows nothing of variables that change
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
    assert open_place("az://texts/in.parquet")[0].account_name == ACCOUNT


def test_azure_signs_in_as_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key in the environment it is DefaultAzureCredential that is asked: a managed identity among others."""
    for name in AZURE:
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    fs, path = open_place("abfs://texts@account.dfs.core.windows.net/in.parquet")
    assert path == "texts/in.parquet"
    assert (fs.account_name, type(fs.credential).__name__) == ("account", "DefaultAzureCredential")


def test_a_store_that_is_away(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, no traceback: to read, to write, to list; `ale doctor` says it, too."""
    sign_in_to_s3(monkeypatch, f"http://127.0.0.1:{free_port()}")
    source = write_parquet(tmp_path / "in.parquet", 10)
    for given in ((source, "s3://away/out"), ("s3://away/in.csv", tmp_path / "out")):
        told = run("index", *given, "--model", model)
        assert told.exit_code == 1, told.output
        assert re.fullmatch(r"ale: cannot reach s3://away/\S+: Could not connect .*", told.output.strip())
    with pytest.raises(StoreUnreachable, match="cannot reach s3://away: "):
        list_versions("s3://away", "p")
    settings = load_settings(home=tmp_path, store_url="s3://away/ale")
    (found,) = checkpoints(settings)
    assert (found.ok, "cannot reach s3://away/ale" in found.seen) == (False, True)


def test_doctor_writes_where_it_may(s3: str, tmp_path: Path) -> None:
    """A bucket that takes an object is fine, and nothing stays in it; one that does not exist is not."""
    settings = load_settings(home=tmp_path, store_url=f"{s3}/ale")
    assert [found.ok for found in checkpoints(settings)] == [True]
    assert open_place(s3)[0].find("bucket") == []
    other = load_settings(home=tmp_path, store_url="s3://no-such-bucket/ale")
    assert [found.ok for found in checkpoints(other)] == [False]


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("s3://b/x.csv", "s3fs"), ("abfs://c@a.dfs.core.windows.net/x.csv", "adlfs"),
        ("az://c/x.csv", "adlfs"), ("gs://b/x.csv", "gcsfs"),
    ],
)  # fmt: skip
def test_without_the_extra(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Input, output, models and checkpoints name the extra."""
    monkeypatch.setitem(sys.modules, package, None)
    # fsspec remembers what was imported; its name for that is hidden behind a read-only view of the same name.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url.partition("://")[0], raising=False)
    for ask in (find_inputs, check_place, open_place, read_model, lambda url: list_versions(url, "p")):
        with pytest.raises(MissingExtra, match=r"needs the extra \[cloud\]: pip install"):
            ask(url)


def test_a_worker_without_the_extra_does_not_start(tmp_path: Path) -> None:
    """One line that names the command."""
    program = "import sys; sys.modules['s3fs'] = None; from ml_backend.cli import app; app(['worker'])"
    given = {"ALE_STORE_URL": "s3://b/ale", "LABEL_STUDIO_API_KEY": "x", "ALE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)} | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (2, f"ale: {MissingExtra('s3://b/ale', 'cloud')}")
