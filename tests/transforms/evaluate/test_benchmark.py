"""Benchmarks of others: one object, and it loads, is scored and gives seeds as ours do."""

from collections.abc import Iterator
from pathlib import Path

import published
import pytest

from gog.pipelines.config.config import ConfigError, parse_config
from gog.pipelines.config.sources import PublishedSource
from gog.pipelines.evaluate.run import Bench
from gog.pipelines.sources.published import PublishedRows
from gog.transforms.evaluate.benchmark import BENCHMARKS, protocol_named
from gog.transforms.evaluate.items import BenchItem
from gog.transforms.evaluate.loading import load_benchmark
from gog.transforms.evaluate.summary import summarise

PLUGIN = Path(__file__).parents[3] / "examples" / "plugin" / "src"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of the example's benchmark, the example being installed."""
    info = tmp_path / "site" / "gog_example-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gog-example\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[gog.benchmarks]\nshop = gog_example.benchmark:shop\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(PLUGIN)
    (tmp_path / "1.jpg").write_bytes(published.picture(1))
    row = {"id": "a", "question": "What is sold here?", "answer": ["Tea", "Green tea"], "image": "1.jpg"}
    BENCHMARKS.__dict__.pop("_theirs", None)
    yield published.lines(tmp_path / "shop.jsonl", [row, row | {"id": "b"}])
    BENCHMARKS.__dict__.pop("_theirs", None)


def test_an_installed_benchmark_loads_and_is_scored(shop: Path) -> None:
    assert str(BENCHMARKS.origin("shop")) == "gog-example 0.1.0"
    items = [item for item in load_benchmark("shop", str(shop)) if isinstance(item, BenchItem)]
    assert [(item.item_id, item.answers, item.image) for item in items] == [
        (name, ("Tea", "Green tea"), published.picture(1)) for name in ("a", "b")
    ]
    protocol = protocol_named("shop")
    scores = [protocol.score(item, said) for item, said in zip(items, ("green TEA", "coffee"), strict=True)]
    name, estimate = summarise(scores).headline
    assert (name, estimate.value) == ("exact", 0.5)
    assert Bench.parse(f"shop={shop}") == Bench("shop", str(shop), "test")


def test_an_installed_benchmark_is_a_source_of_seeds(shop: Path) -> None:
    config = parse_config({"source": {"kind": "shop", "path": str(shop)}})
    assert isinstance(config.source, PublishedSource)
    rows = PublishedRows(config.source, 100)
    seeds = [row for spec in rows.shards() for row in rows.read_shard(spec)]
    assert [row.data["question"] for row in seeds] == ["What is sold here?"] * 2


@pytest.mark.parametrize("kind", ["shop", "atlass"])
def test_a_kind_that_nobody_has_is_refused_with_those_there_are(kind: str) -> None:
    with pytest.raises(
        ConfigError, match=f"'{kind}' is no kind of source; (there are atlas, hf, jsonl.*infoseek|did you mean)"
    ):
        parse_config({"source": {"kind": kind, "path": "x.jsonl"}})
