"""What it takes to find duplicates among very many seeds that are drawn without pictures, in one process as a local
run does: microseconds of the processor a seed, and memory, after each million.

    PYTHONPATH=tests python -m bench.bench_duplicates 10000000

One in twenty shows the picture of an earlier one, half of those with its question as well; one in a hundred has the
perceptual hash of an earlier one, up to four bits, and one in a hundred its id. Drawing is not counted.
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from gog.schemas import Reject, Seed
from gog.transforms.duplicates.pictures import Pictures
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.duplicates import Duplicates
from gog.transforms.ingest.seeds import Ingested
from gog.transforms.sources.mapping import SourceRow

SHARD: Final = 10_000
TOLD: Final = 1_000_000
WORDS: Final = ("what", "which", "who", "where", "name", "colour", "country", "year", "sign", "tower", "bird", "flag")
Rows = list[tuple[SourceRow, int, Ingested]]


class Drawn(NamedTuple):
    """What a seed is drawn from."""

    picture: int
    phash: int
    question: str
    source_id: int


def drawn(number: int) -> Drawn:
    """A seed's draw: the same each time, so that later ones can repeat it."""
    rng = random.Random(number)
    question = f"{' '.join(rng.choices(WORDS, k=9))} {number}?"
    mine = Drawn(number, rng.getrandbits(64), question, number)
    kind = rng.random()
    if number == 0 or kind >= 0.07:
        return mine
    earlier = rng.randrange(number)
    its = random.Random(earlier)
    its_question, its_hash = f"{' '.join(its.choices(WORDS, k=9))} {earlier}?", its.getrandbits(64)
    if kind < 0.025:
        return Drawn(earlier, its_hash, its_question, number)
    if kind < 0.05:
        return Drawn(earlier, its_hash, question, number)
    if kind < 0.06:
        for bit in rng.sample(range(64), rng.randint(0, 4)):
            its_hash ^= 1 << bit
        return mine._replace(phash=its_hash)
    return mine._replace(source_id=earlier)


def shard_of(start: int, count: int) -> Rows:
    """Rows with their places, as they come from those who decode."""
    rows = []
    for place in range(start, start + count):
        one = drawn(place)
        seed = Seed.model_construct(
            seed_id=f"seed-{sha256_hex(f'{one.picture} {one.question}'.encode())[:16]}",
            dataset="drawn",
            question=one.question,
            answers=(f"answer {place % 1000}",),
            image_sha256=sha256_hex(f"picture {one.picture}".encode()),
            width=640,
            height=480,
            image_phash=f"{one.phash:016x}",
        )
        rows.append((SourceRow(f"row {place}", {}), place, Ingested(seed, (), f"id {one.source_id}")))
    return rows


def decided(
    known: Duplicates, pictures: Pictures, rows: list[tuple[SourceRow, int, Ingested]]
) -> Iterator[Seed | Reject]:
    """What becomes of a shard's rows, as in `gog.transforms.beam.duplicates`."""
    new = known.new_pictures((place, ingested) for _, place, ingested in rows)
    for picture, like in zip(new, pictures.like(new), strict=True):
        known.learn(picture.sha256, like)
    for row, _, ingested in rows:
        yield known.check(row, ingested)


def no_file(sha256: str) -> Image.Image:
    """Raises `KeyError`: nothing is drawn."""
    raise KeyError(sha256)


def main() -> None:
    """Find them, and print a line a million."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seeds", type=int)
    options = parser.parse_args()
    known, pictures, found, used = Duplicates(), Pictures(no_file), Counter[str](), 0.0
    before = memory()
    for start in range(0, options.seeds, SHARD):
        rows = shard_of(start, min(SHARD, options.seeds - start))
        began = time.process_time()
        found.update(
            record.reason if isinstance(record, Reject) else "kept" for record in decided(known, pictures, rows)
        )
        used += time.process_time() - began
        done = start + len(rows)
        if done % TOLD == 0 or done == options.seeds:
            mib, most = memory(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{done} seeds: {used:.0f} CPU s, {1e6 * used / done:.1f} us a seed; {mib:.0f} MiB "
                f"({2**20 * (mib - before) / done:.0f} bytes a seed, {most:.0f} MiB at most); {dict(found)}",
                flush=True,
            )
    if sum(found.values()) != options.seeds:
        sys.exit(f"{options.seeds} seeds came, and {sum(found.values())} left")


def memory() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
