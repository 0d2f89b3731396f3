"""An export format: plain JSONL, for a trainer of one's own. `gog export sft --format plain --backbone qwen3-vl`."""

import json
from collections.abc import Sequence
from typing import Any

from gog.pipelines.export.formats.export_format import ExportFormat, json_lines
from gog.transforms.export.rows import SftRow


def columns(row: SftRow, images: Sequence[str]) -> dict[str, Any]:
    """A line: the conversation in OpenAI's form, and the paths of its images below the export."""
    return {"id": row.id, "messages": json.loads(row.messages), "images": list(images)}


plain = ExportFormat("plain", {"sft": json_lines(columns)}, card="Each line has `id`, `messages` and `images`.")
