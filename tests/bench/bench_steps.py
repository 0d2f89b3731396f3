"""What a step of a training's environment takes beside its encoder: 10,000 pictures, drawn; prints JSON.

    python tests/bench/bench_steps.py [PICTURES]

A step is a turn of the policy until it is told, pictures decoded as the trainer takes them. Rollouts are of 16 drawn
photographs of 1,280 x 960, four of each; each glances, gazes at four free boxes, searches the words of as many pages
as pictures, and answers. Times are milliseconds less what the encoder took, a fixed one of 768 numbers: by the clock,
and of the processor, all threads, which counts other work on the machine little. `bare` is what a gaze cannot do
without: its crop cut, written as JPEG and read, and a vector compared with all. It follows on each rollout.
"""

import asyncio
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes import answered, called, gaze
from PIL import Image

from gog.schemas import Box, Message
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.images import CropSettings, cut_crop, decode_image, encode
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.encoders.encoder import LocalEncoder, Vectors
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.gallery_files import EMBEDDINGS
from gog.transforms.services.search.index_folder import read_head
from gog.transforms.services.search.ranking import best
from gog.transforms.services.search.vector_table import cosines
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog_train.environment import Rollout

PICTURES, QUESTIONS, GROUP, GAZES = 10_000, 16, 4, 4
DEVICE = 4
"""Questions whose rollouts go on at once: 32 of a step on eight devices."""
SIZE, SMALL = (1280, 960), (256, 192)
EPISODE = EpisodeSettings(max_turns=12).in_frame(BACKBONES["qwen3-vl"].spec)
WORDS = [f"{first}{last}" for first in ("har", "tow", "bri", "mil", "cas") for last in ("bour", "er", "dge", "stone")]


class Took(NamedTuple):
    """Seconds: of the processor, and by the clock."""

    cpu: float
    wall: float

    def since(self, began: "Took") -> "Took":
        """What went by."""
        return Took(self.cpu - began.cpu, self.wall - began.wall)


def now(cpu: Callable[[], float] = time.process_time) -> Took:
    """Of the process, or of this thread."""
    return Took(cpu(), time.perf_counter())


class Fixed:
    """An encoder that projects a picture of 8 x 8; its own time is in `took`."""

    def __init__(self) -> None:
        self.took = Took(0.0, 0.0)
        self._onto = np.random.default_rng(0).standard_normal((192, 768)).astype(np.float32)
        self.encoder = LocalEncoder("fixed:768", pictures=self._rows)

    def _rows(self, pictures: Sequence[Image.Image]) -> Vectors:
        began = now(time.thread_time)
        tiny = [np.asarray(one.resize((8, 8), Image.Resampling.BILINEAR), np.float32) for one in pictures]
        rows = (np.stack(tiny).reshape(len(tiny), -1) - 127) @ self._onto
        spent = now(time.thread_time).since(began)
        self.took = Took(self.took.cpu + spent.cpu, self.took.wall + spent.wall)
        return rows

    def beside(self, began: Took, earlier: Took) -> Took:
        """What went by since `began` without what it took itself since `earlier`."""
        return now().since(began).since(self.took.since(earlier))


