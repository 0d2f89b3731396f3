"""What `datasets` opens, as a source: streamed once, kept in the lake as Parquet, read from there.

A stream cannot be read from the middle, and may change; shards must be read alone and give the same again. So the
rows go through once, in batches, into `LAKE/sources/NAME/`; with a limit no more than that is streamed.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from gog.pipelines.config.sources import HubSource
from gog.pipelines.sources.files import FileRows
from gog.schemas import canonical_json
from gog.transforms.atomic import in_place_of
from gog.transforms.sources.formats import SourceError, readable

_BATCH: Final = 64
"""Rows converted at a time: with pictures of a megabyte in them, 64 MB."""
_PART_BATCHES: Final = 160
"""Batches of a part: about 10,000 rows."""


def hub_rows(settings: HubSource, beside: Path, shard_rows: int) -> FileRows:
    """The repository's rows, streamed into a folder below `beside` unless they are there.

    Raises `SourceError` when it cannot be opened.
    """
    folder = _folder(settings, beside)
    if not (folder / "done.json").exists():
        _stream(settings, folder)
    return FileRows(str(folder / "rows-*.parquet"), "parquet", shard_rows)


def _folder(settings: HubSource, beside: Path) -> Path:
    """Named by what decides the rows. A limit does where it is all that is selected by."""
    identity = [settings.name, settings.config, settings.split, settings.revision, _limit(settings)]
    if _saved(settings):  # saved again, it holds other rows
        identity += [file.stat().st_mtime_ns for file in sorted(Path(settings.name).rglob("state.json"))]
    digest = hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]
    plain = "".join(char if char.isalnum() or char in "-._" else "-" for char in settings.name.strip("/"))[-60:]
    return beside / "sources" / f"{plain.lstrip('.') or 'rows'}-{digest}"


def _limit(settings: HubSource) -> int | None:
    return None if settings.sample is not None or settings.where else settings.limit


def _stream(settings: HubSource, folder: Path) -> None:
    """Write all parts, and then `done.json`; what a stream that broke off has left is thrown away."""
    with readable(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with in_place_of(folder) as fresh:
            fresh.mkdir()
            rows = _write(_batches(settings), fresh, _limit(settings))
            if not rows:
                raise SourceError(f"{settings.name}: the split {settings.split!r} has no rows")
            (fresh / "done.json").write_text(json.dumps({"rows": rows}), "utf-8")


def _batches(settings: HubSource) -> Iterator[pa.Table]:
    """The rows as Arrow tables, images not decoded."""
    try:
        yield from _opened(settings).with_format("arrow").iter(batch_size=_BATCH)
    except SourceError:
        raise
    # `datasets` raises whatever its reader of the format raises; the user needs its message, not its trace.
    except Exception as error:
        raise SourceError(f"{settings.name} cannot be streamed: {_line(error)}") from error


def _saved(settings: HubSource) -> bool:
    """Whether it is a folder that `save_to_disk` wrote."""
    return any((Path(settings.name) / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _opened(settings: HubSource) -> Any:
    """The split, streamed; or what `save_to_disk` wrote, a data set of one split or a folder of several."""
    import datasets

    if not _saved(settings):
        return datasets.load_dataset(
            settings.name, settings.config, split=settings.split, revision=settings.revision, streaming=True
        )
    saved = datasets.load_from_disk(settings.name)
    if not isinstance(saved, datasets.DatasetDict):
        return saved
    if settings.split not in saved:
        raise SourceError(f"{settings.name} has no split {settings.split!r}; it has {', '.join(map(repr, saved))}")
    return saved[settings.split]


def _write(batches: Iterator[pa.Table], folder: Path, limit: int | None) -> int:
    """Parts of `_PART_BATCHES` batches; returns how many rows there are."""
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for number, batch in enumerate(batches):
            table = batch if limit is None else batch.slice(0, limit - rows)
            if number % _PART_BATCHES == 0:
                if writer is not None:
                    writer.close()
                writer = pq.ParquetWriter(folder / f"rows-{number // _PART_BATCHES:06d}.parquet", table.schema)
            assert writer is not None
            writer.write_table(table)
            rows += table.num_rows
            if limit is not None and rows >= limit:
                break
    except pa.ArrowException as error:
        raise SourceError(f"the rows cannot be kept as Parquet: {_line(error)}") from error
    finally:
        if writer is not None:
            writer.close()
    return rows


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]
