"""A run over published questions and pictures, which the folder of `GOG_REAL_DATA` holds."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from lakes import make_seed, reflective, verdict_of, write
from PIL import Image
from viewing import with_manifest

from gog.pipelines.lake.lake import Lake
from gog.schemas import Behaviour, Curated, Reject, Seed, Split, Unit
from gog.transforms.image_store import ImageStore

REAL = os.environ.get("GOG_REAL_DATA", "")


def real_run(root: Path, run: str = "real", most: int = 60) -> Lake:
    """A run of published questions with their pictures: two attempts each, one of them right and kept."""
    lake = Lake(root)
    seeds = [seed for seed, _ in zip(_seeds(lake.images), range(most), strict=False)]
    kept = [reflective(seed, lake.images, answer=seed.answers[0]) for seed in seeds]
    others = [reflective(seed, lake.images, answer="I could not find it", sample=1) for seed in seeds]
    made = [*kept, *others]
    ids = [m.trajectory.trajectory_id for m in others]
    wrong = [
        Reject.of("verify", Unit.TRAJECTORY, name, "verify.wrong", seed_id=seed.seed_id)
        for name, seed in zip(ids, seeds, strict=True)
    ]
    right = {"outcome": "correct", "method": "exact", "grounded": True, "gaze_useful": True, "reasons": ()}
    write(lake, run, "seeds", seeds)
    write(lake, run, "evidence", [*{e.evidence_id: e for m in made for e in m.evidence}.values()])
    write(lake, run, "trajectories", [m.trajectory for m in made])
    write(lake, run, "rejects", wrong)
    verdicts = [verdict_of(m.trajectory, **right) for m in kept] + [verdict_of(m.trajectory) for m in others]
    write(lake, run, "verdicts", verdicts)
    for_training = {"split": Split.TRAIN, "behaviour": Behaviour.MIXED}
    write(lake, run, "curated", [_curated(m.trajectory, **for_training) for m in kept])
    return with_manifest(lake, run)


def _curated(trajectory: Any, **more: Any) -> Curated:
    of = {name: getattr(trajectory, name) for name in ("trajectory_id", "seed_id", "origin")}
    return Curated(**of, **more)


def _seeds(images: ImageStore) -> Iterator[Seed]:
    rows = [*_infoseek(), *_live()]
    for number, (question, answers, data, category) in enumerate(rows):
        with Image.open(io.BytesIO(data)) as image:
            width, height, kind = *image.size, (image.format or "jpeg").lower().replace("jpeg", "jpg")
        if kind not in ("jpg", "png", "webp"):
            continue
        about: dict[str, Any] = {"question": question, "answers": answers, "category": category, "dataset": "real"}
        sha256 = images.put(data, kind)
        yield make_seed(number, images, **about, image_sha256=sha256, width=width, height=height, entity=answers[0])


def _infoseek() -> Iterator[tuple[str, tuple[str, ...], bytes, str]]:
    for row in pq.read_table(Path(REAL) / "infoseek" / "mmsearch_r1_mini_data.parquet").to_pylist():
        question = next(m["content"] for m in reversed(row["prompt"]) if m["role"] == "user")
        model = row["reward_model"]
        answers = dict.fromkeys((model["ground_truth"], *json.loads(model["candidate_answers"])))
        image = row["images"][0]
        yield str(question), tuple(map(str, answers)), image["bytes"] if isinstance(image, dict) else image, "infoseek"


def _live() -> Iterator[tuple[str, tuple[str, ...], bytes, str]]:
    for kind in ("News", "Paper", "Video"):
        folder = Path(REAL) / "livevqa" / kind
        pictures = {path.name: path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png")}
        for item in json.loads((folder / "benchmark.json").read_text("utf-8")):
            for level in ("level1_qa", "level2_qa"):
                asked = item.get(level)
                picture = asked and pictures.get(Path(asked["img_path"]).name)
                if picture and asked["Ground_Truth_List"]:
                    answers = tuple(map(str, asked["Ground_Truth_List"]))
                    yield asked["question"], answers, picture.read_bytes(), kind.lower()
