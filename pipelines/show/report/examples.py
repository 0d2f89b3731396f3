"""The trajectories that a report draws: their images made small, their boxes, turns, evidence and verdict."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import duckdb
from PIL import Image

from gog.pipelines.lake.lake import LakeError
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.show.contact_sheet import thought_of
from gog.schemas import Evidence, Message, Seed, Step, Tool, Trajectory, Verdict
from gog.schemas.base import Row
from gog.schemas.rows import from_row
from gog.transforms.images import ImageError, ImageStore, decode_image

R = TypeVar("R", bound=Row)

EXAMPLES: Final = 10
SCENE: Final = 560
CROP: Final = 150
"""Longest sides in pixels."""
HITS: Final = 3
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
class Found:
    """A search result."""

    title: str
    score: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as it is shown."""

    number: int
    action: str
    said: str
    thought: str
    reflection: str
    error: str
    trained: bool
    mark: int
    """Colour of its box, from 1; 0 where it has none."""
    crop: str
    """Data URL; empty where there is none."""
    found: tuple[Found, ...]
    failure: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on the scene, in its units."""

    turn: int
    colour: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Example:
    """A trajectory as it is shown. All text is plain and escaped by the page."""

    trajectory_id: str
    question: str
    accepted: str
    answer: str
    outcome: str
    about: str
    verdict: str
    scene: str
    width: float
    height: float
    """Units of the scene: 1000 for its width."""
    marks: tuple[Mark, ...]
    turns: tuple[Turn, ...]


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
        _example(trajectories[name], seeds[trajectories[name].seed_id], verdicts.get(name), evidence, images)
        for name in wanted
        if trajectories[name].seed_id in seeds
    ]


def _read(
    connection: duckdb.DuckDBPyConnection, table: str, record: type[R], key: str, wanted: Sequence[str]
) -> list[R]:
    columns = ", ".join(f'"{name}"' for name in record.model_fields)
    cursor = connection.execute(f"SELECT {columns} FROM {table} WHERE {key} IN (SELECT unnest(?))", [list(wanted)])
    names = [column[0] for column in cursor.description or ()]
    return [from_row(record, dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _example(
    trajectory: Trajectory, seed: Seed, verdict: Verdict | None, evidence: Mapping[str, Evidence], images: ImageStore
) -> Example:
    said = [message for message in trajectory.messages if message.role == "assistant"]
    height = 1000 * seed.height / seed.width
    turns: list[Turn] = []
    marks: list[Mark] = []
    for step, message in list(zip(trajectory.steps, said, strict=False))[:TURNS]:
        if step.action == "gaze" and step.box is not None:
            x1, y1, x2, y2 = step.box
            colour = len(marks) % 6 + 1
            box = (1000 * x1, height * y1, 1000 * (x2 - x1), height * (y2 - y1))
            marks.append(Mark(step.turn + 1, colour, *(round(value, 1) for value in box)))
        found = [evidence[i] for i in step.evidence_ids if i in evidence]
        turns.append(_turn(step, message, found, marks, images))
    about = [seed.category or seed.dataset, str(trajectory.origin), str(trajectory.behaviour)]
    about += ["reflective"] if trajectory.reflective else []
    return Example(
        trajectory_id=trajectory.trajectory_id,
        question=one_line(seed.question, 400),
        accepted=one_line(" | ".join(seed.answers), 300),
        answer=one_line(trajectory.answer or f"no answer: {trajectory.stop}", 300),
        outcome=str(verdict.outcome) if verdict else "unverified",
        about=one_line(" · ".join([*about, trajectory.teacher]), 200),
        verdict=_settled(verdict),
        scene=data_url(images, seed.image_sha256, SCENE),
        width=1000,
        height=round(height, 1),
        marks=tuple(marks),
        turns=tuple(turns),
    )


_ACTIONS: Final = {"image_search": "glance", "text_search": "text search"}


def _turn(step: Step, message: Message, found: Sequence[Evidence], marks: Sequence[Mark], images: ImageStore) -> Turn:
    detail = {"text_search": "query", "gaze": "label", "answer": "text"}.get(step.action, "")
    crop = next((e.image_sha256 for e in found if e.tool is Tool.GAZE and e.image_sha256), None)
    marked = marks[-1].colour if marks and marks[-1].turn == step.turn + 1 else 0
    hits = [hit for item in found for hit in item.hits][:HITS]
    failures = [str(item.failure) for item in found if item.failure]
    return Turn(
        number=step.turn + 1,
        action=_ACTIONS.get(step.action, step.action),
        said=one_line(step.arguments.get(detail) or "", 200),
        thought=one_line(thought_of(step, message), 500),
        reflection=str(step.reflection).replace("_", " ") if step.reflection else "",
        error=one_line(step.error, 100),
        trained=step.train,
        mark=marked,
        crop=data_url(images, crop, CROP) if crop else "",
        found=tuple(Found(one_line(h.title, 80), "" if h.score is None else f"{h.score:.2f}") for h in hits),
        failure=", ".join(failures) or ("found nothing" if found and not hits else ""),
    )


def _settled(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not verified"
    said = [f"settled by {verdict.method}"]
    if verdict.grounded is not None:
        said.append("grounded" if verdict.grounded else "not grounded")
    if verdict.gaze_useful is not None:
        said.append("the gaze found the target" if verdict.gaze_useful else "no gaze found the target")
    said += ["leaked"] if verdict.leaked else []
    return one_line(", ".join(said) + (f"; leaves for {', '.join(verdict.reasons)}" if verdict.reasons else ""), 300)


def data_url(images: ImageStore, sha256: str, longest: int) -> str:
    """The image, made small, as a data URL; empty where it is missing or damaged."""
    try:
        picture: Any = decode_image(images.read(sha256))
    except (KeyError, ImageError, LakeError):
        return ""
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", quality=68, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
