"""The table of what was learnt."""

import json
from pathlib import Path

from learn.results import WORLDS, evaluation, table


def kept(evals: Path, arm: str, time: int, right: int, wrong: int, unknown: int = 0) -> None:
    """An evaluation's results as `gog eval` writes them, for both worlds."""
    share = {"part": right, "whole": right + wrong, "value": right / (right + wrong)}
    behaviours = {
        "mix": {"gaze": share, "text": share | {"part": 0, "value": 0.0}},
        "turns": 2.5,
        "searches": 1.5,
        "gaze_useful": share,
    }
    grades = {"correct": right, "partial": 0, "incorrect": wrong, "not_attempted": 0, "unknown": unknown}
    policy = {"judged": {"grades": grades}, "behaviours": behaviours}
    for world in WORLDS:
        path = evals / evaluation(arm, time, world) / "results.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"benchmarks": {"held": {"paradigms": {"policy": policy}}}}))


def test_repetitions_are_added_up_and_each_is_named(tmp_path: Path) -> None:
    kept(tmp_path, "SFT", 0, 60, 40)
    kept(tmp_path, "SFT", 1, 50, 50)
    line = table(tmp_path, ["SFT"], 3).splitlines()[-1]
    assert line.startswith("| SFT | 2 | 55.0 (48.1 to 61.7): 60.0, 50.0 |")
    assert line.endswith("| 2.5 | 1.5 | 55 | gaze 55% |")


def test_what_nobody_could_settle_is_in_no_share(tmp_path: Path) -> None:
    kept(tmp_path, "without gaze", 0, 5, 5, unknown=7)
    assert "50.0 (23.7 to 76.3); 7 unknown" in table(tmp_path, ["without gaze"], 1)


def test_what_has_not_been_run_has_an_empty_line(tmp_path: Path) -> None:
    assert table(tmp_path, ["GRPO"], 3).splitlines()[-1] == "| GRPO | 0 | | | | | | |"
