"""What a step of a training's environment takes beside its encoder: 10,000 pictures, drawn; prints JSON.

    python tests/bench/bench_steps.py [PICTURES]

A step is a turn of the policy until it is told, pictures decoded as the trainer takes them. Rollouts are of 16 drawn
photographs of 1,280 x 960, four of each; each glances, gazes at four free boxes, searches the words of as many pages
as pictures, and answers. Times are processor time of the process, all threads, less what the encoder took: other work
beside it counts little. The encoder is a fixed one of 768 numbers.
"""

import asyncio
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes import answered, called, gaze
from PIL import Image

from gog.schemas import Message
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.images import CropSettings
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.encoders.encoder import LocalEncoder, Vectors
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.index_folder import read_head
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog_train.environment import Rollout

PICTURES, QUESTIONS, GROUP, GAZES = 10_000, 16, 4, 4
DEVICE = 4
"""Questions whose rollouts go on at once: 32 of a step on eight devices."""
SIZE, SMALL = (1280, 960), (256, 192)
EPISODE = EpisodeSettings(max_turns=12).in_frame(BACKBONES["qwen3-vl"].spec)
WORDS = [f"{first}{last}" for first in ("har", "tow", "bri", "mil", "cas") for last in ("bour", "er", "dge", "stone")]


class Fixed:
    """An encoder that projects a picture of 8 x 8; its own time is in `seconds`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._onto = np.random.default_rng(0).standard_normal((192, 768)).astype(np.float32)
        self.encoder = LocalEncoder("fixed:768", pictures=self._rows)

    def _rows(self, pictures: Sequence[Image.Image]) -> Vectors:
        began = time.thread_time()
        tiny = [np.asarray(one.resize((8, 8), Image.Resampling.BILINEAR), np.float32) for one in pictures]
        rows = (np.stack(tiny).reshape(len(tiny), -1) - 127) @ self._onto
        self.seconds += time.thread_time() - began
        return rows


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
    """Steps of rollouts, by tool, in milliseconds: beside the encoder's."""

    def __init__(self, tools: EpisodeTools, images: PassingImages, fixed: Fixed) -> None:
        self._tools, self._images, self._fixed = tools, images, fixed
        self.steps: dict[str, list[float]] = {}

    async def play(self, number: int, file: bytes) -> int:
        """A rollout; how many steps it took."""
        row: dict[str, Any] = {"question": "What?", "files": [file], "answers": ["x"], "answer_type": "string"}
        row |= {"answer_unit": "", "answer_low": None, "answer_high": None}
        rollout, count = Rollout(row, self._tools, self._images, EPISODE), 0
        for message in script(np.random.default_rng(number)):
            began, encoded = time.process_time(), self._fixed.seconds
            for told in await rollout.turn(message):
                rollout.blocks(told)
            took = time.process_time() - began - (self._fixed.seconds - encoded)
            name = message.tool_calls[0].function.name if message.tool_calls else "answer"
            self.steps.setdefault(name, []).append(1000 * took)
            count += 1
        assert rollout.over
        return count


async def measured(gallery: Gallery, corpus: Corpus, images: PassingImages, fixed: Fixed, folder: Path) -> Any:
    """Percentiles of steps one after the other, and the mean of a step where those of a device go on at once."""
    random = np.random.default_rng(1)
    files = [drawn(random, SIZE) for _ in range(QUESTIONS)]
    with Store(folder / "calls", Mode.LIVE) as store:
        cropper = Cropper(store, images, CropSettings())
        tools = EpisodeTools(Gateway(store), corpus, gallery, cropper, EPISODE.top_k, "train")
        alone = Timed(tools, images, fixed)
        for number, file in enumerate(files * GROUP):
            await alone.play(number, file)
            images.clear()
        began, encoded = time.process_time(), fixed.seconds
        together = Timed(tools, images, fixed)
        plays = (together.play(1000 + number, file) for number, file in enumerate(files[:DEVICE] * GROUP))
        counts = await asyncio.gather(*plays)
        spent = time.process_time() - began - (fixed.seconds - encoded)
    every = [one for steps in alone.steps.values() for one in steps]
    tables = {name: percentiles(steps) for name, steps in {"every step": every, **alone.steps}.items()}
    return {"steps": tables, "at once": round(1000 * spent / sum(counts), 2)}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Median and 95th, in milliseconds."""
    return {f"p{at}": round(float(np.percentile(values, at)), 2) for at in (50, 95)}


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
