"""What it takes to add to an index, and to take out of it, beside a build: processor time, memory, and bytes written.

    PYTHONPATH=tests python -m bench.bench_index_changes FOLDER [ENTRIES] [ADDED]

Pages are one passage of about 430 characters, of words that are drawn as texts have them; vectors have 768 numbers and
are drawn, too, so that no encoder's time is in it. Of pictures the index is written as a build writes it, with
thumbnails of 4 kB. Each figure is of a process of its own, on one core.
"""

import hashlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from textures import jpeg, texture

from gog.schemas import canonical_json
from gog.transforms.images import sha256_hex
from gog.transforms.services.search import corpus_change, gallery_change
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.gallery_files import EMBEDDINGS, GalleryWriter
from gog.transforms.services.search.passage_blocks import Page
from gog.transforms.services.search.vector_cells import write_cells
from gog.transforms.services.search.vector_table import header

DIMENSIONS: Final = 768
_WORDS: Final = 60_000


class Drawn:
    """An encoder of anything, which takes no time."""

    id, precision, sees, reads = "drawn", "float32", True, True

    async def texts(self, texts: list[str], *, asks: bool) -> Any:
        """A row for each."""
        return drawn([int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts])

    async def pictures(self, pictures: list[Any]) -> Any:
        """A row for each."""
        return drawn([int.from_bytes(hashlib.sha256(one.tobytes()).digest()[:4], "big") for one in pictures])


def drawn(seeds: list[int]) -> Any:
    """A row of unit length for each seed, near to one of 500 centres."""
    rows = [np.random.default_rng(seed).standard_normal(DIMENSIONS, np.float32) for seed in seeds]
    near = [np.random.default_rng(seed % 500).standard_normal(DIMENSIONS, np.float32) for seed in seeds]
    table = 0.4 * np.array(rows) + np.array(near)
    return (table / np.linalg.norm(table, axis=1, keepdims=True)).astype(np.float32)


ENCODER: Final = NamedEncoder("drawn:", Drawn())  # type: ignore[arg-type]


def pages(first: int, last: int) -> Iterator[Page]:
    """Pages of these numbers."""
    for number in range(first, last):
        random = np.random.default_rng(number)
        words = np.minimum(random.zipf(1.25, 70), _WORDS)
        text = " ".join(f"w{word:x}" + "o" * (word % 5) for word in words)
        yield f"https://example.org/{number}", f"Title {number}", text[:430]


def pictures(first: int, last: int) -> Iterator[tuple[str, str, str, bytes]]:
    """Pictures of these numbers."""
    for number in range(first, last):
        yield f"https://example.org/{number}", f"Title {number}", "", jpeg(texture(number, 64, 48), 80)


def build_pages(folder: Path, entries: int) -> None:
    """A corpus by its words."""
    build_corpus(pages(0, entries), folder)


def build_meant(folder: Path, entries: int) -> None:
    """A corpus by its words and by meaning."""
    build_corpus(pages(0, entries), folder, encoder=ENCODER)


def write_pictures(folder: Path, entries: int) -> None:
    """A gallery as a build writes it."""
    folder.mkdir(parents=True)
    thumbnail = np.random.default_rng(0).bytes(4096)
    with GalleryWriter(folder, "drawn") as writer:
        for number in range(entries):
            hashes = {"sha256": sha256_hex(b"%d" % number), "thumbnail_sha256": sha256_hex(thumbnail)}
            entry = {"url": f"https://example.org/{number}", "title": f"Title {number}", "snippet": "", **hashes}
            writer.add(f"{canonical_json(entry)}\n".encode(), thumbnail)
    with (folder / EMBEDDINGS).open("wb") as file:
        file.write(header(entries, DIMENSIONS))
        for start in range(0, entries, 1000):
            file.write(drawn(list(range(start, min(entries, start + 1000)))).tobytes())
    writer.finish({"name": "g", "views": 1, **ENCODER.head(), **write_cells(folder / EMBEDDINGS, None)})


def add_pages(folder: Path, entries: int, added: int) -> None:
    """As many more."""
    corpus_change.add_pages(folder, pages(entries, entries + added))


def remove_pages(folder: Path, entries: int, added: int) -> None:
    """As many, here and there."""
    corpus_change.remove_pages(folder, {f"https://example.org/{n}" for n in range(0, entries, entries // added)})


def add_pictures(folder: Path, entries: int, added: int) -> None:
    """As many more."""
    gallery_change.add_pictures(folder, pictures(entries, entries + added))


def remove_pictures(folder: Path, entries: int, added: int) -> None:
    """As many, here and there."""
    gone = {f"https://example.org/{n}" for n in range(0, entries, entries // added)}
    gallery_change.remove_pictures(folder, set(), gone)


BUILDS: Final = {"words": build_pages, "meaning": build_meant, "pictures": write_pictures}
CHANGES: Final[dict[str, tuple[Callable[[Path, int, int], None], ...]]] = {
    "words": (add_pages, remove_pages),
    "meaning": (add_pages, remove_pages),
    "pictures": (add_pictures, remove_pictures),
}


def measured(work: Callable[[], None], folder: Path) -> dict[str, object]:
    """What some work takes."""
    began, used = time.perf_counter(), time.process_time()
    work()
    size = sum(path.stat().st_size for path in folder.iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    took = {"cpu_s": round(time.process_time() - used, 2), "s": round(time.perf_counter() - began, 2)}
    return {**took, "peak_mib": peak, "mib": round(size / (1 << 20), 1)}


def main(folder: Path, entries: int, added: int, part: str = "") -> None:
    """All parts, each in a process, or one of them."""
    if part:
        corpus_change.named_encoder = gallery_change.named_encoder = (  # type: ignore[attr-defined]
            lambda folder, head: ENCODER if "encoder" in head else None
        )
        kind, _, number = part.partition(" ")
        index = folder / kind
        if number:
            print(json.dumps(measured(lambda: CHANGES[kind][int(number)](index, entries, added), index)))
        else:
            print(json.dumps(measured(lambda: BUILDS[kind](index, entries), folder)))
        return
    for kind, changes in CHANGES.items():
        for name, one in [("build", kind), *((change.__name__, f"{kind} {n}") for n, change in enumerate(changes))]:
            command = [sys.executable, "-m", "bench.bench_index_changes", str(folder), str(entries), str(added), one]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # our words
            print(f"{kind:9} {name:16} {entries:>9,} {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4] or ["10000", "100"]), *sys.argv[4:5])  # type: ignore[arg-type]
