"""The engine's own format, in the frame of the run."""

from gog.pipelines.export.formats.export_format import ExportFormat, own_parquet

FORMAT = ExportFormat("parquet", {"sft": own_parquet, "rl": own_parquet}, files="{}-*.parquet", own_columns=True)
