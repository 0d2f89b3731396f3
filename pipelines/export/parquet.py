"""Files of an export's split: typed rows with images inside, in numbered Parquet files.

The columns are those of `SftRow` or `RlRow` (or what a trainer's format makes of them) and, last, `images`: structs of
bytes and path, in the order of the image parts of the messages. The schema carries the features by which the library
`datasets` decodes them. Row groups end by count and size alone, so that equal rows make equal bytes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from gog.pipelines.lake.lake import LakeError
from gog.schemas import SCHEMA_VERSION, Split
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.image_store import ImageStore
from gog.transforms.images import image_suffix

GROUP_ROWS: Final = 100
GROUP_BYTES: Final = 4 << 20
"""A row group ends at so many rows or bytes of images: what is held in memory, and what a reader loads at once."""

_TABLE_ROWS: Final = 10
"""A row group is put together from tables of so many rows: built and encoded at once, it would be held three times."""

_PLAIN_TYPES: Final[dict[Any, tuple[pa.DataType, Any]]] = {
    str: (pa.string(), {"dtype": "string", "_type": "Value"}),
    int: (pa.int64(), {"dtype": "int64", "_type": "Value"}),
    float: (pa.float64(), {"dtype": "float64", "_type": "Value"}),
    bool: (pa.bool_(), {"dtype": "bool", "_type": "Value"}),
    tuple[str, ...]: (pa.list_(pa.string()), {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}),
}
IMAGES: Final = pa.list_(pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())]))
IMAGES_FEATURE: Final = {"feature": {"_type": "Image"}, "_type": "List"}
_IMAGE_BYTES: Final = "images.list.element.bytes"


def export_schema(row: type[SftRow] | type[RlRow]) -> pa.Schema:
    """Arrow schema of an export's rows, with the features by which `datasets` decodes the images."""
    columns, features = [], {}
    hints = get_type_hints(row)
    for field in fields(row):
        hint = hints[field.name]
        options = [option for option in getattr(hint, "__args__", ()) if option is not type(None)]
        plain = options[0] if options and hint != tuple[str, ...] else hint
        kind, features[field.name] = _PLAIN_TYPES[str if plain is Split else plain]
        columns.append(pa.field(field.name, kind))
    columns.append(pa.field("images", IMAGES))
    features["images"] = IMAGES_FEATURE
    return with_features(columns, features)


def with_features(columns: Sequence[pa.Field], features: Mapping[str, Any] | None = None) -> pa.Schema:
    """A schema that says which version of ours it is and, with `features`, what `datasets` makes of its columns."""
    info = {"huggingface": json.dumps({"info": {"features": features}})} if features else {}
    return pa.schema(columns, metadata={"gog.schema_version": str(SCHEMA_VERSION)} | info)


def plain_columns(row: SftRow | RlRow) -> dict[str, Any]:
    """The columns of a row as they are, without the images."""
    return {field.name: getattr(row, field.name) for field in fields(row)}


class SplitWriter:
    """Writes one split as numbered files. Their names hold how many there are, so they are named at the end.

    `columns` makes a file's row of ours; `fit` makes an image's bytes of the original's.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        schema: pa.Schema,
        rows_per_file: int,
        columns: Callable[[Any], dict[str, Any]] = plain_columns,
        fit: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._folder, self._split, self._schema, self._rows_per_file = folder, split, schema, rows_per_file
        self._columns, self._fit = columns, fit
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._in_file = 0
        self._rows: list[dict[str, Any]] = []
        self._group: list[pa.Table] = []
        self._group_rows = self._group_bytes = 0
        self.rows = 0

    def add(self, row: SftRow | RlRow, images: ImageStore | None) -> None:
        """Write a row with its images, or without any."""
        if self._in_file == self._rows_per_file:
            self._end_file()
        pictures = [] if images is None else [self._picture(images, sha256, row.id) for sha256 in row.image_sha256]
        self._rows.append(self._columns(row) | {"images": pictures})
        if len(self._rows) == _TABLE_ROWS:
            self._end_table()
        self._group_rows += 1
        self._group_bytes += sum(len(picture["bytes"]) for picture in pictures)
        self._in_file += 1
        self.rows += 1
        if self._group_rows == GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._end_group()

    def close(self) -> list[Path]:
        """End the last file and name all; returns the files. A split without rows has none: `datasets` opens none."""
        if self._in_file:
            self._end_file()
        named = []
        for number, path in enumerate(self._paths):
            named.append(path.with_name(f"{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet"))
            path.rename(named[-1])
        return named

    def _picture(self, images: ImageStore, sha256: str, name: str) -> dict[str, Any]:
        data = self._fit(read_image(images, sha256, name))
        return {"bytes": data, "path": f"{sha256}.{image_suffix(data)}"}

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._paths.append(self._folder / f"{self._split}-{len(self._paths):05d}.parquet")
            plain = [field.name for field in self._schema if not pa.types.is_nested(field.type)]
            self._writer = pq.ParquetWriter(
                self._paths[-1],
                self._schema,
                compression=dict.fromkeys(_leaves(self._schema), "zstd") | {_IMAGE_BYTES: "none"},
                use_dictionary=[name for name in plain if name not in ("id", "messages", "prompt")],
                write_statistics=plain,
            )
        return self._writer

    def _end_table(self) -> None:
        if self._rows:
            self._group.append(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def _end_group(self) -> None:
        writer = self._open()
        self._end_table()
        if self._group:
            writer.write_table(pa.concat_tables(self._group))
        self._group, self._group_rows, self._group_bytes = [], 0, 0

    def _end_file(self) -> None:
        self._end_group()
        self._open().close()
        self._writer, self._in_file = None, 0


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of the Parquet columns."""
    return [path for field in schema for path in _paths(field.name, field.type)]


def _paths(name: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            inner = kind.field(number)
            yield from _paths(f"{name}.{inner.name}", inner.type)
    elif pa.types.is_list(kind):
        yield from _paths(f"{name}.list.element", kind.value_type)
    else:
        yield name


def read_image(images: ImageStore, sha256: str, name: str) -> bytes:
    """The original's bytes, for the row `name`. Raises `LakeError`."""
    try:
        return images.read(sha256)
    except KeyError:
        raise LakeError(f"the image {sha256} of {name} is not in the lake") from None
