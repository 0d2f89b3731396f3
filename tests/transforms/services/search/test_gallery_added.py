"""Pictures come to a gallery: what is found is what a build of the same pictures finds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textures import jpeg, texture
from tiny_encoders import picture_encoder

from gog.transforms.images import sha256_hex
from gog.transforms.services.search import grid_table, vector_cells
from gog.transforms.services.search.encoders_of import NamedEncoder, open_encoder
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.gallery_change import add_pictures, names_in, remove_pictures
from gog.transforms.services.search.index_folder import IndexFolderError, IndexUnwrittenError, held

FILES = [jpeg(texture(number, 60, 45), 90) for number in range(6)]
SHAS = [sha256_hex(data) for data in FILES]
Picture = tuple[str, str, str, bytes]
PICTURES = st.lists(
    st.builds(
        lambda address, title, number: (address, title, "", FILES[number]),
        st.sampled_from(["https://a/1", "https://a/2", "one.jpg", "two.jpg"]),
        st.sampled_from(["A", "B"]),
        st.integers(0, 5),
    ),
    max_size=6,
)
CHANGES = st.lists(PICTURES | st.frozensets(st.sampled_from([*SHAS, "one.jpg", "https://a/1"])), max_size=4)


@pytest.fixture(scope="module")
def sees(tmp_path_factory: pytest.TempPathFactory) -> NamedEncoder:
    pytest.importorskip("onnxruntime")
    return open_encoder(f"onnx:{picture_encoder(tmp_path_factory.mktemp('sees'))}")


def found(folder: Path) -> list[Any]:
    images = MemoryImages()
    gallery = Gallery.open(folder, images)
    hits = [asyncio.run(gallery.search(images.put(data, "jpg"), 5)) for data in FILES]
    return [[(hit.url, hit.title, hit.score, hit.thumbnail_sha256) for hit in some] for some in hits]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def key(picture: Picture) -> tuple[str, str]:
    return picture[0], "" if picture[0].endswith(".jpg") else sha256_hex(picture[3])


def after(pictures: list[Picture], change: Any) -> list[Picture]:
    if isinstance(change, frozenset):
        return [one for one in pictures if one[0] not in change and sha256_hex(one[3]) not in change]
    kept, come = list(pictures), list(change)
    for known in dict.fromkeys(map(key, change)):
        old, new = ([one for one in some if key(one) == known] for some in (pictures, change))
        if old == new:
            come = [one for one in come if key(one) != known]
        else:
            kept = [one for one in kept if key(one) != known]
    return kept + come


def check(folder: Path, pictures: list[Picture], changes: list[Any], encoder: NamedEncoder | None) -> None:
    build_gallery(pictures, folder / "gallery", name="g", encoder=encoder)
    for change in changes:
        if isinstance(change, frozenset):
            remove_pictures(folder / "gallery", {*change} & {*SHAS}, {*change} - {*SHAS})
        else:
            before, alone = len(pictures), {"one.jpg", "two.jpg"}
            added = add_pictures(folder / "gallery", change, alone)
            assert added.new + added.changed + added.same == len(change)
            assert added.total == len(after(pictures, change)) <= before + len(change)
            again = content(folder / "gallery")
            assert add_pictures(folder / "gallery", change, alone).same == len(change)
            assert content(folder / "gallery") == again
        pictures = after(pictures, change)
    build_gallery(pictures, folder / "built" / "gallery", name="g", encoder=encoder)
    assert content(folder / "gallery") == content(folder / "built" / "gallery")
    assert found(folder / "gallery") == found(folder / "built" / "gallery")
    assert sorted(path.name for path in folder.iterdir()) == ["built", "gallery"]


few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@few
@given(PICTURES, CHANGES)
def test_bytes_are_those_of_a_build(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[Picture], changes: list[Any]
) -> None:
    check(tmp_path_factory.mktemp("grid"), pictures, changes, None)


@few
@given(PICTURES, CHANGES)
def test_so_are_those_of_an_encoder(
    tmp_path_factory: pytest.TempPathFactory, sees: NamedEncoder, pictures: list[Picture], changes: list[Any]
) -> None:
    check(tmp_path_factory.mktemp("seen"), pictures, changes, sees)


def numbered(numbers: list[int]) -> list[Picture]:
    return [(f"https://a/{n}", f"title {n}", "", FILES[n]) for n in numbers]


def test_once_there_are_many_each_has_one_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_table, "MANY", 4)
    monkeypatch.setattr("gog.transforms.services.search.gallery_change.MANY", 4)
    check(tmp_path, numbered([0, 1, 2]), [numbered([3, 4])], None)
    check(tmp_path / "more", numbered([0, 1, 2, 3, 4]), [numbered([5])], None)


def test_what_was_there_is_not_encoded_again_and_stays_in_its_cell(
    tmp_path: Path, sees: NamedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(vector_cells, "EXACT", 3)
    build_gallery(numbered([0, 1, 2, 3]), tmp_path / "gallery", encoder=sees)
    asked: list[int] = []
    pictures = type(sees.encoder).pictures

    async def counted(self: Any, images: list[Any]) -> Any:
        asked.append(len(images))
        return await pictures(self, images)

    monkeypatch.setattr(type(sees.encoder), "pictures", counted)
    added = add_pictures(tmp_path / "gallery", numbered([3, 4, 5]))
    assert (added.new, added.same, added.total, asked) == (2, 1, 6, [2])
    assert added.cells is not None
    assert [hits[0][1] for hits in found(tmp_path / "gallery")] == [f"title {n}" for n in range(6)]


def test_an_index_that_another_changes_stays_as_that_leaves_it(tmp_path: Path) -> None:
    index = tmp_path / "index" / "gallery"
    build_gallery(numbered([0]), index)
    with held(index), pytest.raises(IndexUnwrittenError, match="another process changes the index"):
        add_pictures(index, numbered([1]))

    def meanwhile() -> Any:
        build_gallery(numbered([2, 3]), index)
        yield from numbered([1])

    with pytest.raises(IndexUnwrittenError, match="was changed by another meanwhile"):
        add_pictures(index, meanwhile())
    assert names_in(index, {SHAS[2], "https://a/3", "https://a/1"}) == {SHAS[2], "https://a/3"}
    assert add_pictures(index, numbered([1])).total == 3


def test_an_open_index_stays_as_it_was(tmp_path: Path) -> None:
    index, images = tmp_path / "gallery", MemoryImages()
    build_gallery(numbered([0, 1]), index)
    before = Gallery.open(index, images)
    add_pictures(index, numbered([2]))
    for _ in range(2):
        hits = asyncio.run(before.search(images.put(FILES[2], "jpg"), 5))
        assert {hit.title for hit in hits} == {"title 0", "title 1"}
    assert before.id != Gallery.open(index, images).id


def test_what_cannot_be_read_is_said_and_an_index_that_is_not_there(tmp_path: Path) -> None:
    build_gallery(numbered([0]), tmp_path / "gallery")
    added = add_pictures(tmp_path / "gallery", [("https://a/9", "t", "", b"no picture"), *numbered([1])])
    assert (added.new, added.total, [where for where, _ in added.skipped]) == (1, 2, ["https://a/9"])
    for folder in (tmp_path / "nowhere" / "gallery", tmp_path / "none"):
        with pytest.raises(IndexFolderError, match="gog index build"):
            add_pictures(folder, numbered([1]))
