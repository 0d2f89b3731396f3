"""The kinds of files that rows come in, and what lays out and reads a file of each."""

from functools import partial

from gog.transforms.sources import csv_format, formats
from gog.transforms.sources.csv_format import AS_USUAL, Dialect
from gog.transforms.sources.formats import Format


def format_of(kind: str, dialect: Dialect = AS_USUAL) -> Format:
    """What reads a file of a kind; `dialect` says how one of CSV is written. `KeyError` on a kind that is none."""
    match kind:
        case "jsonl":
            return formats.jsonl_spans, formats.jsonl_rows
        case "json":
            return formats.json_spans, formats.json_rows
        case "csv" | "tsv":
            dialect = dialect._replace(delimiter=dialect.delimiter or ("\t" if kind == "tsv" else ""))
            return partial(csv_format.csv_spans, dialect=dialect), partial(csv_format.csv_rows, dialect=dialect)
        case "parquet":
            from gog.transforms.sources import parquet_format  # pyarrow is only loaded for it

            return parquet_format.parquet_spans, parquet_format.parquet_rows
        case "webdataset":
            from gog.transforms.sources import tar_format

            return tar_format.webdataset_spans, tar_format.webdataset_rows
        case _:
            raise KeyError(kind)
