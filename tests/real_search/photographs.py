"""What is asked of an index of photographs: monuments and animals of Debian's gcompris-qt-data."""

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bench.bench_photographs import subjects, unpacked
from photographs.world import build
from PIL import Image, ImageEnhance, ImageOps

from gog.schemas import Box
from gog.transforms.images import CropSettings, cut_crop

QUESTIONS: Final = 198
OTHERS: Final = {
    "categorization.rcc": {
        "christTheRedeemer": "Christ the Redeemer",
        "eiffelTower": "Eiffel Tower",
        "greatWall": "The Great Wall of China",
        "kutubMinar": "Qutub Minar",
        "mountRushmore": "Mount Rushmore",
        "statueOfLiberty": "Statue of Liberty",
        "tajMahal": "Taj Mahal",
    },
    "details.rcc": {
        "Chenonceau_background": "Château de Chenonceau",
        "GizahPyramids_background": "Great Pyramid of Giza",
        "Neuschwanstein_background": "Neuschwanstein Castle",
        "TajMahal_background": "Taj Mahal",
        "TourEiffel_background": "Eiffel Tower",
    },
    "erase.rcc": {"giraffe": "Giraffe", "horse": "Horse"},
}
"""Other photographs of what is in the index, by the files that they are in: all that the package has. They were looked
at: several more files show the same photograph.
"""


class Asked(NamedTuple):
    """One question: of which kind, with what, and the title that is looked for."""

    kind: str
    picture: Image.Image
    title: str


def world_of(photographs: Path, folder: Path) -> Path:
    """Write the world of `bench_photographs`; `index_of` in it has what is indexed."""
    build(subjects(photographs), folder, QUESTIONS)
    return folder


def asked_of(photographs: Path, world: Path) -> Iterator[Asked]:
    """All questions, always the same."""
    rng = random.Random(1)
    for line in (world / "truth.jsonl").read_text().splitlines():
        truth = json.loads(line)
        if truth["box"]:
            board = Image.open(world / "photos" / truth["image"]).convert("RGB")
            yield Asked("gold crop", cut_crop(board, Box(*truth["box"]), CropSettings())[0], truth["target"])
            yield Asked("whole board", board, truth["target"])
            x, y = rng.uniform(0, 0.8), rng.uniform(0, 0.8)
            anywhere = cut_crop(board, Box(x, y, x + 0.2, y + 0.2), CropSettings())[0]
            yield Asked("distractor", anywhere, truth["target"])
    for subject in subjects(photographs):
        yield from _altered(subject.picture, subject.name, rng)
    for name, titles in OTHERS.items():
        files = {Path(path).stem: blob for path, blob in unpacked(photographs / name) if path.endswith(".webp")}
        for stem, title in titles.items():
            yield Asked("another photograph", Image.open(io.BytesIO(files[stem])).convert("RGB"), title)


def _altered(image: Image.Image, title: str, rng: random.Random) -> Iterator[Asked]:
    """A picture in another cut, light, colour and size."""
    width, height = image.size
    left, top = (int(rng.uniform(0, 0.3) * side) for side in image.size)
    yield Asked("other cut", image.crop((left, top, left + int(0.7 * width), top + int(0.7 * height))), title)
    yield Asked("other light", ImageEnhance.Brightness(image).enhance(rng.choice([0.5, 1.6])), title)
    yield Asked("other colour", ImageEnhance.Color(image).enhance(rng.choice([0.2, 2.0])), title)
    yield Asked("mirrored and small", ImageOps.mirror(image).resize((width // 6, height // 6)), title)
