"""The files of an export's splits, each written by a worker, with the rows and the bytes that one process would write.

Only the ids of rows meet in one place, some 60 bytes a row, to find with which of them each file begins. The rows of a
file, without their pictures, meet where it is written.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsDict, TaggedOutput
from pydantic import TypeAdapter

from gog.schemas import Reject, Split
from gog.transforms.beam.counters import add_counts
from gog.transforms.export.rows import Reading, RlRow, SftRow

Row = SftRow | RlRow
FileOf = tuple[str, int, int]
"""Split, number of the file in it, and how many files it has."""

_IDS: Final = "ids"


class WriteSplits(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """Shards to the files of the splits.

    `read` gives what becomes of a shard's; `leave` keeps what was read of a shard: how many entered, and the rejects.
    `write` writes a file: its split, number, how many there are, and its rows in the order of their ids. Both may be
    called again for the same, and must then replace what was there.
    """

    def __init__(
        self,
        row: type[Row],
        stage: str,
        read: Callable[[int], Iterable[Reading]],
        leave: Callable[[int, int, list[Reject]], None],
        write: Callable[[Split, int, int, Iterator[Row]], None],
        rows_per_file: int,
    ) -> None:
        super().__init__()
        self._row, self._stage, self._rows_per_file = row, stage, rows_per_file
        self._read, self._leave, self._write = read, leave, write

    def expand(self, shards: Any) -> Any:
        """What was written: split, number of the file, and how many there are."""
        read = shards | "Read" >> beam.FlatMap(_read, self._stage, self._read, self._leave).with_outputs(
            _IDS, main="rows"
        )
        begins = (
            read[_IDS]
            | "OfSplit" >> beam.Map(_same).with_output_types(tuple[str, list[str]])
            | "Ids" >> beam.GroupByKey()
            | "Begins" >> beam.Map(_begins, self._rows_per_file)
        )
        return (
            read.rows
            | "File" >> beam.Map(_in_file, AsDict(begins)).with_output_types(tuple[FileOf, tuple[str, str]])
            | "Rows" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, partial(row_of, self._row), self._write)
        )


def _read(
    shard: int,
    stage: str,
    read: Callable[[int], Iterable[Reading]],
    leave: Callable[[int, int, list[Reject]], None],
) -> Iterator[Any]:
    entered, rejects, ids = 0, list[Reject](), defaultdict[str, list[str]](list)
    for name, outcome in read(shard):
        entered += 1
        if isinstance(outcome, Reject):
            rejects.append(outcome)
        else:
            ids[outcome.split.value].append(name)
            yield outcome.split.value, name, text_of(outcome)
    for split, names in ids.items():
        yield TaggedOutput(_IDS, (split, names))
    leave(shard, entered, rejects)
    left = len(rejects)
    add_counts({f"{stage}_entered": entered, f"{stage}_passed": entered - left, f"{stage}_rejected": left})


def _same(ids: tuple[str, list[str]]) -> tuple[str, list[str]]:
    return ids


def _begins(group: tuple[str, Iterable[list[str]]], rows_per_file: int) -> tuple[str, list[str]]:
    """The first id of each file of a split."""
    split, batches = group
    ids = pa.chunked_array([pa.array(names, pa.large_string()) for names in batches])
    # Arrow sorts by bytes, which is by code points, as Python does.
    first = pa.array(range(0, len(ids), rows_per_file), pa.int64())
    return split, ids.take(pc.sort_indices(ids).take(first)).to_pylist()


def _in_file(row: tuple[str, str, str], begins: Mapping[str, list[str]]) -> tuple[FileOf, tuple[str, str]]:
    split, name, text = row
    of_split = begins[split]
    return (split, bisect_right(of_split, name) - 1, len(of_split)), (name, text)


def _write(
    group: tuple[FileOf, Iterable[tuple[str, str]]],
    read: Callable[[str], Row],
    write: Callable[[Split, int, int, Iterator[Row]], None],
) -> FileOf:
    (split, number, of), named = group
    write(Split(split), number, of, (read(text) for _, text in sorted(named)))
    return split, number, of


def text_of(row: Row) -> str:
    """A row as it crosses a shuffle."""
    return json.dumps({field.name: getattr(row, field.name) for field in fields(row)})


def row_of(kind: type[Row], text: str) -> Row:
    """The row of a text."""
    found: Row = _ADAPTERS[kind].validate_python(json.loads(text))
    return found


_ADAPTERS: Final[dict[type[Row], TypeAdapter[Any]]] = {SftRow: TypeAdapter(SftRow), RlRow: TypeAdapter(RlRow)}
