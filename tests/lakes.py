"""A small run in a lake, made of records whose numbers add up. Its episodes went through the episode machine."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from gog.pipelines.export.request import SourceRun
from gog.pipelines.lake.lake import Lake, write_part
from gog.schemas import (
    WHOLE,
    Behaviour,
    Box,
    Complexity,
    Curated,
    EpisodeImage,
    Event,
    Evidence,
    FailureClass,
    Function,
    Grouping,
    Hit,
    Message,
    Method,
    Origin,
    Outcome,
    Region,
    Reject,
    Seed,
    Side,
    Split,
    StageCount,
    ToolCall,
    Trajectory,
    Unit,
    Verdict,
    content_id,
)
from gog.schemas.base import Row
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import EpisodeSettings, act, observe, start, system_prompt
from gog.transforms.episode.tool import ToolResult
from gog.transforms.episode.trajectory import Making, make_trajectory
from gog.transforms.image_store import ImageStore

EPISODE = EpisodeSettings()
TEACHER = "planner:skill=0.85"
POLICY = "planner:skill=0.5"


def picture(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A JPEG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def make_seed(number: int, images: ImageStore, **changes: Any) -> Seed:
    """Seed number `number`, its image in the store."""
    sha256 = images.put(picture(400, 300, (number % 256, number // 256, 90)), "jpg")
    values: dict[str, Any] = {
        "seed_id": content_id("seed", number),
        "dataset": "atlas",
        "dataset_version": "1",
        "question": f"Which country's flag is number {number}?",
        "answers": ("Kenya", "Republic of Kenya"),
        "image_sha256": sha256,
        "width": 400,
        "height": 300,
        "image_phash": f"{number:016x}",
        "entity": "Kenya",
        "category": "gaze",
        "licence": "MIT AND ODbL-1.0",
    }
    return Seed(**(values | changes))


def said(thought: str, call: tuple[str, str] | None = None, answer: str = "") -> Message:
    """A turn of the model: a thought, and a call (name, JSON arguments) or an answer."""
    calls = (ToolCall(id="", function=Function(name=call[0], arguments=call[1])),) if call else ()
    content = f"<answer>{answer}</answer>" if answer else ""
    return Message(role="assistant", content=content, reasoning_content=thought, tool_calls=calls)


def gaze(box: Sequence[int], label: str = "a flag") -> tuple[str, str]:
    """A call of the gaze; the box in thousandths."""
    return "gaze", f'{{"bbox_2d": {list(box)}, "label": "{label}", "image": 0}}'


def found(tool: str, title: str, score: float, image: str | None = None, box: Box | None = None) -> Evidence:
    """Evidence with two hits."""
    hits = (
        Hit(rank=1, title=title, url=f"atlas://country/{title}", snippet=f"This is {title}.", score=score),
        Hit(rank=2, title="Elsewhere", url="atlas://country/elsewhere", score=score / 2),
    )
    identity = [tool, title, score, image, box]
    return Evidence(
        evidence_id=content_id("evidence", identity),
        tool=tool,
        query=title if tool == "text_search" else None,
        image_sha256=image,
        box=box,
        hits=hits,
        provider="corpus:atlas" if tool == "text_search" else "gallery:atlas",
    )


@dataclass(frozen=True)
class Made:
    """A trajectory with its evidence."""

    trajectory: Trajectory
    evidence: tuple[Evidence, ...]


def reflective(
    seed: Seed,
    images: ImageStore,
    *,
    answer: str = "Kenya",
    origin: Origin = Origin.ROLLOUT,
    sample: int = 0,
    hints: str | None = None,
    thought: str = "I look at the flag at the left.",
) -> Made:
    """A gaze that is off target, another gaze, a text search, an answer."""
    system, prompt_hash = system_prompt(EPISODE, teacher=True)
    original = EpisodeImage(sha256=seed.image_sha256, width=seed.width, height=seed.height, box=WHOLE)
    episode = start(EPISODE, seed.question, [original], system, hints=hints)
    evidence: list[Evidence] = []
    looks = [
        (thought, (100, 200, 300, 400), "Uganda", 0.41),
        ("Evidence: off target. That is a look-alike.", (600, 200, 800, 400), "Kenya", 0.93),
    ]
    for number, (words, at, title, score) in enumerate(looks):
        episode = act(episode, said(words, gaze(at)), train=not (origin is Origin.COMPOSE and number == 0))
        box = Box(*(value / 1000 for value in at))
        sha256 = images.put(picture(80, 60, (200, number, sample)), "jpg")
        evidence.append(found("gaze", title, score, sha256, box))
        crop = EpisodeImage(sha256=sha256, width=80, height=60, box=box)
        episode = observe(episode, ToolResult(evidence[-1], crop))
    episode = act(episode, said("Evidence: useful. I check the name.", ("text_search", '{"query": "Kenya flag"}')))
    evidence.append(found("text_search", "Kenya", 0.8))
    episode = observe(episode, ToolResult(evidence[-1]))
    episode = act(episode, said("Evidence: useful. This is it.", answer=answer))
    making = Making(origin, TEACHER, sample, {"episode/teacher": prompt_hash})
    return Made(make_trajectory(seed, Driven(episode, tuple(evidence)), making), tuple(evidence))


def verdict_of(trajectory: Trajectory, **changes: Any) -> Verdict:
    """A verdict: right when the answer is Kenya."""
    right = trajectory.answer == "Kenya"
    values: dict[str, Any] = {
        "trajectory_id": trajectory.trajectory_id,
        "seed_id": trajectory.seed_id,
        "outcome": Outcome.CORRECT if right else Outcome.WRONG,
        "method": Method.EXACT if right else Method.NONE,
        "score": float(right),
        "judge": "planner:skill=1",
        "grounded": True if right else None,
        "gaze_useful": right,
        "reasons": () if right else ("verify.wrong",),
    }
    return Verdict(**(values | changes))


def level_of(seed: Seed, level: int, policy: str = POLICY) -> Complexity:
    """A level with a pass rate that fits it."""
    rate = {0: 1.0, 1: 0.5, 2: 0.25}[level]
    values: dict[str, Any] = {"seed_id": seed.seed_id, "policy": policy, "k": 4, "passes": int(4 * rate), "unknown": 0}
    return Complexity(**values, pass_rate=rate, low=rate * 0.8, high=min(1, rate * 1.2), level=level)


def counted(stage: str, unit: Unit, entered: int, passed: int, shard: int = 0) -> StageCount:
    """A line of the funnel."""
    return StageCount(stage=stage, unit=unit, shard=shard, entered=entered, passed=passed)


def write(lake: Lake, run: str, table: str, records: Sequence[Row], step: str = "step") -> None:
    """One part of a table."""
    write_part(lake.part_path(run, table, step, 0), table, records)


def source_of(lake: Lake, run: str = "small") -> SourceRun:
    """The run as an export reads it."""
    return SourceRun(lake.run_folder(run), lake.images, EPISODE, "print-1")


def small_run(root: Path, seeds: int = 6, run: str = "small") -> Lake:
    """A run of `seeds` seeds: two attempts each, one right and kept, one wrong; half of them labelled."""
    lake = Lake(root)
    made_seeds = [make_seed(number, lake.images) for number in range(seeds)]
    kept, others = [], []
    for number, seed in enumerate(made_seeds):
        origin = Origin.COMPOSE if number % 3 == 2 else Origin.ROLLOUT
        kept.append(reflective(seed, lake.images, origin=origin, hints="Regions: [100, 200, 300, 400]"))
        others.append(reflective(seed, lake.images, answer="Uganda", sample=1))
    made = [*kept, *others]
    wrong = [
        Reject.of("verify", Unit.TRAJECTORY, m.trajectory.trajectory_id, "verify.wrong", seed_id=m.trajectory.seed_id)
        for m in others
    ]
    bad = Reject.of("ingest", Unit.ROW, "row-9", "ingest.no_answer", detail="<b>no</b> | answer\x07")
    splits = {seed.seed_id: Split.VALIDATION if n % 4 == 0 else Split.TRAIN for n, seed in enumerate(made_seeds)}
    labelled = made_seeds[: seeds // 2]
    tables: dict[str, list[Row]] = {
        "seeds": [*made_seeds],
        "regions": [
            Region(
                region_id=f"region-{n}", seed_id=s.seed_id, box=Box(0.1, 0.2, 0.3, 0.4), score=0.5, source="segments:1"
            )
            for n, s in enumerate(made_seeds)
        ],
        "evidence": [*{e.evidence_id: e for m in made for e in m.evidence}.values()],
        "trajectories": [m.trajectory for m in made],
        "verdicts": [verdict_of(m.trajectory) for m in made],
        "groups": [Grouping(seed_id=i, group=i, cluster=i, side=Side.SFT, split=split) for i, split in splits.items()],
        "curated": [
            Curated(
                trajectory_id=m.trajectory.trajectory_id,
                seed_id=m.trajectory.seed_id,
                split=splits[m.trajectory.seed_id],
                behaviour=Behaviour.MIXED,
                origin=m.trajectory.origin,
            )
            for m in kept
        ],
        "complexity": [level_of(seed, number % 3) for number, seed in enumerate(labelled)],
        "rejects": [*wrong, bad],
        "funnel": [
            counted("ingest", Unit.ROW, seeds + 1, seeds),
            counted("screen", Unit.SEED, seeds, seeds),
            counted("synthesize", Unit.ATTEMPT, 2 * seeds, 2 * seeds),
            counted("verify", Unit.TRAJECTORY, 2 * seeds, seeds),
            counted("curate", Unit.TRAJECTORY, seeds, seeds),
            counted("label", Unit.SEED, len(labelled), len(labelled)),
        ],
        "events": [
            Event(
                key=f"key-{n}",
                kind="chat",
                purpose="episode",
                provider=TEACHER,
                started=1e9 + n,
                latency_s=0.1,
                attempts=0 if n % 2 else 1,
                from_store=bool(n % 2),
                prompt_tokens=100,
                completion_tokens=10,
                cost=0.0 if n % 2 else 0.01,
                failure=FailureClass.TIMEOUT if n == 0 else None,
            )
            for n in range(4)
        ],
    }
    for table, records in tables.items():
        write(lake, run, table, records)
    return lake
