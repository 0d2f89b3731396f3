"""A lake with turns of several calls: views, browser, corrections, and the exports of every trainer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lakes import EPISODE, Made, found, make_seed, picture, said, small_run, source_of, verdict_of, write
from viewing import viewed, with_manifest

from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_sft
from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.reviews import honour
from gog.pipelines.show.trajectory import Records, view_of
from gog.pipelines.views.database import open_lake
from gog.schemas import WHOLE, Box, Curated, EpisodeImage, Evidence, Origin, Seed, Split, Trajectory
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import act, observe, start, system_prompt
from gog.transforms.episode.tool import ToolResult
from gog.transforms.episode.trajectory import Making, make_trajectory
from gog.transforms.export.rows import Reviewed
from gog.transforms.export.target import Target
from gog.transforms.image_store import ImageStore

LIMITS = EPISODE.model_copy(update={"calls_per_turn": 3})


def looked_twice(seed: Seed, images: ImageStore) -> Made:
    """Two gazes at once, the one into the crop of the other; a search by name; an answer."""
    original = EpisodeImage(sha256=seed.image_sha256, width=seed.width, height=seed.height, box=WHOLE)
    episode = start(LIMITS, seed.question, [original], system_prompt(LIMITS)[0])
    asked = [{"bbox_2d": [100, 200, 300, 400], "image": 0}, {"bbox_2d": [0, 0, 500, 500], "image": 1}]
    calls = tuple(said("", ("gaze", json.dumps(one))).tool_calls[0] for one in asked)
    turns = [
        said("I look at both.").model_copy(update={"tool_calls": calls}),
        said("Evidence: useful. I check the name.", ("text_search", '{"query": "Kenya flag"}')),
        said("Evidence: useful. This is it.", answer="Kenya"),
    ]
    evidence: list[Evidence] = []
    for turn in turns:
        episode = act(episode, turn)
        while (pending := episode.pending) is not None:
            crop = None
            if pending.box is not None:
                sha256 = images.put(picture(80, 60, (90, len(evidence), 7)), "jpg")
                crop = EpisodeImage(sha256=sha256, width=80, height=60, box=pending.box)
            title = f"Kenya {len(evidence)}"
            evidence.append(found(pending.tool.name, title, 0.9, crop.sha256 if crop else None, pending.box))
            episode = observe(episode, ToolResult(evidence[-1], crop))
    making = Making(Origin.ROLLOUT, "teacher", 7, {})
    return Made(make_trajectory(seed, Driven(episode, tuple(evidence)), making), tuple(evidence))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """The small run, and a seed more."""
    lake = with_manifest(small_run(tmp_path / "lake", 1), "small")
    seed = make_seed(50, lake.images)
    made = looked_twice(seed, lake.images)
    name, behaviour = made.trajectory.trajectory_id, made.trajectory.behaviour
    kept = Curated(
        trajectory_id=name, seed_id=seed.seed_id, split=Split.TRAIN, behaviour=behaviour, origin=Origin.ROLLOUT
    )
    tables: dict[str, Any] = {
        "seeds": [seed],
        "trajectories": [made.trajectory],
        "evidence": made.evidence,
        "verdicts": [verdict_of(made.trajectory)],
        "curated": [kept],
    }
    for table, records in tables.items():
        write(lake, "small", table, records, "more")
    return lake


def of(lake: Lake) -> Trajectory:
    return next(t for t in lake.read_table("small", "trajectories", Trajectory) if t.sample_index == 7)


def test_the_views_have_a_line_for_each_call(lake: Lake) -> None:
    name = of(lake).trajectory_id
    with open_lake(lake.run_folder("small")) as connection:
        turns = connection.execute(
            "SELECT turn, call, action, reflection FROM turns WHERE trajectory_id = ? ORDER BY turn, call", [name]
        ).fetchall()
        calls = connection.execute(
            "SELECT turn, call, best_title, judged FROM tool_calls WHERE trajectory_id = ? ORDER BY turn, call", [name]
        ).fetchall()
        taken = connection.execute("SELECT turns FROM overview WHERE trajectory_id = ?", [name]).fetchall()
        lines = connection.execute("SELECT turn, call, best_title FROM trajectory(?)", [name]).fetchall()
    assert turns == [
        (0, 0, "gaze", None),
        (0, 1, "gaze", None),
        (1, 0, "text_search", "useful"),
        (2, 0, "answer", "useful"),
    ]
    assert calls == [(0, 0, "Kenya 0", "useful"), (0, 1, "Kenya 1", "useful"), (1, 0, "Kenya 2", "useful")]
    assert taken == [(3,)]
    assert lines == [(0, 0, "Kenya 0"), (0, 1, "Kenya 1"), (1, 0, "Kenya 2"), (2, 0, None)]


def test_each_call_is_shown_with_what_came_back(lake: Lake) -> None:
    trajectory = of(lake)
    evidence = {one.evidence_id: one for one in lake.read_table("small", "evidence", Evidence)}
    view = view_of(Records(trajectory, evidence=evidence))
    assert [(turn.name, turn.key, turn.words) for turn in view.turns] == [
        ("1.1", "0", "I look at both."),
        ("1.2", "0.1", ""),
        ("2", "1", "Evidence: useful. I check the name."),
        ("3", "2", "Evidence: useful. This is it."),
    ]
    assert [(turn.hits[0].title, turn.crop is not None) for turn in view.turns[:3]] == [
        ("Kenya 0", True),
        ("Kenya 1", True),
        ("Kenya 2", False),
    ]
    assert [[said.turn for said in turn.reflections] for turn in view.turns] == [[2], [2], [3], []]
    assert (view.taken, [gaze.key for gaze in view.gazes]) == (3, ["0", "0.1"])


def test_a_person_corrects_the_box_of_one_call(lake: Lake) -> None:
    trajectory = of(lake)
    with viewed(lake.root) as view:
        page = view.get(f"/runs/small/t/{trajectory.trajectory_id}").text
        assert page.count('data-turn="0.1"') >= 2
        place = f"/runs/small/t/{trajectory.trajectory_id}/review"
        said_so = view.post(place, {"boxes": {"0.1": [0.5, 0.5, 0.9, 0.9], "0": [0.1, 0.1, 0.2, 0.2]}}).text
        assert "call 2" in said_so
        view.post(place, {"boxes": {"0": None}})
        reviews = view.viewer.lake.reviews("small")[trajectory.trajectory_id]
    ((box,),) = (review.boxes for review in reviews.values())
    assert (box.turn, box.call, box.box) == (0, 1, Box(0.5, 0.5, 0.9, 0.9))
    kept = honour(trajectory, reviews, Reviewed.PREFER)
    assert isinstance(kept, Trajectory)
    assert [step.train for step in kept.steps] == [False, False, True, True]


@pytest.mark.parametrize("form", [name for name in FORMATS if "sft" in FORMATS[name].kinds and name != "parquet"])
def test_every_trainer_gets_the_calls_and_their_results_in_order(lake: Lake, form: str) -> None:
    trajectory = of(lake)
    source = replace(source_of(lake), episode=LIMITS)
    done = export_sft(source, ExportRequest(target=Target(form, BACKBONES["qwen3-vl"])))
    text = "".join(path.read_bytes().decode("utf-8", "replace") for path in sorted(done.folder.rglob("*train*")))
    assert trajectory.trajectory_id in text
    text = text.replace(", ", ",")
    boxes = [text.index("100,200,300,400"), text.index("0,0,500,500")]
    results = [text.index(f"Kenya {number} |") for number in range(3)]
    assert boxes == sorted(boxes)
    assert boxes[1] < results[0]
    assert results == sorted(results)
