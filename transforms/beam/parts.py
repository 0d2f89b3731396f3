"""The Parquet sink: rows of a Beam pipeline become part files of the lake, wherever it is."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from gog.transforms.part_file import encode_part, part_name
from gog.transforms.place import place, write_whole

Key = tuple[str, int]

_log = logging.getLogger(__name__)


class WriteParts(beam.PTransform):
    """(table, shard, flat row as JSON text) -> (table, shard, number of rows), one for each part file written.

    Every table of `tables` gets a part for every shard of `shards`, if only an empty one: that a part is there says
    that the shard is done, and every table has its columns. A part is whole or not there; writing it again
    replaces it. All rows of a shard's table are in memory at once.
    """

    def __init__(self, lake_root: str, run: str, step: str, tables: Sequence[str], shards: Sequence[int]) -> None:
        super().__init__()
        self._folder = place(lake_root) / "runs" / run
        self._step = step
        self._keys: list[Key] = [(table, shard) for table in tables for shard in shards]

    def expand(self, rows: Any) -> Any:
        keyed = rows | "Key" >> beam.Map(_keyed).with_output_types(tuple[Key, str])
        # Grouped next: a shuffle of its own, which `Create` makes unless told not to, would spread nothing.
        parts = beam.Create([(key, "") for key in self._keys], reshuffle=False)
        every = rows.pipeline | "EveryPart" >> parts.with_output_types(tuple[Key, str])
        return (
            (keyed, every)
            | beam.Flatten()
            | beam.GroupByKey()
            | "Write" >> beam.ParDo(_WritePart(self._folder, self._step)).with_output_types(tuple[str, int, int])
        )


def _keyed(row: tuple[str, int, str]) -> tuple[Key, str]:
    table, shard, text = row
    return (table, shard), text


class _WritePart(beam.DoFn):
    def __init__(self, folder: Path, step: str) -> None:
        super().__init__()
        self._folder, self._step = folder, step

    def process(self, element: tuple[Key, Iterable[str]]) -> Iterator[tuple[str, int, int]]:
        (table, shard), texts = element
        rows = [json.loads(text) for text in texts if text]
        path = self._folder / table / part_name(self._step, shard)
        write_whole(path, encode_part(table, rows))
        _log.info(
            "part written step=%s table=%s shard=%d rows=%d path=%r", self._step, table, shard, len(rows), str(path)
        )
        yield table, shard, len(rows)
