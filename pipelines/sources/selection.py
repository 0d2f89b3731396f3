"""Selection: the rows of a source that are wanted, in shards of about the same size.

Without `sample` and `where` nothing is read ahead. With them the source is gone over once when the shards are laid
out, and shards in which few rows are wanted are put together.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from gog.pipelines.config.sources import Selection
from gog.pipelines.sources.files import ShardSpec, Source, first_rows
from gog.transforms.sources.cells import MISSING, listed, lookup, scalar_text
from gog.transforms.sources.mapping import MappingError, SourceRow

_CONDITION: Final = re.compile(r"(?P<column>[^=!~]+?)\s*(?P<operator>!=|!~|=|~)\s*(?P<value>.*)", re.DOTALL)
_LONGEST: Final = 10_000

Wanted = Callable[[SourceRow], bool]


class Condition:
    """One condition on a column. A list meets it when one of its items does; a column that a row misses is empty."""

    def __init__(self, text: str) -> None:
        """`MappingError` when it is not `column=value`, `column!=value`, `column~regex` or `column!~regex`."""
        parts = _CONDITION.fullmatch(text.strip())
        if parts is None:
            raise MappingError(f"{text!r} is no condition: column=value, column!=value, column~regex, column!~regex")
        self.column = parts["column"].strip()
        self._negated = parts["operator"].startswith("!")
        self._value = parts["value"].strip()
        self._pattern: re.Pattern[str] | None = None
        if "~" in parts["operator"]:
            try:
                self._pattern = re.compile(self._value)
            except re.error as error:
                raise MappingError(f"{text!r}: {self._value!r} is no regular expression: {error}") from error

    def holds(self, row: SourceRow) -> bool:
        """Whether the row meets it; texts are compared as they stand."""
        value = lookup(row.data, self.column)
        items = value if isinstance(value, list | tuple) and value else [value]
        return any(self._matches(item) for item in items) is not self._negated

    def _matches(self, item: Any) -> bool:
        text = "" if item is None or item is MISSING else scalar_text(item)
        if text is None:
            return False
        if self._pattern is None:
            return text == self._value
        return self._pattern.search(text[:_LONGEST]) is not None


class Selected:
    """The rows of a source that a selection wants."""

    def __init__(self, source: Source, selection: Selection, seed: int, shard_rows: int) -> None:
        """`MappingError` on a condition that is none, or about a column that none of the first 100 rows has."""
        self._source = source
        self._selection = selection
        self._seed = seed
        self._shard_rows = shard_rows
        conditions = [Condition(text) for text in selection.where]
        first = list(islice(first_rows(source), 100)) if conditions else []
        readable = [row for row in first if not row.error]
        for condition in conditions:
            if readable and all(lookup(row.data, condition.column) is MISSING for row in readable):
                names = dict.fromkeys(str(name) for row in readable for name in row.data)
                raise MappingError(f"where: no row has the column {condition.column!r}; there are: {listed(names)}")

    def shards(self) -> Iterator[ShardSpec]:
        """All shards, in order."""
        left = self._selection.limit
        for spec in self._counted():
            if left is not None and spec.rows >= left:
                yield spec.model_copy(update={"rows": left, "of": _lying(spec)})
                return
            left = None if left is None else left - spec.rows
            yield spec

    def read_shard(self, spec: ShardSpec) -> Iterator[SourceRow]:
        """The rows of a shard: the first `spec.rows` that are wanted."""
        whole = spec.model_copy(update={"rows": _lying(spec), "of": None})
        wanted = self._wanted()
        yield from islice((row for row in self._source.read_shard(whole) if wanted(row)), spec.rows)

    def signature(self) -> str:
        """The source's: what is wanted of it stands in the config."""
        return self._source.signature()

    def _wanted(self) -> Wanted:
        conditions = [Condition(text) for text in self._selection.where]
        share, seed = self._selection.sample, self._seed

        def wanted(row: SourceRow) -> bool:
            if share is not None and _draw(seed, row.row_id) >= share:
                return False
            return bool(row.error) or all(condition.holds(row) for condition in conditions)

        return wanted

    def _counted(self) -> Iterator[ShardSpec]:
        """Shards with how many of their rows are wanted; neighbours with few are put together."""
        if self._selection.sample is None and not self._selection.where:
            yield from self._source.shards()
            return
        wanted, number = self._wanted(), 0
        held: ShardSpec | None = None
        for spec in self._source.shards():
            count = sum(map(wanted, self._source.read_shard(spec)))
            counted = spec.model_copy(update={"rows": count, "of": spec.rows})
            if held is not None and (held.file != counted.file or held.rows + count > self._shard_rows):
                if held.rows:
                    yield held.model_copy(update={"shard": number})
                    number += 1
                held = None
            held = counted if held is None else _together(held, counted)
        if held is not None and held.rows:
            yield held.model_copy(update={"shard": number})


def _together(one: ShardSpec, next_one: ShardSpec) -> ShardSpec:
    """Two shards that follow one another in a file as one."""
    return one.model_copy(
        update={"stop": next_one.stop, "rows": one.rows + next_one.rows, "of": _lying(one) + _lying(next_one)}
    )


def _lying(spec: ShardSpec) -> int:
    return spec.rows if spec.of is None else spec.of


def _draw(seed: int, row_id: str) -> float:
    """A number in [0, 1) that depends on nothing else."""
    digest = hashlib.blake2b(f"{seed}\0{row_id}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
