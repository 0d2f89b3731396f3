"""The list of stages under Beam and in the preview: filters after each stage, and a funnel that adds up."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from calling import SMALL
from rich.console import Console
from runs import atlas

from gog.pipelines.config.config import Config, fingerprint
from gog.pipelines.connect.services import close_stores
from gog.pipelines.lake.lake import Lake
from gog.pipelines.rehearse.preview import preview
from gog.pipelines.rehearse.transcript import Teller
from gog.pipelines.steps.run import run
from gog.schemas import Curated, Reject, Screening, Seed, StageCount, Trajectory, Verdict
from gog.transforms.filters.use import FilterError

FILTERS = """
def odd(text):
    return int(text[-1], 16) % 2
def seed_odd(seed):
    return "an odd image" if int(seed.image_sha256[-1], 16) % 3 == 0 else None
def screened_odd(seed):
    return "an odd seed" if odd(seed.seed_id) else None
def no_gaze(seed, trajectory, verdict):
    assert verdict.trajectory_id == trajectory.trajectory_id and trajectory.seed_id == seed.seed_id
    return "it gazed" if trajectory.behaviour == "gaze" else None
def nothing_direct(seed, trajectory, verdict):
    return "it is odd"
def odd_trajectory(seed, trajectory, verdict):
    return "an odd trajectory" if odd(trajectory.trajectory_id) else None
def torn(seed):
    raise KeyError("no such thing")
"""
USES = [
    "run_filters:seed_odd",
    {"use": "run_filters:screened_odd", "after": "screen"},
    {"use": "run_filters:no_gaze", "after": "verify"},
    {"use": "run_filters:nothing_direct", "after": "curate"},
]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    (tmp_path / "run_filters.py").write_text(FILTERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "run_filters", raising=False)
    yield atlas(tmp_path / "lake", count=40, shard_size=40, filters=USES, **SMALL)
    close_stores()


def test_filters_after_each_stage_leave_a_funnel_that_adds_up(config: Config) -> None:
    run(config)  # raises FunnelError where rows were lost
    lake = Lake(Path(config.lake))
    rejects = [one for one in lake.read_table(config.run, "rejects", Reject) if one.reason.startswith("filter.")]
    assert {(one.stage, one.reason, one.detail) for one in rejects} == {
        ("ingest", "filter.seed_odd", "an odd image"),
        ("screen", "filter.screened_odd", "an odd seed"),
        ("verify", "filter.no_gaze", "it gazed"),
        ("curate", "filter.nothing_direct", "it is odd"),
    }
    left = {stage: {one.id for one in rejects if one.stage == stage} for stage in ("screen", "verify", "curate")}
    seeds = lake.read_table(config.run, "seeds", Seed)
    assert all(int(seed.image_sha256[-1], 16) % 3 for seed in seeds)
    assert not left["screen"] & {one.seed_id for one in lake.read_table(config.run, "screenings", Screening)}
    verdicts = {one.trajectory_id: one.reasons for one in lake.read_table(config.run, "verdicts", Verdict)}
    assert all(verdicts[trajectory_id] == ("filter.no_gaze",) for trajectory_id in left["verify"])
    kept = {one.trajectory_id for one in lake.read_table(config.run, "curated", Curated)}
    assert not kept & (left["verify"] | left["curate"])
    counts = {(c.stage, c.unit): c for c in lake.read_table(config.run, "funnel", StageCount)}
    assert sum(c.passed for (stage, _), c in counts.items() if stage == "curate") == len(kept)


def odd(name: str) -> int:
    return int(name[-1], 16) % 2


def test_a_filter_after_curate_turns_away_what_it_objects_to_and_nothing_else(config: Config) -> None:
    uses = [{"use": "run_filters:odd_trajectory", "after": "curate"}]
    config = atlas(config.lake, count=40, shard_size=20, filters=uses, **SMALL)
    run(config)
    lake = Lake(Path(config.lake))
    rejects = [one for one in lake.read_table(config.run, "rejects", Reject) if one.stage == "curate"]
    refused = {one.id for one in rejects if one.reason == "filter.odd_trajectory"}
    kept = {one.trajectory_id for one in lake.read_table(config.run, "curated", Curated)}
    assert refused
    assert kept
    assert {odd(name) for name in refused} == {1}
    assert {odd(name) for name in kept} == {0}
    counts = [one for one in lake.read_table(config.run, "funnel", StageCount) if one.stage == "curate"]
    entered, passed = sum(one.entered for one in counts), sum(one.passed for one in counts)
    assert passed == len(kept)
    assert entered == passed + len(rejects)
    verified = [one for one in lake.read_table(config.run, "verdicts", Verdict) if not one.reasons]
    assert entered == len(verified)


class Recorder(Teller):
    """A teller that notes why trajectories leave, by their ids."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.reasons: dict[str, tuple[str, ...]] = {}

    def verdict(self, trajectory: Trajectory, verdict: Verdict) -> None:
        self.reasons[trajectory.trajectory_id] = verdict.reasons
        super().verdict(trajectory, verdict)


def test_the_preview_runs_them_too_and_comes_to_the_same(config: Config) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    recorder = Recorder(console)
    preview(config, 6, recorder)
    text = console.export_text()
    assert "filter.seed_odd: an odd image" in text
    assert "filter.screened_odd: an odd seed" in text
    run(config)
    verdicts = Lake(Path(config.lake)).read_table(config.run, "verdicts", Verdict)
    of_run = {one.trajectory_id: one.reasons for one in verdicts if one.trajectory_id in recorder.reasons}
    assert of_run == recorder.reasons
    assert {("filter.no_gaze",), ()} <= set(of_run.values())


def test_a_broken_filter_stops_the_run_by_name(config: Config) -> None:
    broken = atlas(config.lake, count=4, shard_size=4, filters=["run_filters:torn"], **SMALL)
    with pytest.raises(FilterError, match=r"the filter 'torn' failed on .*KeyError: 'no such thing'"):
        run(broken)


def test_filters_are_in_the_fingerprint_only_where_there_are_any(config: Config, tmp_path: Path) -> None:
    plain = config.model_copy(update={"filters": ()})
    assert fingerprint(plain) == fingerprint(atlas(config.lake, count=40, shard_size=40, **SMALL))
    assert fingerprint(plain) != fingerprint(config)
    before = fingerprint(config)
    import gog.transforms.open_set as sets

    sets._digest.cache_clear()
    (tmp_path / "run_filters.py").write_text(FILTERS + "# edited\n")
    assert fingerprint(config) != before
    sets._digest.cache_clear()
