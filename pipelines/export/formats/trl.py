"""TRL: the engine's own columns, in the backbone's frame."""

from gog.pipelines.export.formats.export_format import DATA, ExportFormat, own_parquet

_CARD = """\
For TRL and {{ facts.backbone | code }}: boxes, sizes and tools are as that backbone has them. `gog_train.data.open_export` opens the
folder and checks it; `gog train {{ "sft" if facts.kind == "sft" else "grpo" }}` trains on it.
"""  # noqa: E501

FORMAT = ExportFormat("trl", {"sft": own_parquet, "rl": own_parquet}, _CARD, f"{DATA}/{{}}-*.parquet", own_columns=True)
