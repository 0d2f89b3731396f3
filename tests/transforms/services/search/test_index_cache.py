"""Indexes of object stores are fetched once a machine, into so much room, and stay while they are open."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from object_stores import BUCKET, S3

from gog.transforms.object_path import ObjectPath
from gog.transforms.place import files_below
from gog.transforms.services.search import index_cache
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.index_bucket import publish, read_manifest
from gog.transforms.services.search.index_cache import cached, changed, drop_cached
from gog.transforms.services.search.index_folder import IndexFolderError, IndexUnwrittenError

OPENED = """
import sys
from gog.transforms.place import place
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.index_cache import cached
print(len(Corpus.open(cached(place(sys.argv[1]), "corpus"))), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index_cache, "_open", {})
    return tmp_path / "cache" / "glance-or-gaze" / "indexes"


def put(address: str, tmp_path: Path, text: str = "Lakes freeze.") -> ObjectPath:
    at = ObjectPath(address)
    build_corpus([("https://a/lake", "Lakes", text)], tmp_path / "corpus", name="lakes")
    publish(tmp_path / "corpus", at, "corpus", None)
    return at


def counted(tmp_path: Path) -> str:
    """An address on the server that tells what it was asked, whatever bucket the other tests use."""
    return f"s3://{BUCKET}/{tmp_path.parent.name}-{tmp_path.name}"


def kept(cache: Path) -> set[Path]:
    return {path for path in cache.iterdir() if path.name != ".lock"}


def test_it_is_fetched_once_and_read_like_any_other(s3: S3, cache: Path, tmp_path: Path) -> None:
    at = put(counted(tmp_path), tmp_path)
    folder = cached(at, "corpus")
    assert Corpus.open(folder).id == Corpus.open(tmp_path / "corpus").id
    before = s3.asked()
    assert cached(at, "corpus") == folder
    asked = s3.asked() - before
    assert asked["GET"] == 1  # of the manifest
    assert kept(cache) == {folder}


def test_processes_that_come_at_once_fetch_once(s3: S3, cache: Path, tmp_path: Path) -> None:
    at = put(counted(tmp_path), tmp_path)
    files, before = len(read_manifest(at, "corpus").files), s3.asked()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", OPENED, str(at)]
    several = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    try:
        assert [process.stdout.readline() for process in several] == ["1\n"] * 3
        asked = s3.asked() - before
        assert asked["GET"] == 3 + files
        assert index_cache._removed(cached(at, "corpus")) == 0  # it is open elsewhere
    finally:
        for process in several:
            process.stdin.close()
            process.wait(60)
            process.stdout.close()


def test_the_longest_unused_goes_where_there_is_no_room(
    remote: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [put(f"{remote}/{n}", tmp_path, f"Lakes number {n}.") for n in range(3)]
    size = sum(path.stat().st_size for path in cached(at[0], "corpus").iterdir())
    monkeypatch.setenv("GOG_INDEX_CACHE_GB", str(2.5 * size / 1e9))
    second = cached(at[1], "corpus")
    with pytest.raises(IndexFolderError, match="are in use: set GOG_INDEX_CACHE_GB"):
        cached(at[2], "corpus")
    for folder in list(index_cache._open):
        if folder != str(second):
            os.close(index_cache._open.pop(folder))
    third = cached(at[2], "corpus")
    assert kept(cache) == {second, third}
    monkeypatch.setenv("GOG_INDEX_CACHE_GB", "0.0000001")
    with pytest.raises(IndexFolderError, match="indexes on this machine may have 0"):
        cached(at[0], "corpus")


def test_what_a_killed_one_left_is_no_index(remote: str, cache: Path, tmp_path: Path) -> None:
    at = put(remote, tmp_path)
    (cache / ".new").mkdir(parents=True)
    (cache / ".new" / "words.json").write_text("{")
    assert len(Corpus.open(cached(at, "corpus"))) == 1
    assert not (cache / ".new").exists()


def test_a_new_version_is_another_folder_and_an_old_one_can_be_dropped(
    remote: str, cache: Path, tmp_path: Path
) -> None:
    at = put(remote, tmp_path)
    old, content = cached(at, "corpus"), read_manifest(at, "corpus").content
    with changed(at, (), ("corpus",)) as work:
        build_corpus([("https://a/sea", "Seas", "Seas are salt."), ("b", "b", "b")], work / "corpus", name="lakes")
    assert len(Corpus.open(cached(at, "corpus"))) == 2
    assert len(Corpus.open(old)) == 1  # whoever has it open reads on
    drop_cached(content)
    assert not old.exists()
    assert len(Corpus.open(cached(at, "corpus"))) == 2


def test_what_is_worked_on_is_there_as_it_is_and_stays_as_it_is_where_that_fails(
    remote: str, cache: Path, tmp_path: Path
) -> None:
    at = put(remote, tmp_path)
    before = read_manifest(at, "corpus")

    def fail() -> None:
        with changed(at, ("corpus", "gallery"), ("corpus",)) as work:
            assert len(Corpus.open(work / "corpus")) == 1
            assert not (work / "gallery").exists()
            (work / ".corpus.embedded").write_text("for the next")
            with pytest.raises(IndexUnwrittenError, match="another process writes"), changed(at, (), ()):
                pass
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert read_manifest(at, "corpus") == before
    with changed(at, ("corpus",), ("corpus",)) as work:
        assert (work / ".corpus.embedded").read_text() == "for the next"
    assert not work.exists()
    assert {path.name for path in files_below(at)} == {*before.files, "index.json"}


def test_a_disk_that_is_full_is_told(remote: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = put(remote, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10))
    with pytest.raises(IndexFolderError, match="has room for 0"):
        cached(at, "corpus")
