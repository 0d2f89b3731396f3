"""What is read of a run for an audit."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lakes import make_seed, reflective, small_run, verdict_of, write

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web.records import groups_of, several_records
from gog.schemas import Method
from gog.schemas.rows import SchemaError
from gog.transforms.evaluate.audit import Group, Ruling


def test_verdicts_are_grouped_and_read_whole(tmp_path: Path) -> None:
    lake = small_run(tmp_path / "lake")
    groups = groups_of(lake, "small")
    assert set(groups.values()) == {
        Group(Ruling.ACCEPTED, Method.EXACT, ""),
        Group(Ruling.REJECTED, Method.NONE, "verify.wrong"),
    }
    names = sorted(groups)[:3]
    several = several_records(lake, "small", [*names, "trajectory-none"])
    assert sorted(several) == names
    for name, records in several.items():
        assert records.seed is not None
        assert records.verdict is not None
        assert (records.seed.seed_id, records.verdict.trajectory_id) == (records.trajectory.seed_id, name)
        assert {e for step in records.trajectory.steps for e in step.evidence_ids} <= set(records.evidence)
    assert groups_of(lake, "none") == {}


def test_what_was_not_bought_is_no_verdict_and_what_is_damaged_is_told(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    trajectory = reflective(make_seed(1, lake.images), lake.images).trajectory

    write(
        lake, "run", "verdicts", [verdict_of(trajectory, outcome="unknown", method="none", reasons=("budget.reached",))]
    )
    assert groups_of(lake, "run") == {}
    part = lake.part_path("run", "verdicts", "step", 0)
    table = pq.read_table(part)
    pq.write_table(table.set_column(table.column_names.index("method"), "method", pa.array(["guess"])), part)
    with pytest.raises(SchemaError, match="a verdict of the run run is damaged"):
        groups_of(lake, "run")
