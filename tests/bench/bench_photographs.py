"""A run over real photographs by the defaults of `gog init`, with a teacher that errs: what is kept of it.

The pictures and their texts come out of a Debian package (photographs of monuments and animals, mostly CC-BY-SA):

    apt-get download gcompris-qt-data && dpkg-deb -x gcompris-qt-data_*.deb DEB
    python tests/bench/bench_photographs.py DEB OUT [--entity] [--questions 198] [--no-places]

It writes OUT/world and runs `gog index build`, `run`, `curate` and `export` as a user types them.
"""

import argparse
import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from photographs.measure import measured
from photographs.teacher import Manners, Oracle, serve
from photographs.world import Subject, build

ACTIVITIES: Final = "/gcompris/src/activities/"
COUNTRIES: Final = {
    "india": "India",
    "france": "France",
    "germany": "Germany",
    "usa": "United States",
    "egypt": "Egypt",
}
WONDERS: Final = {
    "Chichén Itzá": "Mexico",
    "Colosseum": "Italy",
    "Christ the Redeemer": "Brazil",
    "Machu Picchu": "Peru",
    "The Great Wall of China": "China",
    "Petra": "Jordan",
    "Taj Mahal": "India",
}
OBJECT: Final = re.compile(r'"title": qsTr\("([^"]+)"\),(.*?)"image2": "qrc:([^"]+)"', re.DOTALL)


def unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    """Files in a Qt resource file."""
    data = path.read_bytes()
    version, tree, blobs, names = struct.unpack(">IIII", data[4:20])
    size = 14 if version == 1 else 22

    def walk(index: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        place = tree + index * size
        offset, flags = struct.unpack(">IH", data[place : place + 6])
        (length,) = struct.unpack(">H", data[names + offset : names + offset + 2])
        name = data[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be") if index else ""
        path = f"{prefix}/{name}" if name else prefix
        if flags & 2:
            count, first = struct.unpack(">II", data[place + 6 : place + 14])
            for child in range(count):
                yield from walk(first + child, path)
            return
        (start,) = struct.unpack(">I", data[place + 10 : place + 14])
        (length,) = struct.unpack(">I", data[blobs + start : blobs + start + 4])
        blob = data[blobs + start + 4 : blobs + start + 4 + length]
        yield path, zlib.decompress(blob[4:]) if flags & 1 else blob

    yield from walk(0, "")


def subjects(deb: Path) -> list[Subject]:
    """Monuments and animals with their texts, each name once."""
    files: dict[str, bytes] = {}
    for name in ("explore_monuments", "explore_world_animals", "explore_farm_animals", "erase"):
        files |= dict(unpacked(next(deb.rglob(f"{name}.rcc"))))
    known: dict[str, Subject] = {}
    for path, blob in sorted(files.items()):
        if not path.endswith(".qml"):
            continue
        for title, body, image in OBJECT.findall(blob.decode()):
            text = re.search(r'"text": qsTr\("((?:[^"\\]|\\.)*)"', body)
            name = title.split(",")[0]
            country = COUNTRIES.get(image.split("/")[-2]) or WONDERS.get(name)
            kind = "monument" if "monuments" in image else "animal"
            words = text[1] if text else ""
            fact = None
            if kind == "monument" and country:
                fact = ("In which country does {} stand?", country, f"{name} stands in {country}.")
                words = f"{words} {fact[2]}"
            known.setdefault(name, Subject(name, kind, _opened(files[image]), words, fact))
    for path, blob in sorted(files.items()):
        name = Path(path).stem.replace("_", " ").capitalize()
        if "/erase/" in path and path.endswith(".webp") and not any(name in other or other in name for other in known):
            known[name] = Subject(name, "animal", _opened(blob))
    return list(known.values())


def _opened(blob: bytes) -> Image.Image:
    return Image.open(io.BytesIO(blob)).convert("RGB")


def config_of(address: str, folder: Path, *, entity: bool) -> dict[str, Any]:
    """What a user changes of `gog init`'s file."""
    gog("init", str(folder / "gog.yaml"), "--force", cwd=folder)
    config: dict[str, Any] = yaml.safe_load((folder / "gog.yaml").read_text())
    model = f"{address}#oracle"
    config |= {"teacher": model, "judge": model, "labeller": model, "run": "photos"}
    if entity:
        config["source"]["mapping"]["columns"]["entity"] = "entity"
    config["source"] |= {"image_root": "photos"}
    return config


def gog(*words: str, cwd: Path) -> int:
    """A command as a user types it."""
    print("$ gog", *words, flush=True)
    done = subprocess.run([str(Path(sys.executable).parent / "gog"), *words], cwd=cwd, check=False)
    return done.returncode


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deb", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--entity", action="store_true")
    parser.add_argument("--questions", type=int, default=198)
    parser.add_argument("--no-places", action="store_true")
    options = parser.parse_args()
    world = options.out / "world"
    build(subjects(options.deb), world, options.questions, entity=options.entity)
    oracle = Oracle(world, Manners(knows_places=not options.no_places))
    address = serve(oracle)
    config = config_of(address, world, entity=options.entity)
    (world / "gog.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    gog(
        "index",
        "build",
        "--images",
        "index_of/pictures",
        "--texts",
        "index_of/texts.jsonl",
        "--out",
        "index",
        cwd=world,
    )
    for command in ("ingest", "synthesize", "curate", "export sft"):
        gog(*command.split(), "--config", "gog.yaml", cwd=world)
    print(measured(world, world / "lake/runs/photos"))


if __name__ == "__main__":
    main()
