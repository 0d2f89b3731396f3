"""Receipts of what was forgotten: `LAKE/forgotten/DATE-ID.json`. They hold ids, hashes and counts, no content."""

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gog.pipelines.lake.disk import LakeError, write_atomic
from gog.pipelines.lake.lake import Lake
from gog.transforms.ingest.forgotten import LeftOut

FOLDER: Final = "forgotten"


class RunPlan(BaseModel):
    """What leaves a run."""

    model_config = ConfigDict(extra="forbid")

    seeds: dict[str, int] = Field(default_factory=dict)
    """By id, the shard of each."""
    trajectories: list[str] = Field(default_factory=list)
    evidence: list[str] = Field(default_factory=list)
    funnel: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    """By part file, the rows that take the place of all of it."""
    exports: dict[str, str] = Field(default_factory=dict)
    """Folders below `exports` that hold something of it, and what `gog export` is given to make each anew."""


class Receipt(BaseModel):
    """What a `gog forget` takes away; while its state is `begun`, the next one goes on with it."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    id: str
    made: str
    """UTC, ISO 8601."""
    state: Literal["begun", "done"] = "begun"
    seeds: list[str]
    images_named: list[str]
    sources_sha256: list[str]
    pages_sha256: list[str] = Field(default_factory=list)
    """Of the addresses of pages."""
    runs: dict[str, RunPlan]
    store_keys: dict[str, list[str]]
    """By the run whose config names the store."""
    images: list[str]
    galleries: dict[str, int]
    """Folders of image search indexes, and how many pictures leave each."""
    corpora: dict[str, int] = Field(default_factory=dict)
    """Likewise of pages' indexes."""
    counts: dict[str, int]


def receipts(lake: Lake) -> list[Receipt]:
    """All of the lake's receipts, oldest first. Raises `LakeError` on a damaged one."""
    return [_read(path) for path in sorted((lake.root / FOLDER).glob("*.json"))]


def left_out(lake: Lake) -> LeftOut:
    """What ingest leaves out."""
    all_of = receipts(lake)
    return LeftOut(
        frozenset(seed for receipt in all_of for seed in receipt.seeds),
        frozenset(sha256 for receipt in all_of for sha256 in receipt.images_named),
        frozenset(source for receipt in all_of for source in receipt.sources_sha256),
    )


def write_receipt(lake: Lake, receipt: Receipt) -> Path:
    """Keep a receipt, durably; returns its file."""
    path = lake.root / FOLDER / f"{receipt.id}.json"
    text = json.dumps(receipt.model_dump(mode="json"), indent=1, sort_keys=True)
    write_atomic(path, text.encode() + b"\n")
    return path


def _read(path: Path) -> Receipt:
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise LakeError(
            f"{path} is damaged or cannot be read: restore it, so that nothing forgotten comes back"
        ) from error
