"""The bundled world as a benchmark: scenes of countries that are held out of all training rows.

The bundled world's protocol: the engine's own verifier, whose accepted forms are all there are. No judge.
"""

from collections.abc import Iterator
from typing import Final

from gog.schemas import Outcome
from gog.transforms.atlas.rows import atlas_rows
from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import mean_as
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Grade, Score, graded
from gog.transforms.verify.rules import check

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


NAME: Final = "atlas"


def score(item: BenchItem, prediction: str) -> Score:
    """Correct when the verifier's rules confirm the answer."""
    outcome, _ = check(prediction, item, closed=True)
    grade = Grade.CORRECT if outcome is Outcome.CORRECT else Grade.INCORRECT
    return graded(item, NAME, grade, "verifier", groups(item))


def groups(item: BenchItem) -> tuple[str, ...]:
    """The kind of question."""
    return (item.category,) if item.category else ()


BENCHMARK: Final = Benchmark(
    name=NAME,
    splits=("held-out",),
    version=VERSION,
    where="nothing: it is bundled",
    official=Protocol(NAME, score, groups, mean_as("accuracy")),
    items=items,
)