def drawn(random: np.random.Generator, size: tuple[int, int]) -> bytes:
    """A JPEG of soft shapes."""
    noise = random.integers(0, 256, (24, 32, 3), np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def script(random: np.random.Generator) -> Iterator[Message]:
    """The turns of a rollout."""
    yield called("image_search")
    for _ in range(GAZES):
        x, y = random.integers(0, 600, 2)
        yield gaze([int(x), int(y), int(x + random.integers(100, 400)), int(y + random.integers(100, 400))])
    yield called("text_search", {"query": " ".join(random.choice(WORDS, 5))})
    yield answered("It is a tower.")


class Timed:
    """Steps of rollouts, by tool."""

    def __init__(self, tools: EpisodeTools, images: PassingImages, fixed: Fixed) -> None:
        self._tools, self._images, self._fixed = tools, images, fixed
        self.steps: dict[str, list[Took]] = {}

    async def play(self, number: int, file: bytes) -> int:
        """A rollout; how many steps it took."""
        row: dict[str, Any] = {"question": "What?", "files": [file], "answers": ["x"], "answer_type": "string"}
        row |= {"answer_unit": "", "answer_low": None, "answer_high": None}
        rollout, count = Rollout(row, self._tools, self._images, EPISODE), 0
        for message in script(np.random.default_rng(number)):
            began, earlier = now(), self._fixed.took
            for told in await rollout.turn(message):
                rollout.blocks(told)
            name = message.tool_calls[0].function.name if message.tool_calls else "answer"
            self.steps.setdefault(name, []).append(self._fixed.beside(began, earlier))
            count += 1
        assert rollout.over
        return count


def bare(number: int, file: bytes, rows: Vectors) -> Iterator[Took]:
    """The gazes of a rollout, with nothing around them. Which vector is asked with makes no difference."""
    original = decode_image(file)
    calls = [call.function for message in script(np.random.default_rng(number)) for call in message.tool_calls]
    for box in (json.loads(call.arguments)["bbox_2d"] for call in calls if call.name == "gaze"):
        began = now()
        decode_image(encode(cut_crop(original, Box(*(side / 1000 for side in box)), CropSettings())[0])[0])
        best(cosines(rows, rows[0]), EPISODE.top_k)
        yield now().since(began)


async def measured(gallery: Gallery, corpus: Corpus, images: PassingImages, fixed: Fixed, folder: Path) -> Any:
    """Percentiles of steps one after the other, and the mean of a step where those of a device go on at once."""
    rows = np.load(folder / "gallery" / EMBEDDINGS, mmap_mode="r")
    random = np.random.default_rng(1)
    files = [drawn(random, SIZE) for _ in range(QUESTIONS)]
    with Store(folder / "calls", Mode.LIVE) as store:
        cropper = Cropper(store, images, CropSettings())
        tools = EpisodeTools(Gateway(store), corpus, gallery, cropper, EPISODE.top_k, "train")
        alone = Timed(tools, images, fixed)
        alike = list[Took]()
        for number, file in enumerate(files * GROUP):
            await alone.play(number, file)
            alike += bare(number, file, rows)
            images.clear()
        began, earlier = now(), fixed.took
        together = Timed(tools, images, fixed)
        plays = (together.play(1000 + number, file) for number, file in enumerate(files[:DEVICE] * GROUP))
        counts = await asyncio.gather(*plays)
        spent = fixed.beside(began, earlier)
    every = [one for steps in alone.steps.values() for one in steps]
    tables = {name: percentiles(steps) for name, steps in {"every step": every, **alone.steps, "bare": alike}.items()}
    each = {kind: round(1000 * seconds / sum(counts), 2) for kind, seconds in spent._asdict().items()}
    return {"steps": tables, "at once": each}


def percentiles(steps: Sequence[Took]) -> dict[str, dict[str, float]]:
    """Median and 95th, in milliseconds."""
    return {
        kind: {f"p{at}": round(1000 * float(np.percentile(column, at)), 2) for at in (50, 95)}
        for kind, column in zip(Took._fields, zip(*steps, strict=True), strict=True)
    }


def main(pictures: int) -> None:
    """Build, play and print."""
    fixed, random = Fixed(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="gog-steps-") as name:
        folder, images = Path(name), PassingImages()
        told = ((f"https://p/{n}", f"Picture {n}", "A picture.", drawn(random, SMALL)) for n in range(pictures))
        build_gallery(told, folder / "gallery", encoder=NamedEncoder("fixed:", fixed.encoder))
        pages = ((f"https://t/{n}", f"Page {n}", " ".join(random.choice(WORDS, 80)) + ".") for n in range(pictures))
        build_corpus(pages, folder / "corpus")
        gallery = Gallery(folder / "gallery", images, read_head(folder / "gallery", "gallery"), fixed.encoder)
        found = asyncio.run(measured(gallery, Corpus.open(folder / "corpus"), images, fixed, folder))
    print(json.dumps({"pictures": pictures, **found}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
