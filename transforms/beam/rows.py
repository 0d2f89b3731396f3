"""How stages hand rows and counts to the sink: two tagged outputs beside the main one."""

import json
from collections.abc import Iterable
from typing import Any, Final

import apache_beam as beam

from gog.schemas import TABLES, Row, StageCount, Unit
from gog.schemas.rows import to_row
from gog.transforms.beam.counters import add_counts

ROWS: Final = "rows"
"""Tag of `(table, shard, row as JSON text)`."""
COUNTS: Final = "counts"
"""Tag of `((stage, unit, shard), (entered, passed))`."""

_TABLE_OF: Final = {record: table for table, record in TABLES.items()}


def row(shard: int, record: Row) -> beam.pvalue.TaggedOutput:
    """A record on its way to the lake; the sink checks it against its schema."""
    return beam.pvalue.TaggedOutput(ROWS, (_TABLE_OF[type(record)], shard, json.dumps(to_row(record))))


def count(stage: str, unit: Unit, shard: int, *, entered: int = 1, passed: int) -> beam.pvalue.TaggedOutput:
    """What entered a stage and what left it."""
    return beam.pvalue.TaggedOutput(COUNTS, ((stage, unit.value, shard), (entered, passed)))


class CountRows(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """Sum the counts into rows of the `funnel` table, and show them as counters."""

    def expand(self, counts: Any) -> Any:
        """`((stage, unit, shard), (entered, passed))` to `(table, shard, row)`."""
        return (
            counts
            | "Show" >> beam.Map(_shown)
            | "Sum" >> beam.CombinePerKey(_sum_pairs)
            | "ToRow" >> beam.Map(_count_row)
        )


def _shown(item: tuple[tuple[str, str, int], tuple[int, int]]) -> tuple[tuple[str, str, int], tuple[int, int]]:
    (stage, _, _), (entered, passed) = item
    add_counts({f"{stage}_entered": entered, f"{stage}_passed": passed})
    return item


def _sum_pairs(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    entered = passed = 0
    for more_entered, more_passed in pairs:
        entered += more_entered
        passed += more_passed
    return entered, passed


def _count_row(item: tuple[tuple[str, str, int], tuple[int, int]]) -> tuple[str, int, str]:
    (stage, unit, shard), (entered, passed) = item
    # Of the sums: a part may have passed what another entered, and a counter that is lowered is not everywhere right.
    add_counts({f"{stage}_rejected": entered - passed})
    record = StageCount(stage=stage, unit=Unit(unit), shard=shard, entered=entered, passed=passed)
    return "funnel", shard, json.dumps(to_row(record))
