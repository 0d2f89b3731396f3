"""The bundled world as a benchmark: scenes of countries that are held out of all training rows."""

from collections.abc import Iterator
from typing import Final

from gog.transforms.atlas.rows import atlas_rows
from gog.transforms.evaluate.benchmarks.items import BenchItem

SEED: Final = 20250301
"""Of the scenes: part of what the benchmark is."""
ROWS: Final = 200
VERSION: Final = f"seed-{SEED}"


def items(rows: int = ROWS) -> Iterator[BenchItem]:
    """The first so many scenes; more never change earlier ones."""
    for row in atlas_rows(rows, SEED, held_out=True):
        yield BenchItem(
            item_id=row.id,
            benchmark="atlas",
            version=VERSION,
            split="held-out",
            question=row.question,
            answers=row.answers,
            answer_type=row.answer_type,
            answer_low=row.answer_low,
            answer_high=row.answer_high,
            answer_unit=row.answer_unit,
            image=row.image,
            image_suffix="jpg",
            category=row.category,
            entity=row.entity or "",
        )
