"""`gog index build --out s3://...`, and what searches there, takes from it, and is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from calling import Gog
from indexes import FILES, find
from tiny_encoders import picture_encoder, text_encoder

from gog.pipelines.config.config import Config
from gog.pipelines.connect.addresses import check_addresses, open_at
from gog.transforms.images import sha256_hex
from gog.transforms.place import files_below, name_below, place
from gog.transforms.services.providers import TEXT_SEARCHES
from gog.transforms.services.search import vector_table

TEXTS = [{"title": title, "text": f"The {title} is here.", "url": f"https://a/{title}"} for title in ("cat", "spire")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(folder: Path) -> list[object]:
    """Pictures and texts, as arguments of `gog index build`."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for name, data in FILES.items():
        (folder / "photos" / name).write_bytes(data)
    (folder / "texts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in TEXTS))
    return ["--images", folder / "photos", "--texts", folder / "texts.jsonl"]


def test_it_is_searched_as_one_in_a_folder(remote: str, gog: Gog, tmp_path: Path) -> None:
    said = gog("index", "build", *written(tmp_path), "--out", f"{remote}/")
    assert said.code == 0, said.err
    assert f'text_search: "corpus:{remote}/"' in said.out
    here = tmp_path / remote.rpartition("/")[2]
    assert gog("index", "build", *written(tmp_path), "--out", here).code == 0
    for address in (remote, str(here)):
        assert find(address, "spire") == ["spire"]
        assert find(address, FILES["dog.jpg"])[0] == "dog"
    ids = {open_at(TEXT_SEARCHES, f"corpus:{address}").id for address in (remote, here)}
    assert len(ids) == 1  # answers of the one are those of the other
    assert not list((tmp_path / "cache").glob("*/indexes-at-work/*/*"))


def test_a_run_searches_there_and_what_is_forgotten_leaves_it(
    remote: str, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gog("index", "build", *written(tmp_path), "--out", remote).code == 0
    settings = {
        "source": {"kind": "atlas", "count": 1},
        "lake": str(tmp_path / "lake"),
        "text_search": f"corpus:{remote}",
        "image_search": f"gallery:{remote}",
    }
    (tmp_path / "gog.yaml").write_text(yaml.safe_dump(settings))
    assert "nothing was kept" in gog("run").err  # what is asked is not in it
    found = json.loads(gog("inspect", "--json", "--sql", "select distinct provider from searches").out)
    name = remote.rpartition("/")[2]
    assert f"gallery:{name}" in {row["provider"].partition("@")[0] for row in found}

    sha256 = sha256_hex(FILES["dog.jpg"])
    dry = json.loads(gog("forget", "--image", sha256, "--dry-run", "--json").out)
    assert dry["galleries"] == {f"{remote}/gallery": 1}
    cached = {path.parent for path in tmp_path.glob("cache/*/indexes/*/thumbnails.bin")}
    assert cached
    said = gog("forget", "--image", sha256)
    assert said.code == 0, said.err
    assert not any(path.exists() for path in cached)
    assert "dog" not in find(remote, FILES["dog.jpg"])
    assert find(remote, "spire") == ["spire"]
    cached = {path.parent for path in tmp_path.glob("cache/*/indexes/*/passages.jsonl")}
    said = gog("forget", "--page", "https://a/spire")
    assert said.code == 0, said.err
    assert f"{remote}/corpus: 1 of its pages gone" in said.out
    assert not any(path.exists() for path in cached)
    assert find(remote, "spire") == []


def test_a_second_build_pays_for_what_is_new(
    remote: str, gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sees", "reads"):
        (tmp_path / name).mkdir()
    encoders = [
        "--image-encoder",
        f"onnx:{picture_encoder(tmp_path / 'sees')}",
        "--text-encoder",
        f"onnx:{text_encoder(tmp_path / 'reads')}",
    ]
    command = ["index", "build", *written(tmp_path), *encoders, "--out", remote]
    assert gog(*command).code == 0
    first = {name_below(path, place(remote)) for path in files_below(place(remote))}
    TEXTS.append({"title": "bread", "text": "The bread.", "url": "https://a/bread"})
    try:
        command[2:6] = written(tmp_path)
    finally:
        TEXTS.pop()
    batches: list[int] = []
    patient = vector_table._patient

    def counted(call: Any) -> Any:
        batches.append(len(call.args[0]))
        return patient(call)

    monkeypatch.setattr(vector_table, "_patient", counted)
    said = gog(*command)
    assert said.code == 0, said.err
    assert batches == [1]
    assert find(remote, "bread")[0] == "bread"
    second = {name_below(path, place(remote)) for path in files_below(place(remote))}
    same = {name for name in first if name.startswith("gallery/")}
    assert second & first == same | {"corpus/index.json"}, "what is the same is not written again"


def test_what_cannot_be_is_said_in_one_line(s3: object, gog: Gog, tmp_path: Path) -> None:
    for out, told in (
        ("s3://nobody-made-this/index", "cannot reach s3://nobody-made-this/index with"),
        ("s3://lakes", "name the bucket and a folder in it"),
        ("ftp://lakes/index", "is no place for a lake or an index"),
    ):
        said = gog("index", "build", *written(tmp_path), "--out", out)
        assert (said.code, told in said.error) == (2, True), said.err
        for kind in ("corpus", "gallery"):
            config = Config(**{"text_search" if kind == "corpus" else "image_search": f"{kind}:{out}"})
            with pytest.raises(ValueError, match=re.escape(told.removeprefix("cannot reach "))) as raised:
                check_addresses(config)
            assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="there is no corpus index in s3://lakes/none: `gog index build --out"):
        check_addresses(Config(text_search="corpus:s3://lakes/none"))
