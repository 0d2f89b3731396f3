"""Duplicates at ingest: by keys over all shards at once the same comes out as shard by shard in the source's order."""

import json
from functools import cache, partial
from typing import Any

import apache_beam as beam
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ingesting import ingest
from pipelined import rows_and_counts
from textures import jpeg, texture

from gog.schemas import Reject, Seed, Unit
from gog.transforms.beam.duplicates import ByKeys, Decoded
from gog.transforms.beam.rows import count, row
from gog.transforms.duplicates.pictures import Pictures
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.ingest.duplicates import Duplicates
from gog.transforms.ingest.seeds import Ingested
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.loop import shared
from gog.transforms.sources.mapping import FieldMapping, SourceRow

SHARD = 3
DISTANCE = 4
MAPPING = FieldMapping(columns={"id": "id"})
QUESTIONS = ("what is shown here, and where?", "What is shown here, and where", "who built it?")

Drawn = tuple[int, str, int, int, str]


def pictures_kept() -> ImageStore:
    return shared("pictures of the test", PassingImages)


@cache
def picture(number: int, change: str) -> bytes:
    whole = texture(number, 160, 120)
    match change:
        case "smaller":
            whole = whole.resize((120, 90))
        case "left":
            whole = whole.crop((0, 0, 100, 90))
        case "right":
            whole = whole.crop((50, 20, 160, 120))
        case "unreadable":
            return b"no picture"
    return jpeg(whole, 90)


def decoded(rows: list[Drawn]) -> list[Decoded]:
    """The rows as the workers have decoded them, with their pictures kept."""
    found = []
    for place, (number, change, question, answer, name) in enumerate(rows):
        data = {"question": QUESTIONS[question], "answers": [str(answer)], "image": picture(number, change)}
        item = ingest(SourceRow(f"row {place}", data | ({"id": name} if name else {})), MAPPING)
        if isinstance(item, Ingested):
            for kept in item.pictures:
                pictures_kept().put(kept.data, kept.suffix)
        found.append(Decoded(place, place // SHARD, SourceRow(f"row {place}", {}), item))
    return found


def collected(items: list[Decoded], find: beam.PTransform) -> list[Any]:
    """All rows and counts that come of it."""
    return sorted(rows_and_counts(items, find), key=json.dumps)


def in_order(items: list[Decoded], window: int) -> list[Any]:
    """Shard by shard, row by row."""
    known, pictures = Duplicates(), Pictures(partial(open_image, pictures_kept()), DISTANCE, window)
    found: list[Any] = []
    for start in range(0, len(items), SHARD):
        shard = items[start : start + SHARD]
        new = known.new_pictures((item.place, item.found) for item in shard if isinstance(item.found, Ingested))
        for shown, like in zip(new, pictures.like(new), strict=True):
            known.learn(shown.sha256, like)
        for item in shard:
            record = item.found if isinstance(item.found, Reject) else known.check(item.row, item.found)
            passed = int(isinstance(record, Seed))
            found += [row(item.shard, record).value, count("ingest", Unit.ROW, item.shard, passed=passed).value]
    return sorted(json.loads(json.dumps(found)), key=json.dumps)


def table(name: str, found: list[Any]) -> list[dict[str, Any]]:
    """Rows of a table."""
    return [json.loads(item[2]) for item in found if item[0] == name]


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(("whole", "smaller", "left", "right", "unreadable")),
            st.integers(0, 2),
            st.integers(0, 1),
            st.sampled_from(("", "", "a", "b")),
        ),
        max_size=14,
    ),
    window=st.sampled_from((2, 3, 4096)),
)
@settings(max_examples=6, deadline=None, phases=[Phase.generate])
def test_by_keys_the_same_comes_out_as_in_order(rows: list[Drawn], window: int) -> None:
    items = decoded(rows)
    expected = in_order(items, window)
    assert collected(items, ByKeys(pictures_kept, DISTANCE, window)) == expected
    assert len(expected) == 2 * len(rows)


@pytest.mark.parametrize("window", [2, 4096])
def test_copies_parts_and_repeated_ids_of_other_shards_are_found_by_keys(window: int) -> None:
    rows = [
        (0, "whole", 0, 0, "a"), (1, "whole", 0, 0, "b"), (2, "whole", 0, 0, ""),
        (0, "smaller", 1, 0, "c"), (0, "right", 2, 0, "d"), (1, "left", 2, 1, "b"),
        (2, "left", 2, 0, "e"), (2, "left", 0, 0, "f"), (0, "unreadable", 0, 0, ""),
    ]  # fmt: skip
    found = collected(decoded(rows), ByKeys(pictures_kept, DISTANCE, window))
    reasons = {reject["id"]: reject["reason"] for reject in table("rejects", found)}
    near = {"row 3": "ingest.near_duplicate", "row 5": "ingest.duplicate", "row 8": "ingest.image_unreadable"}
    assert reasons == near | ({"row 7": "ingest.near_duplicate"} if window > 4 else {})
    alike = sum(seed["image_like"] != "[]" for seed in table("seeds", found))
    assert alike == (2 if window > 4 else 1)
