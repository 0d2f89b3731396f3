"""Indexes on object stores: whole, checked, and replaced without a moment between."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gog.transforms.object_path import ObjectPath
from gog.transforms.place import files_below, name_below
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.index_bucket import (
    IndexMissingError,
    check_writable,
    fetch,
    publish,
    read_manifest,
)
from gog.transforms.services.search.index_folder import IndexFolderError, IndexUnwrittenError


def built(folder: Path, text: str = "Lakes freeze from the top.") -> Path:
    build_corpus([("https://a/lake", "Lakes", text)], folder, name="lakes")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_fetched_is_what_was_published(remote: str, tmp_path: Path) -> None:
    at, folder = ObjectPath(remote), built(tmp_path / "corpus")
    (folder / "empty.bin").write_bytes(b"")
    with pytest.raises(IndexMissingError, match=f"gog index build --out {remote}"):
        read_manifest(at, "corpus")
    made = publish(folder, at, "corpus", None)
    assert read_manifest(at, "corpus") == made
    assert made.size == sum(len(data) for name, data in contents(folder).items() if name != "index.json")
    fetch(at, "corpus", made, tmp_path / "fetched")
    assert contents(tmp_path / "fetched") == contents(folder)


def test_the_next_takes_its_place_and_leaves_nothing_of_it(remote: str, tmp_path: Path) -> None:
    at = ObjectPath(remote)
    first = publish(built(tmp_path / "corpus"), at, "corpus", None)
    (at / "corpus" / "killed" / "words.json").write(b"what a killed writer left")
    second = publish(built(tmp_path / "corpus", "Lakes are deep."), at, "corpus", first)
    assert second.content != first.content
    assert {name_below(path, at).split("/")[1] for path in files_below(at)} == {"index.json", second.at}
    with pytest.raises(FileNotFoundError):
        fetch(at, "corpus", first, tmp_path / "late")
    with pytest.raises(IndexUnwrittenError, match="changed by another meanwhile"):
        publish(built(tmp_path / "corpus", "Lakes are wide."), at, "corpus", first)
    assert read_manifest(at, "corpus") == second
    fetch(at, "corpus", second, tmp_path / "fetched")


def test_damage_is_seen(remote: str, tmp_path: Path) -> None:
    at = ObjectPath(remote)
    made = publish(built(tmp_path / "corpus"), at, "corpus", None)
    for data in (b"x" * made.files["words.json"].size, b"{}", b"x" * 10_000):
        (at / "corpus" / made.at / "words.json").write(data)
        with pytest.raises((IndexFolderError, OSError)):
            fetch(at, "corpus", made, tmp_path / f"of {len(data)}")


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["files"].update({"../../etc/passwd": said["files"]["words.json"]}),
        lambda said: said["files"]["words.json"].update(bytes=-1),
        lambda said: said["files"]["words.json"].update(bytes=1 << 50),
        lambda said: said["files"].update({f"f{n}": said["files"]["words.json"] for n in range(100)}),
        lambda said: said.update(at="../gallery"),
        lambda said: said.update(version="another"),
        lambda said: said.update(kind="gallery"),
        lambda said: said.update(files=[]),
        lambda said: said.pop("at"),
        lambda said: said.update(note="x" * (1 << 20)),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    remote: str, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    at = ObjectPath(remote)
    publish(built(tmp_path / "corpus"), at, "corpus", None)
    said = json.loads((at / "corpus" / "index.json").read_bytes())
    change(said)
    (at / "corpus" / "index.json").write(json.dumps(said).encode())
    with pytest.raises(IndexFolderError, match="is no manifest of a corpus index"):
        read_manifest(at, "corpus")


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b"null", b"[" * 100_000])
def test_nor_is_what_is_no_manifest_at_all(remote: str, data: bytes) -> None:
    (ObjectPath(remote) / "corpus" / "index.json").write(data)
    with pytest.raises(IndexFolderError, match="is no manifest of a corpus index"):
        read_manifest(ObjectPath(remote), "corpus")


def test_a_bucket_that_is_not_there_is_told_in_one_line(s3: object) -> None:
    at = ObjectPath("s3://nobody-made-this/index")
    for asked in (lambda: read_manifest(at, "corpus"), lambda: check_writable(at)):
        with pytest.raises(IndexFolderError, match="no such bucket") as raised:
            asked()
        assert "\n" not in str(raised.value)
        assert not isinstance(raised.value, IndexMissingError)
        assert raised.value.exit_code == 2
