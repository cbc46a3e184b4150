"""`ale index` from and to object stores: S3 as a local server plays it, Azure as far as signing in.

s3fs and adlfs are no part of any extra: s3fs asks for older packages than ALE's own. Where they are not installed
these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from ale.io.index.inputs import open_place
from tests.integration.test_index import index, model, write_parquet

__all__ = ["model"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server of this machine."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    from s3fs import S3FileSystem

    running = server.ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    S3FileSystem.clear_instance_cache()
    running.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_s3_there_and_back(model: Path, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files as on a disk; a second run finds its parts; a part that is missing is made again."""
    from s3fs import S3FileSystem

    from ale.io.index import parquet as parquet_io

    monkeypatch.setattr(parquet_io, "ROWS_PER_PART", 100)
    source = write_parquet(tmp_path / "in.parquet", 300)
    S3FileSystem().put_file(str(source), "bucket/in/a.parquet")
    index(model, source, tmp_path / "out")
    assert index(model, f"{s3}/in/*.parquet", f"{s3}/out")["rows"] == 300
    names = sorted(path.name for path in (tmp_path / "out").glob("part-*"))
    for name in names:
        assert S3FileSystem().cat_file(f"bucket/out/{name}") == (tmp_path / "out" / name).read_bytes()
    S3FileSystem().rm_file(f"bucket/out/{names[1]}")
    assert index(model, f"{s3}/in/*.parquet", f"{s3}/out")["parts_resumed"] == 2
    assert parquet.read_table(f"{s3}/out/{names[1]}", filesystem=S3FileSystem()).num_rows == 100


def test_azure_signs_in_as_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key in the environment it is DefaultAzureCredential that is asked: a managed identity among others."""
    pytest.importorskip("adlfs", reason="adlfs is not installed")
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    fs, path = open_place("abfs://texts@account.dfs.core.windows.net/in.parquet")
    assert path == "texts/in.parquet"
    assert (fs.account_name, type(fs.credential).__name__) == ("account", "DefaultAzureCredential")
