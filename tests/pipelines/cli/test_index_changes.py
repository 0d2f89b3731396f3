"""`gog index add` and `gog index remove`, in a folder and in a bucket."""

import json
from pathlib import Path
from typing import Any

import pytest
from calling import Gog
from indexes import FILES, find
from textures import jpeg, texture
from tiny_encoders import picture_encoder, text_encoder

from gog.transforms.images import sha256_hex
from gog.transforms.place import files_below, place

MORE = {"mill.jpg": jpeg(texture(7, 120, 90), 90)}
LINES = [
    {"image": "cat.jpg", "title": "cat", "url": "https://a/cat"},
    {"title": "cat", "text": "The cat is here.", "url": "https://a/cat"},
    {"title": "spire", "text": "The spire is here.", "url": "https://a/spire"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOG_CACHE", str(tmp_path / "cache"))


def written(folder: Path, name: str, files: dict[str, bytes], lines: list[dict[str, Any]]) -> list[object]:
    """Pictures and texts, as arguments."""
    (folder / name).mkdir()
    for file, data in files.items():
        (folder / name / file).write_bytes(data)
    (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return ["--images", folder / name, "--texts", folder / f"{name}.jsonl"]


def told(gog: Gog, *command: object) -> Any:
    done = gog(*command, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def changes(gog: Gog, folder: Path, out: str) -> None:
    """Build, add, add again, remove, remove again."""
    encoders: list[object] = ["--image-encoder", f"onnx:{picture_encoder(folder / 'sees')}"]
    encoders += ["--text-encoder", f"onnx:{text_encoder(folder / 'reads')}"]
    assert gog("index", "build", *written(folder, "first", FILES, LINES), *encoders, "--out", out).code == 0
    extra: list[dict[str, Any]] = [
        {"image": "mill.jpg", "title": "mill", "url": "https://a/mill"},
        {"title": "cat", "text": "Another cat, from the lake.", "url": "https://a/cat"},
        {"title": "bread", "text": "The bread is new.", "url": "https://a/bread"},
        {"title": "spire", "url": "https://a/else"},
        {"text": 7},
    ]
    more = [*written(folder, "more", MORE, extra), "--out", out]
    done = gog("index", "add", *more)
    assert done.code == 0, done.err
    assert f"{out}/gallery  1 new, 0 in the place of earlier ones, 0 were there: 4 pictures by now" in done.out
    assert f"{out}/corpus  2 new, 1 in the place of earlier ones, 0 were there: 4 pages by now" in done.out
    assert "left out: more.jsonl#5: 'text' holds int, not text" in done.out
    assert find(out, MORE["mill.jpg"])[0] == "mill"
    assert find(out, "bread")[0] == "bread"
    assert find(out, "another lake")[0] == "cat"
    before = {str(path): path.read_bytes() for path in files_below(place(out))}
    again = told(gog, "index", "add", *more)
    assert (again["gallery"]["same"], again["corpus"]["same"], again["corpus"]["total"]) == (1, 3, 4)
    assert {str(path): path.read_bytes() for path in files_below(place(out))} == before

    (folder / "gone.txt").write_text("https://a/cat\n\nhttps://nowhere\n")
    names = [sha256_hex(FILES["dog.jpg"]), "tower.jpg", "--list", folder / "gone.txt", "--out", out]
    done = gog("index", "remove", *names)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"{out}/gallery  gone: 3 of the pictures",
        f"{out}/corpus   gone: 1 of the pages",
        "not there: https://nowhere",
    ]
    assert find(out, FILES["dog.jpg"]) == ["mill"]
    assert "cat" not in find(out, "cat")
    after = {str(path): path.read_bytes() for path in files_below(place(out))}
    assert len(told(gog, "index", "remove", *names)["missing"]) == 4
    assert {str(path): path.read_bytes() for path in files_below(place(out))} == after


def test_in_a_folder(gog: Gog, tmp_path: Path) -> None:
    changes(gog, tmp_path, str(tmp_path / "index"))


def test_in_a_bucket(remote: str, gog: Gog, tmp_path: Path) -> None:
    changes(gog, tmp_path, remote)


def test_what_cannot_be_is_said_in_one_line(gog: Gog, tmp_path: Path) -> None:
    given = written(tmp_path, "first", FILES, LINES)
    nowhere = tmp_path / "nowhere"
    for command, said in [
        (["add", "--out", nowhere], "nothing to index"),
        (["add", *given, "--out", nowhere], "is not a gallery index"),
        (["remove", "--out", nowhere], "say what: addresses"),
        (["remove", "https://a", "--out", nowhere], "is not a gallery index"),
        (["remove", "--list", nowhere], "cannot be read"),
    ]:
        done = gog("index", *command)
        assert (done.code, said in done.error) == (2, True), done.err
    assert not nowhere.exists()
