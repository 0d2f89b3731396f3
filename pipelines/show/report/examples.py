"""The trajectories that a report draws: their images made small, their boxes, turns, evidence and verdict."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import duckdb
from PIL import Image

from gog.pipelines.show.contact_sheet import picture_of
from gog.pipelines.show.trajectory import Records, TrajectoryView, Turn, view_of
from gog.pipelines.views.database import fetch_records
from gog.schemas import Evidence, Seed, Trajectory, Verdict
from gog.schemas.base import Row
from gog.transforms.image_store import ImageStore

R = TypeVar("R", bound=Row)

EXAMPLES: Final = 10
SCENE: Final = 560
CROP: Final = 150
"""Longest sides in pixels."""
TURNS: Final = 16

_PICK: Final = f"""
SELECT trajectory_id FROM (
    SELECT trajectory_id, behaviour, outcome, reflective, row_number() OVER (
        PARTITION BY behaviour, outcome = 'correct', reflective ORDER BY kept DESC, turns DESC, trajectory_id
    ) AS place
    FROM overview
) ORDER BY place, reflective DESC, outcome, behaviour, trajectory_id LIMIT {EXAMPLES}
"""
"""Of each behaviour some, right and wrong, with and without reflection."""


@dataclass(frozen=True, slots=True)
class Example:
    """A trajectory with its pictures as data URLs, empty where there are none. The page cuts and escapes all text."""

    view: TrajectoryView
    turns: tuple[Turn, ...]
    """As many as are drawn."""
    scenes: tuple[str, ...]
    """Of the pictures of the question, in order."""
    crops: Mapping[str, str]
    """By sha256."""


def examples(connection: duckdb.DuckDBPyConnection, images: ImageStore) -> list[Example]:
    """Ten trajectories of all kinds, in an order that does not change."""
    wanted = [name for (name,) in connection.execute(_PICK).fetchall()]
    trajectories = {t.trajectory_id: t for t in _read(connection, "trajectories", Trajectory, "trajectory_id", wanted)}
    seed_ids = sorted({t.seed_id for t in trajectories.values()})
    seeds = {s.seed_id: s for s in _read(connection, "seeds", Seed, "seed_id", seed_ids)}
    verdicts = {v.trajectory_id: v for v in _read(connection, "verdicts", Verdict, "trajectory_id", wanted)}
    ids = sorted({i for t in trajectories.values() for step in t.steps for i in step.evidence_ids})
    evidence = {e.evidence_id: e for e in _read(connection, "evidence", Evidence, "evidence_id", ids)}
    return [
        _example(Records(t, seeds[t.seed_id], verdicts.get(t.trajectory_id), evidence), images)
        for t in (trajectories[name] for name in wanted)
        if t.seed_id in seeds
    ]


def _read(
    connection: duckdb.DuckDBPyConnection, table: str, record: type[R], key: str, wanted: Sequence[str]
) -> list[R]:
    columns = ", ".join(f'"{name}"' for name in record.model_fields)
    cursor = connection.execute(f"SELECT {columns} FROM {table} WHERE {key} IN (SELECT unnest(?))", [list(wanted)])
    return fetch_records(record, cursor)


def _example(records: Records, images: ImageStore) -> Example:
    view = view_of(records)
    turns = view.turns[:TURNS]
    crops = {turn.crop.sha256: data_url(images, turn.crop.sha256, CROP) for turn in turns if turn.crop}
    scenes = tuple(data_url(images, scene.sha256, SCENE) for scene in view.scenes)
    return Example(view, turns, scenes, crops)


def data_url(images: ImageStore, sha256: str, longest: int) -> str:
    """The image, made small, as a data URL; empty where it is missing or damaged."""
    picture = picture_of(images, sha256)
    if picture is None:
        return ""
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", quality=68, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
