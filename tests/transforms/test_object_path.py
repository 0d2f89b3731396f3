"""Names on an object store as paths."""

import copy
import hashlib
from pathlib import Path

import pytest

from gog.transforms import object_path
from gog.transforms.object_path import ABSENT, AddressError, ObjectPath
from gog.transforms.place import (
    check_address,
    content_tag,
    files_below,
    folders_in,
    local_folder,
    name_below,
    place,
    remove_folder,
    write_whole,
)


class TestAddresses:
    @pytest.mark.parametrize("address", ["./lake", "/data/lake", "lake:1", "my lake", "C:/lake", "s3"])
    def test_folders_are_paths(self, address: str) -> None:
        assert place(address) == Path(address)

    @pytest.mark.parametrize("address", ["s3://bucket/lake", "gs://bucket/a/b/", "az://box/lake"])
    def test_addresses_of_object_stores_are_not(self, address: str) -> None:
        assert str(place(address)) == address.rstrip("/")
        assert not isinstance(place(address), Path)

    @pytest.mark.parametrize(
        "address",
        [
            "ftp://bucket/lake",
            "hdfs://host/lake",
            "file:///lake",
            "gs:/bucket/lake",
            "gs:bucket",
            "http:/x",
            "a+b://c/d",
        ],
    )
    def test_any_other_is_refused(self, address: str) -> None:
        with pytest.raises(AddressError, match=r"or an address that begins with s3://, gs://, az://"):
            check_address(address)

    @pytest.mark.parametrize(
        "address", ["s3://", "s3://bucket", "s3:///lake", "s3://bucket/../lake", "s3://bucket//lake"]
    )
    def test_bucket_and_folder_are_named(self, address: str) -> None:
        with pytest.raises(AddressError, match=r"name the bucket and a folder in it, as s3://BUCKET/lake"):
            check_address(address)

    def test_what_has_to_be_files_lies_in_the_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("GOG_CACHE", str(tmp_path))
        assert local_folder("./lake") == Path("lake")
        assert local_folder("s3://bucket/lake").is_relative_to(tmp_path)
        assert local_folder("s3://bucket/lake") == local_folder("s3://bucket/lake/")
        assert local_folder("s3://bucket/lake") != local_folder("s3://bucket/other")


def test_the_tag_of_a_file_is_its_hash(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"one")
    # Notes of finished runs are made of it: another would have their exports made anew.
    assert content_tag(tmp_path / "x") == hashlib.sha256(b"one").digest()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(AddressError, match=r"pip install 'glance-or-gaze\[cloud\]'"):
        place("gs://never-opened/lake").exists()


def test_it_does_nothing_that_only_a_folder_can() -> None:
    with pytest.raises(AttributeError):
        place("s3://bucket/lake").mkdir()


class TestObjects:
    def test_written_whole_and_read(self, remote: str) -> None:
        path = place(remote) / "a" / "b.json"
        assert not path.exists()
        with pytest.raises(FileNotFoundError):
            path.read_bytes()
        write_whole(path, b"one")
        assert path.read_bytes() == b"one"
        assert path.read_text() == "one"
        assert path.stat().st_size == 3
        assert (path.name, path.stem, path.suffix, str(path.parent)) == ("b.json", "b", ".json", f"{remote}/a")
        assert copy.deepcopy(path) == path

    def test_copied_by_the_store(self, remote: str) -> None:
        path = ObjectPath(f"{remote}/a/b")
        with pytest.raises(FileNotFoundError):
            path.copy(ObjectPath(f"{remote}/c"))
        for data in (b"one", b"two"):
            path.write(data)
            path.copy(ObjectPath(f"{remote}/c"))
            assert ObjectPath(f"{remote}/c").read_bytes() == data == path.read_bytes()

    def test_written_only_over_what_was_read(self, remote: str) -> None:
        path = ObjectPath(f"{remote}/lock")
        first = path.write(b"1", ABSENT)
        with pytest.raises(FileExistsError):
            path.write(b"2", ABSENT)
        second = path.write(b"2", first)
        with pytest.raises(FileExistsError):
            path.write(b"3", first)
        assert path.read_tagged()[0] == b"2"
        assert path.stat().tag == second == path.read_tagged()[1].tag

    def test_read_by_blocks(self, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(object_path, "BLOCK", 10)
        path, data = ObjectPath(f"{remote}/large"), bytes(range(95))
        path.write(data)
        assert [len(block) for block in path.blocks(95)] == [10] * 9 + [5]
        assert b"".join(path.blocks(95)) == data
        assert b"".join(path.blocks(20)) == data[:20]
        assert list(path.blocks(0)) == []
        for size in (96, 1000):
            with pytest.raises(OSError, match=str(path)):
                list(path.blocks(size))
        with pytest.raises(FileNotFoundError):
            list(ObjectPath(f"{remote}/none").blocks(5))

    def test_listed(self, remote: str) -> None:
        root = place(remote)
        for name in ("runs/b/manifest.json", "runs/a/manifest.json", "runs/a/x/part-1.parquet", "runs/a/x/other"):
            write_whole(root / name, name.encode())
        write_whole(place(f"{remote}-beside") / "runs", b"")
        assert [str(path) for path in (root / "runs").glob("*/manifest.json")] == [
            f"{remote}/runs/a/manifest.json",
            f"{remote}/runs/b/manifest.json",
        ]
        assert [path.name for path in (root / "runs/a/x").glob("part-*.parquet")] == ["part-1.parquet"]
        assert [path.name for path in folders_in(root / "runs")] == ["a", "b"]
        below = ["manifest.json", "x/other", "x/part-1.parquet"]
        assert [name_below(path, root / "runs/a") for path in files_below(root / "runs/a")] == below
        remove_folder(root / "runs/a")
        assert files_below(root / "runs/a") == []
        assert len(files_below(root)) == 1

    def test_a_tag_follows_the_content(self, remote: str) -> None:
        path = place(remote) / "x"
        tags = []
        for data in (b"one", b"two", b"one"):
            write_whole(path, data)
            tags.append(content_tag(path))
        assert tags[0] == tags[2] != tags[1]

    def test_no_bucket_is_told_in_one_line(self, s3: object) -> None:
        with pytest.raises(OSError, match=r"there is no such bucket$"):
            place("s3://nowhere-at-all/lake").read_bytes()
        with pytest.raises(OSError, match=r"there is no such bucket$"):
            write_whole(place("s3://nowhere-at-all/lake"), b"")

    def test_nobody_there_is_told_in_one_line(self, s3: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(OSError, match=r"127\.0\.0\.1:9") as said:
            place("s3://asleep/lake").read_bytes()
        assert "\n" not in str(said.value)
