"""The bundled world needs the gaze: without it, questions about one flag of several are mostly missed."""

from pathlib import Path

from bench.gaze_ablation import config_of, table, tries_of
from runs import select


def test_questions_about_one_of_several_flags_are_missed_without_a_gaze(tmp_path: Path) -> None:
    names = ("with gaze", "without")
    configs = {name: config_of(tmp_path / "lake", name, 40, seed=0) for name in names}
    results = {name: tries_of(config) for name, config in configs.items()}
    shares = {}
    for name, tries in results.items():
        pointing = [right for kind in ("gaze", "hop", "trap") for seed in tries[kind].values() for right in seed]
        glancing = [right for seed in tries["glance"].values() for right in seed]
        shares[name] = sum(pointing) / len(pointing)
        assert sum(glancing) > 0.7 * len(glancing), "the glance alone does for these"
    assert shares["with gaze"] > 0.5
    assert shares["without"] < 0.25
    assert select(configs["without"], "SELECT count(*) FROM evidence WHERE tool = 'gaze'") == [(0,)]
    offered = "SELECT count(*) FROM trajectories WHERE tools LIKE '%gaze%' OR messages LIKE '%gaze(%'"
    assert select(configs["without"], offered) == [(0,)]
    lines = table(results, 3).splitlines()
    assert len(lines) == 2 + 6
    assert all(line.count("|") == lines[0].count("|") for line in lines)
