"""Rows of a source, and the seeds and rejects that they become."""

import io
from typing import Any

from PIL import Image

from gog.schemas import Reject, Seed
from gog.schemas.rows import check_row, to_row
from gog.transforms.ingest.seeds import Ingested, to_seed
from gog.transforms.sources.mapping import FieldMapping, SourceRow


def png(colour: tuple[int, int, int] = (9, 9, 9), size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture of one colour with a lighter corner: there is something to see in it."""
    out = io.BytesIO()
    image = Image.new("RGB", size, colour)
    image.paste((250, 250, 250), (0, 0, size[0] // 4, size[1] // 4))
    image.save(out, "PNG")
    return out.getvalue()


PNG = png()


def row(number: int = 1, **data: Any) -> SourceRow:
    return SourceRow(f"rows.jsonl#{number}", {"question": "Who?", "answers": ["Ada"], "image": PNG} | data)


def ingest(source: SourceRow, mapping: FieldMapping | None = None, **options: Any) -> Ingested | Reject:
    return to_seed(source, mapping or FieldMapping(), dataset="test", **options)


def seed_of(source: SourceRow, mapping: FieldMapping | None = None, **options: Any) -> Seed:
    result = ingest(source, mapping, **options)
    assert isinstance(result, Ingested), result
    check_row("seeds", to_row(result.seed))
    return result.seed


def reject_of(source: SourceRow, mapping: FieldMapping | None = None, **options: Any) -> Reject:
    result = ingest(source, mapping, **options)
    assert isinstance(result, Reject), result
    assert result.id == source.row_id
    assert result.detail
    check_row("rejects", to_row(result))
    return result
