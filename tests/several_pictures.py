"""Questions about several pictures of different shapes: seeds, episodes that look at each, and a run of them."""

from pathlib import Path
from typing import Any, Final

from lakes import EPISODE, TEACHER, Made, found, gaze, make_seed, picture, said, verdict_of, write

from gog.pipelines.lake.lake import Lake
from gog.schemas import Behaviour, Box, Curated, EpisodeImage, FurtherImage, Origin, Region, Seed, Split
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import act, observe, start, system_prompt
from gog.transforms.episode.tool import ToolResult
from gog.transforms.episode.trajectory import Making, images_of, make_trajectory
from gog.transforms.image_store import ImageStore

SIZES: Final = ((400, 300), (300, 400), (600, 200))
"""Of the pictures of a question, in order."""
BOXES: Final = ((0.1, 0.2, 0.3, 0.4), (0.6, 0.2, 0.8, 0.4), (0.5, 0.5, 0.75, 0.9))
"""The gaze on each."""
SEVERAL: Final = EPISODE.model_copy(update={"question_images": 3})


def seed_of(pictures: int, images: ImageStore, number: int = 0, **changes: Any) -> Seed:
    """A question about 1 to 3 pictures; they are in the store."""
    further = [
        FurtherImage(
            sha256=images.put(picture(*size, (number, 40 * place, 200)), "jpg"),
            width=size[0],
            height=size[1],
            phash=f"{place:016x}",
        )
        for place, size in enumerate(SIZES[1:pictures], 1)
    ]
    values = {"question": "Which of the flags is Kenya's?", "further_images": tuple(further)}
    return make_seed(number, images, **(values | changes))


def compared(seed: Seed, images: ImageStore) -> Made:
    """A glance at image 1, where there is one, a gaze at each picture, and the answer Kenya."""
    system, prompt_hash = system_prompt(SEVERAL, teacher=True)
    pictures = images_of(seed)
    episode = start(SEVERAL, seed.question, pictures, system)
    evidence = []
    if len(pictures) > 1:
        episode = act(episode, said("I begin with the second one.", ("image_search", '{"image": 1}')))
        glance = found("image_search", "A street", 0.2, pictures[1].sha256)
        evidence.append(glance.model_copy(update={"on_image": 1}))
        episode = observe(episode, ToolResult(evidence[-1]))
    for place, values in enumerate(BOXES[: len(pictures)]):
        name, arguments = gaze([round(1000 * value) for value in values], f"flag {place}")
        call = name, arguments.replace('"image": 0', f'"image": {place}')
        episode = act(episode, said(f"I look at image {place}.", call))
        sha256, box = images.put(picture(80, 60, (200, 60 * place, 0)), "jpg"), Box(*values)
        looked = found("gaze", f"Flag {place}", 0.9, sha256, box)
        evidence.append(looked.model_copy(update={"on_image": place}))
        crop = EpisodeImage(sha256=sha256, width=80, height=60, box=box, on_image=place)
        episode = observe(episode, ToolResult(evidence[-1], crop))
    episode = act(episode, said("Evidence: useful. This is it.", answer="Kenya"))
    making = Making(Origin.ROLLOUT, TEACHER, 0, {"episode/teacher": prompt_hash})
    return Made(make_trajectory(seed, Driven(episode, tuple(evidence)), making), tuple(evidence))


def regions_of(seed: Seed) -> list[Region]:
    """A region on each picture, which is no gaze's."""
    return [
        Region(
            region_id=f"region-{seed.seed_id}-{place}",
            seed_id=seed.seed_id,
            box=Box(0.2, 0.6, 0.4, 0.8),
            on_image=place,
            label=f"region on {place}",
            score=0.5,
            source="segments:1",
        )
        for place in range(len(seed.image_hashes))
    ]


def run_of_several(root: Path, run: str = "several") -> tuple[Lake, list[Made]]:
    """A run of three questions, about one, two and three pictures, each with one trajectory that is kept."""
    lake = Lake(root)
    seeds = [seed_of(pictures, lake.images, pictures) for pictures in (1, 2, 3)]
    made = [compared(seed, lake.images) for seed in seeds]
    trajectories = [one.trajectory for one in made]
    write(lake, run, "seeds", seeds)
    write(lake, run, "regions", [region for seed in seeds for region in regions_of(seed)])
    write(lake, run, "trajectories", trajectories)
    write(lake, run, "evidence", [*{item.evidence_id: item for one in made for item in one.evidence}.values()])
    write(lake, run, "verdicts", [verdict_of(trajectory) for trajectory in trajectories])
    kept = [
        Curated(
            trajectory_id=trajectory.trajectory_id,
            seed_id=trajectory.seed_id,
            split=Split.TRAIN,
            behaviour=Behaviour.GAZE,
            origin=trajectory.origin,
        )
        for trajectory in trajectories
    ]
    write(lake, run, "curated", kept)
    return lake, made
