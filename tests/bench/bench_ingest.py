"""Pictures a second that ingest takes in, beside pools of as many processes that decode and hash them and no more.

`python tests/bench/bench_ingest.py [PICTURES]` draws JPEGs of two megapixels, has each read them in turn, `ROUNDS`
times in fresh processes, and prints a line of JSON: rates, with the start of the processes that work, and processor
seconds a picture, those of all processes. The plain pool calls Pillow and imagehash; the lean one what ingest itself
decodes and hashes with, which is faster.
"""

import hashlib
import io
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
from PIL import Image

from gog.transforms import cores
from gog.transforms.images import ImageLimits, load_image, phash

PICTURES: Final = 1000
ROUNDS: Final = 3
SIZE: Final = (1632, 1224)
Measured = tuple[float, float]
"""Pictures a second, and processor seconds a picture."""


def draw(folder: Path, count: int) -> None:
    """So many pictures that are not alike, and rows that ask about them."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 6, (SIZE[1], SIZE[0], 1)).astype(np.int16)
    with (folder / "rows.jsonl").open("w") as rows:
        for number in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            pixels = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC)) + noise
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=90)
            row = {"question": f"What is picture {number}?", "answers": [str(number)], "image": f"{number}.jpg"}
            rows.write(json.dumps(row) + "\n")


def plainly(path: str) -> tuple[str, str]:
    """What the plain pool does with a picture."""
    data = Path(path).read_bytes()
    return hashlib.sha256(data).hexdigest(), str(imagehash.phash(Image.open(io.BytesIO(data)).convert("RGB")))


def leanly(path: str) -> tuple[str, str]:
    """What the lean pool does with a picture."""
    loaded = load_image(Path(path).read_bytes(), ImageLimits())
    return loaded.sha256, phash(loaded.image)


def pool(decoded: Callable[[str], tuple[str, str]], folder: Path) -> int:
    """Decode and hash them all."""
    paths = sorted(map(str, folder.glob("*.jpg")))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as processes:
        return len(set(processes.map(decoded, paths, chunksize=4)))


def ours(folder: Path) -> int:
    """Ingest them all into a fresh lake, which goes with the folder: removing it is nobody's ingest."""
    logging.disable(logging.WARNING)
    from gog.pipelines.config.config import parse_config
    from gog.pipelines.steps.run import run

    mapping = {"question": "question", "answers": ["answers"], "image": "image"}
    source = {"kind": "jsonl", "path": str(folder / "rows.jsonl"), "dataset": "drawn", "mapping": mapping}
    lake = tempfile.mkdtemp(prefix="lake-", dir=folder)
    done = run(parse_config({"lake": lake, "run": "bench", "source": source}), steps=("ingest",))
    return done.manifest.counts["ingest.row"]


def timed(work: Callable[[Path], int], folder: Path) -> Measured:
    """Do the work, and say what it took."""
    began, used = time.perf_counter(), time.process_time()
    count = work(folder)
    wall = time.perf_counter() - began
    cores.close()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return count / wall, (time.process_time() - used + children.ru_utime + children.ru_stime) / count


def main() -> None:
    """Draw, measure in turn, print."""
    if len(sys.argv) > 2:
        works: dict[str, Callable[[Path], int]] = {
            "plain": partial(pool, plainly),
            "lean": partial(pool, leanly),
            "ours": ours,
        }
        print(json.dumps(timed(works[sys.argv[1]], Path(sys.argv[2]))))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    found: dict[str, list[Measured]] = {"plain": [], "lean": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="bench-pictures-") as folder:
        draw(Path(folder), count)
        for _ in range(ROUNDS):
            for name, measured in found.items():
                command = [sys.executable, __file__, name, folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
                measured.append(tuple(json.loads(done.stdout.splitlines()[-1])))
    shown = {
        name: {
            "pictures": count,
            "rates": [round(rate, 1) for rate, _ in measured],
            "cpu_s": round(statistics.median(used for _, used in measured), 4),
        }
        for name, measured in found.items()
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
