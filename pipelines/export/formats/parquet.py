"""The engine's own format, in the frame of the run."""

from gog.pipelines.export.formats.export_format import DATA, ExportFormat, own_parquet

FORMAT = ExportFormat(
    "parquet", {"sft": own_parquet, "rl": own_parquet}, files=f"{DATA}/{{}}-*.parquet", own_columns=True
)
