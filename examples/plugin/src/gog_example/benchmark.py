"""A benchmark: questions in a JSONL file (`id`, `question`, `answer`, `image`), scored by exact match."""

from collections.abc import Mapping, Sequence
from typing import Any

from gog.transforms.evaluate.benchmark import Benchmark
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.protocols.measures import mean_as
from gog.transforms.evaluate.protocols.protocol import Protocol
from gog.transforms.evaluate.protocols.scores import Score, valued
from gog.transforms.evaluate.questions import PublishedSet, Question

NAME = "shop"


def adapt(file: str, row: Mapping[str, Any]) -> Sequence[Question]:
    """The question of a row; `image` is a path beside the file."""
    return [Question(row.get("question"), row.get("answer"), row.get("image"), id=str(row.get("id", "")))]


def score(item: BenchItem, prediction: str) -> Score:
    """1 for an accepted answer, whatever its case."""
    right = prediction.strip().lower() in (answer.lower() for answer in item.answers)
    return valued(item, NAME, float(right), "match")


shop = Benchmark(
    name=NAME,
    splits=("test",),
    version="1",
    where="shop.jsonl",
    official=Protocol(NAME, score, lambda item: (), mean_as("exact")),
    published=PublishedSet(NAME, adapt, (("question",), ("answer",), ("image",)), "example.com/shop"),
)
