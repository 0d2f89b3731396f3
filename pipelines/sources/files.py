"""Sources: rows in files, or of the bundled world, read in shards.

`shards` goes once over a source, in bounded memory, and says where every shard is; `read_shard` then reads any of
them alone. A row that cannot be read comes as a `SourceRow` with an `error`, so that it is counted and rejected; only
a source that cannot be opened at all is a `SourceError`.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from gog.pipelines.config.sources import FileKind
from gog.transforms.atlas.rows import atlas_row
from gog.transforms.atlas.scenes import Kind
from gog.transforms.sources import formats
from gog.transforms.sources.csv_format import AS_USUAL, Dialect
from gog.transforms.sources.formats import SourceError, Span
from gog.transforms.sources.kinds import format_of
from gog.transforms.sources.mapping import FieldMapping, SourceRow
from gog.transforms.sources.picture_files import LocalImages
from gog.transforms.sources.unpacking import plain_file

__all__ = ["ATLAS_MAPPING", "AtlasRows", "FileKind", "FileRows", "LocalImages", "ShardSpec", "Source", "SourceError"]

_DRAWING: Final = 2
"""Scenes drawn at once."""

ATLAS_MAPPING: Final = FieldMapping(
    columns={
        name: name
        for name in (
            "id", "entity", "gold_page", "category", "licence", "source_url", "split_hint",
            "answer_type", "answer_unit", "answer_low", "answer_high",
        )
    },
    extra=("kind", "reference", "fact"),
)  # fmt: skip
"""Mapping of the rows of `AtlasRows`."""


class ShardSpec(BaseModel):
    """Where the rows of a shard are. Small, and JSON, so that it can lie in a manifest and cross a network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: int = Field(ge=0)
    file: str = ""
    """Name below the source's folder."""
    start: int = Field(ge=0)
    """First byte, or first row counted from 0, as the format has it; `stop` is behind the last."""
    stop: int = Field(ge=0)
    first: int = Field(ge=0)
    """Number of the first row in its file, as people count it: of the line in JSONL, from 1 on."""
    rows: int = Field(ge=0)
    of: int | None = None
    """Rows that lie here, where a selection takes the first `rows` that it wants of them; None where all are taken."""


class Source(Protocol):
    """Rows in shards."""

    def shards(self) -> Iterator[ShardSpec]:
        """All shards, in order."""
        ...

    def read_shard(self, spec: ShardSpec) -> Iterator[SourceRow]:
        """The rows of a shard: `spec.rows` of them, always the same."""
        ...

    def signature(self) -> str:
        """Changes when the source's content does."""
        ...


def first_rows(source: Source) -> Iterator[SourceRow]:
    """The rows of the first shard, if there is one."""
    for spec in islice(source.shards(), 1):
        yield from source.read_shard(spec)


class FileRows:
    """Rows in one file, or in all files that a pattern with `*` matches, by name. A shard lies in one file."""

    def __init__(
        self,
        path: str,
        kind: FileKind,
        shard_rows: int,
        dialect: Dialect = AS_USUAL,
        unpacked: Path | None = None,
    ) -> None:
        """`dialect` says how CSV is written, `unpacked` where compressed files are unpacked to, which are refused
        without it. `SourceError` when there is no such file.
        """
        if shard_rows < 1:
            raise ValueError("a shard has at least one row")
        self._kind: FileKind = kind
        self._dialect = dialect
        self._shard_rows = shard_rows
        self.folder, self._names = formats.find_files(path)
        self._plain = {name: plain_file(self.folder / name, unpacked) for name in self._names}

    def shards(self) -> Iterator[ShardSpec]:
        """All shards, in order; the files are read once."""
        shard, (spans, _) = 0, format_of(self._kind, self._dialect)
        for name, path in self._plain.items():
            with formats.readable(path):
                for span in spans(path, self._shard_rows):
                    yield ShardSpec(
                        shard=shard, file=name, start=span.start, stop=span.stop, first=span.first, rows=span.rows
                    )
                    shard += 1

    def read_shard(self, spec: ShardSpec) -> Iterator[SourceRow]:
        """The rows of a shard. `SourceError` when it is not of this source, or the source has changed since."""
        if spec.file not in self._plain:
            raise SourceError(f"{spec.file!r} is no file of this source; has it changed since the run began?")
        path = self._plain[spec.file]
        count, (_, rows) = 0, format_of(self._kind, self._dialect)
        with formats.readable(path):
            for number, data, error in rows(path, Span(spec.start, spec.stop, spec.first, spec.rows)):
                count += 1
                yield SourceRow(f"{spec.file}#{number}", data, error)
        if count != spec.rows:
            raise SourceError(f"{path} had {spec.rows} rows here and now has {count}: it changed since the run began")

    def signature(self) -> str:
        """Hash of the names, sizes, and first and last MiB of the files: cheap, whatever their size."""
        digest = hashlib.sha256()
        for name in self._names:
            path = self.folder / name
            with formats.readable(path), path.open("rb") as file:
                size = path.stat().st_size
                digest.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
                digest.update(file.read(1 << 20))
                file.seek(max(0, size - (1 << 20)))
                digest.update(file.read(1 << 20))
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class AtlasRows:
    """Rows of the bundled world; row i depends on nothing but the seed and i."""

    count: int
    seed: int
    shard_rows: int
    held_out: bool = False
    kinds: Mapping[Kind, float] | None = None

    def __post_init__(self) -> None:
        """`ValueError` on shards without rows."""
        if self.shard_rows < 1:
            raise ValueError("a shard has at least one row")

    def shards(self) -> Iterator[ShardSpec]:
        """All shards, in order; nothing is drawn for it."""
        for shard, start in enumerate(range(0, self.count, self.shard_rows)):
            stop = min(self.count, start + self.shard_rows)
            yield ShardSpec(shard=shard, file="atlas", start=start, stop=stop, first=start, rows=stop - start)

    def read_shard(self, spec: ShardSpec) -> Iterator[SourceRow]:
        """The rows of a shard, drawn a few ahead of what is asked for, on threads of their own."""
        ahead: deque[Future[SourceRow]] = deque()
        with ThreadPoolExecutor(_DRAWING, "gog-atlas") as pool:
            for index in range(spec.start, spec.stop):
                ahead.append(pool.submit(self._row, index))
                if len(ahead) > 2 * _DRAWING:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _row(self, index: int) -> SourceRow:
        row = atlas_row(self.seed, index, held_out=self.held_out, kinds=self.kinds)
        data = row._asdict()
        return SourceRow(f"atlas#{index}", data.pop("extra") | data)

    def signature(self) -> str:
        """Hash of what decides the rows."""
        kinds = None if self.kinds is None else sorted(self.kinds.items())
        return hashlib.sha256(repr(("atlas", self.count, self.seed, self.held_out, kinds)).encode()).hexdigest()[:16]
