"""The formats of exports: one file each, with all that an export has to know of who reads it.

[project.entry-points."gog.export_formats"]
plain-jsonl = "my_pkg.plain:FORMAT"
"""

from gog.pipelines.export.formats.export_format import ExportFormat
from gog.transforms.open_set import OpenSet

FORMATS: OpenSet[ExportFormat] = OpenSet(
    "export format", "gog.export_formats", "gog.pipelines.export.formats", "FORMAT"
)

__all__ = ["FORMATS", "ExportFormat"]
