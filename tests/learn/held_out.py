"""Questions about held-out countries, and the same in a world whose countries have changed names.

A model that has learnt flags by heart is right in the first and wrong in the second; one that reads what it finds is
right in both.
"""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from gog.transforms.atlas.facts import by_code
from gog.transforms.atlas.pages import gallery_pictures
from gog.transforms.atlas.scenes import Kind, Scene, compose_scene
from gog.transforms.images import jpeg
from gog.transforms.services.search.gallery import build_gallery

SEED: Final = 2000
"""Of the scenes; training draws its own from others."""
KINDS: Final[tuple[Kind, ...]] = ("gaze", "gaze", "gaze", "trap", "glance")


class Questions(NamedTuple):
    """Files of questions, in the real world and in the other, and the other's index."""

    real: Path
    permuted: Path
    gallery: Path


def write(folder: Path, count: int) -> Questions:
    """Draw `count` scenes that ask for a country, and build the index of the other world."""
    made = Questions(folder / "real.yaml", folder / "permuted.yaml", folder / "index")
    if made.permuted.exists():
        return made
    (folder / "images").mkdir(parents=True, exist_ok=True)
    renamed = other_names()
    by_name = {country.name: country for country in by_code().values()}
    rows: dict[Path, list[dict[str, object]]] = {made.real: [], made.permuted: []}
    for index, scene in _scenes(count):
        path = folder / "images" / f"{index}.jpg"
        path.write_bytes(jpeg(scene.image, scene.quality))
        row = {"id": f"held-{index}", "image": str(path.resolve()), "question": scene.question, "category": scene.kind}
        rows[made.real].append(row | {"answers": list(scene.answers)})
        shown = by_name[str(scene.entity)]
        there = {renamed[code] for code in (shown.code, *shown.twins)}
        rows[made.permuted].append(row | {"answers": sorted(there)})
    build_gallery(_pictures(renamed), made.gallery / "gallery", name="permuted")
    for path, lines in rows.items():
        path.with_suffix(".jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        mapping: dict[str, Any] = {"question": "question", "answers": ["answers"], "image": "image"}
        mapping |= {"image_text": "path", "columns": {"id": "id", "category": "category"}}
        source = {"kind": "jsonl", "dataset": "held-out", "path": str(path.with_suffix(".jsonl")), "mapping": mapping}
        path.write_text(yaml.safe_dump({"source": source}))
    return made


def other_names() -> Mapping[str, str]:
    """The name that each country has there, by its code: each bears another's."""
    countries = sorted(by_code().values(), key=lambda country: country.code)
    order = list(range(len(countries)))
    random.Random("learn").shuffle(order)
    return {countries[a].code: countries[b].name for a, b in zip(order, order[1:] + order[:1], strict=True)}


def _scenes(count: int) -> list[tuple[int, Scene]]:
    found: list[tuple[int, Scene]] = []
    index = 0
    while len(found) < count:
        scene = compose_scene(KINDS[index % len(KINDS)], SEED, index, held_out=True)
        if not scene.fact:
            found.append((index, scene))
        index += 1
    return found


def _pictures(names: Mapping[str, str]) -> Iterator[tuple[str, str, str, bytes]]:
    for picture in gallery_pictures():
        name = names[picture.url.rpartition("/")[2]]
        title, snippet = f"Flag of {name}", f"The national flag of {name}."
        yield picture.url, title, snippet, jpeg(picture.image, 92, subsampling=-1)
