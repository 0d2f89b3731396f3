"""The page for people with a search of their own, typed: photographs, captions and pages, from files to a search."""

import asyncio
import json
import re
from pathlib import Path

import published
import pytest
import yaml
from calling import Gog
from fakes import MemoryImages

from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery

PAGE = Path(__file__).parents[3] / "docs" / "cookbook" / "search.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
PAGES = {
    "pages/bergen.md": "# Bergen\n\nBergen is a city in *Norway*.\nIt lies between seven hills.\n",
    "pages/clock-tower.html": "<html><head><title>The clock</title></head><body><article><p>The tower's clock was\n"
    "made in Ghent, and has\nfour faces.</p></article></body></html>",
    "pages/notes.txt": "The hill has no name.\n\nSheep graze on it.\n",
}


def block(kind: str, word: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == kind and word in text]
    return str(found)


def found(query: str) -> tuple[str, str]:
    hit = asyncio.run(Corpus.open(Path("index/corpus")).search(query, 3))[0]
    return hit.url, hit.snippet


def test_what_the_page_says_works_as_it_is_typed(gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = block("", "archive/harbour.jpg").split()
    assert {file for file in files if file.startswith("pages/")} == set(PAGES)
    for number, name in enumerate(file for file in files if file.endswith(".jpg")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(published.picture(number))
    for name, text in PAGES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, "utf-8")
    captions = block("json", '"image"')
    Path("captions.jsonl").write_text(captions, "utf-8")
    command = block("", "gog index build --images").split()[1:]

    built = gog(*command)
    assert built.code == 0, built.err
    assert built.out == block("", "index/gallery")
    assert gog("init").code == 0
    config = yaml.safe_load(Path("gog.yaml").read_text())
    named = yaml.safe_load(block("yaml", "corpus:index"))
    assert {key: config[key] for key in named} == named

    assert found("Bryggen") == ("https://example.org/bryggen", json.loads(captions.splitlines()[1])["text"])
    assert found("Bergen Norway")[1] == "Bergen Bergen is a city in Norway. It lies between seven hills."
    assert "has told the time since 1894" in found("clock tower time")[1]
    assert found("hill name") == ("notes.txt", "The hill has no name. Sheep graze on it.")
    images = MemoryImages()
    gallery = Gallery.open(Path("index/gallery"), images)
    hit = asyncio.run(gallery.search(images.put(published.picture(0), "jpg"), 1))[0]
    assert (hit.title, hit.url) == ("Bryggen", "https://example.org/bryggen")

    Path("captions.jsonl").write_text(captions.replace('"image": "', '"image": "archive/'), "utf-8")
    wrong = gog(*command)
    assert wrong.code == 1
    assert wrong.error == block("", "gog: none of").strip()
