"""Repositories that `datasets` opens: streamed once into the lake, no further than a limit, read in shards."""

from pathlib import Path
from typing import Any

import datasets
import published
import pytest

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.steps.ingest import Seeds
from gog.transforms.ingest.seeds import Ingested, to_seed
from gog.transforms.sources.formats import SourceError

MAPPING = {"question": "question", "answers": ["answers"], "image": "image", "columns": {"id": "id"}}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `push_to_hub` lays one out, with pictures in the way that `datasets` keeps them."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    images = [{"bytes": published.picture(n), "path": None} for n in range(30)]
    rows = [
        {"id": str(n), "question": f"What is {n}?", "answers": [f"a{n}"], "image": image}
        for n, image in enumerate(images)
    ]
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "question": datasets.Value("string"),
            "answers": datasets.List(datasets.Value("string")),
            "image": datasets.Image(),
        }
    )
    made = datasets.Dataset.from_list(rows, features=features)
    (tmp_path / "repo" / "data").mkdir(parents=True)
    made.select(range(20)).to_parquet(tmp_path / "repo" / "data" / "train-00000-of-00002.parquet")
    made.select(range(20, 30)).to_parquet(tmp_path / "repo" / "data" / "train-00001-of-00002.parquet")
    return tmp_path / "repo"


def config_of(repository: Path, **source: Any) -> Config:
    found = {"kind": "hf", "name": str(repository), "dataset": "mine", "mapping": MAPPING} | source
    return parse_config({"lake": str(repository.parent / "lake"), "shard_size": 7, "source": found})


def ids(config: Config) -> list[str]:
    seeds = Seeds.of(config)
    rows = [row for spec in seeds.rows.shards() for row in seeds.rows.read_shard(spec)]
    made = [to_seed(row, seeds.mapping, dataset=seeds.dataset, read_image=seeds.read_image) for row in rows]
    assert all(isinstance(one, Ingested) for one in made), made
    return [one.source_id or "" for one in made if isinstance(one, Ingested)]


def test_every_row_comes_with_its_picture(repository: Path) -> None:
    assert ids(config_of(repository)) == [str(n) for n in range(30)]


def test_what_is_in_the_lake_is_not_streamed_again(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Seeds.of(config_of(repository))

    def fail(*args: object, **options: object) -> None:
        raise AssertionError("streamed again")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    again = Seeds.of(config_of(repository))
    assert again.rows.signature() == first.rows.signature()
    assert ids(config_of(repository, where=["id~^1"])) == ["1", *map(str, range(10, 20))]


def test_a_limit_streams_no_more(repository: Path) -> None:
    assert ids(config_of(repository, limit=4)) == ["0", "1", "2", "3"]
    (part,) = (repository.parent / "lake" / "sources").rglob("*.parquet")
    assert len(datasets.Dataset.from_parquet(str(part))) == 4


@pytest.mark.parametrize("wrong", [{"split": "test"}, {"name": "/no/such/folder"}])
def test_what_cannot_be_opened_is_told_in_one_line(repository: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(SourceError) as caught:
        Seeds.of(config_of(repository, **wrong))
    assert "\n" not in str(caught.value)
    assert not list((repository.parent / "lake" / "sources").iterdir())
