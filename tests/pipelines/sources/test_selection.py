"""Selection of rows: limit, sample and conditions, in shards that read the same alone."""

from pathlib import Path
from typing import Any

import published
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.pipelines.config.sources import Selection
from gog.pipelines.sources.files import FileRows, ShardSpec
from gog.pipelines.sources.selection import Condition, Selected
from gog.transforms.sources.mapping import MappingError, SourceRow

ROWS: list[dict[str, Any]] = [
    {"n": n, "kind": ("a", "b", "c")[n % 3], "tags": ["odd"] if n % 2 else ["even", "whole"]} for n in range(100)
]


def selected(tmp_path: Path, shard_rows: int = 10, seed: int = 0, **selection: Any) -> Selected:
    path = published.lines(tmp_path / "rows.jsonl", ROWS)
    return Selected(FileRows(str(path), "jsonl", shard_rows), Selection(**selection), seed, shard_rows)


def numbers(source: Selected) -> list[int]:
    """Read shard by shard, each from its JSON and the last first."""
    specs = [ShardSpec.model_validate_json(spec.model_dump_json()) for spec in source.shards()]
    assert [spec.shard for spec in specs] == list(range(len(specs)))
    read = {spec.shard: [int(row.data["n"]) for row in source.read_shard(spec)] for spec in reversed(specs)}
    assert [len(read[spec.shard]) for spec in specs] == [spec.rows for spec in specs]
    return [number for shard in sorted(read) for number in read[shard]]


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 99, 100, 1000])
def test_a_limit_takes_the_first(tmp_path: Path, limit: int) -> None:
    assert numbers(selected(tmp_path, limit=limit)) == list(range(min(limit, 100)))


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (["kind=a"], [n for n in range(100) if n % 3 == 0]),
        (["kind!=a"], [n for n in range(100) if n % 3]),
        (["kind~^[ab]$"], [n for n in range(100) if n % 3 < 2]),
        (["kind !~ [ab]"], [n for n in range(100) if n % 3 == 2]),
        (["n=7"], [7]),
        (["tags=whole"], [n for n in range(100) if n % 2 == 0]),
        (["tags!=odd", "kind=b"], [n for n in range(100) if n % 2 == 0 and n % 3 == 1]),
        (["kind=z"], []),
    ],
)
def test_conditions(tmp_path: Path, where: list[str], wanted: list[int]) -> None:
    assert numbers(selected(tmp_path, where=where)) == wanted


def test_a_limit_counts_what_is_wanted(tmp_path: Path) -> None:
    assert numbers(selected(tmp_path, where=["kind=a"], limit=5)) == [0, 3, 6, 9, 12]


def test_a_sample_is_stable_and_follows_the_seed(tmp_path: Path) -> None:
    half = numbers(selected(tmp_path, sample=0.5))
    assert 30 < len(half) < 70
    assert half == numbers(selected(tmp_path, sample=0.5, shard_rows=33)), "whatever the shards"
    assert half != numbers(selected(tmp_path, sample=0.5, seed=1))
    assert set(numbers(selected(tmp_path, sample=0.2))) < set(half), "a smaller share is a part of a larger one"
    assert numbers(selected(tmp_path, sample=1.0)) == list(range(100))


def test_shards_with_few_wanted_rows_are_put_together(tmp_path: Path) -> None:
    assert len(list(selected(tmp_path, where=["n~5$"]).shards())) == 1
    assert len(list(selected(tmp_path, where=["kind!=z"]).shards())) == 10


def test_rows_that_cannot_be_read_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind": "a"}\nbroken\n{"kind": "b"}\n')
    source = Selected(FileRows(str(path), "jsonl", 10), Selection(where=("kind=b",)), 0, 10)
    rows = [row for spec in source.shards() for row in source.read_shard(spec)]
    assert [bool(row.error) for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("where", "said"), [("kind", "no condition"), ("kind~(", "regular expression"), ("king=a", "'king'.*kind")]
)
def test_wrong_conditions_are_told_in_one_line(tmp_path: Path, where: str, said: str) -> None:
    with pytest.raises(MappingError, match=said) as caught:
        list(selected(tmp_path, where=[where]).shards())
    assert "\n" not in str(caught.value)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_condition_and_its_contrary_split_all_rows(value: str, cell: str) -> None:
    row = SourceRow("x#1", {"c": cell})
    one, other = Condition(f"c={value}"), Condition(f"c!={value}")
    assert one.holds(row) is not other.holds(row)
    assert one.holds(row) is (cell == value.strip())
