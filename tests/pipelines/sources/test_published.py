"""Published sets as sources of seeds: all questions, in shards, with what the set knows of them."""

import tarfile
from pathlib import Path
from typing import Any

import published
import pytest

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.steps.ingest import Seeds
from gog.schemas import AnswerType, Reject
from gog.transforms.ingest.seeds import Ingested, to_seed
from gog.transforms.sources.formats import SourceError
from gog.transforms.sources.mapping import MappingError
from gog.transforms.sources.picture_files import OvenImages


def config_of(tmp_path: Path, source: dict[str, Any], shard_size: int = 3) -> Config:
    return parse_config({"lake": str(tmp_path / "lake"), "shard_size": shard_size, "source": source})


def seeds_of(tmp_path: Path, source: dict[str, Any], shard_size: int = 3) -> list[Ingested | Reject]:
    seeds = Seeds.of(config_of(tmp_path, source, shard_size))
    found: list[Ingested | Reject] = []
    for spec in seeds.rows.shards():
        rows = list(seeds.rows.read_shard(spec))
        assert len(rows) == spec.rows
        found += (
            to_seed(row, seeds.mapping, dataset=seeds.dataset, version=seeds.version, read_image=seeds.read_image)
            for row in rows
        )
    return found


def good(found: list[Ingested | Reject]) -> list[Ingested]:
    assert all(isinstance(one, Ingested) for one in found), found
    return [one for one in found if isinstance(one, Ingested)]


def test_fvqa(tmp_path: Path) -> None:
    rows = [published.fvqa_row(n, category="search_required", data_id=f"fvqa_train_{n}") for n in range(5)]
    path = published.table(tmp_path / "fvqa_train.parquet", rows)
    seeds = good(seeds_of(tmp_path, {"kind": "fvqa", "path": str(path)}))
    assert len(seeds) == 5
    seed = seeds[0].seed
    assert (seed.dataset, seed.category, seed.licence) == ("fvqa", "search_required", "apache-2.0")
    assert seed.answers == ("The tower 0", "Tower 0", "T0")
    assert seeds[0].source_id == "fvqa_train_0"
    kept = {"kind": "fvqa", "path": str(path), "where": ["data_id~_[12]$"]}
    assert len(seeds_of(tmp_path, kept)) == 2, "conditions are on the source's own columns"


def test_infoseek_with_entities_and_pictures_from_a_tar(tmp_path: Path) -> None:
    path = published.infoseek(tmp_path)
    with tarfile.open(tmp_path / "images.tar", "w") as tar:
        tar.add(tmp_path / "oven_images", "oven_images")
    source = {"kind": "infoseek", "path": str(path), "images": str(tmp_path / "images.tar")}
    found = seeds_of(tmp_path, source | {"with_kb": str(tmp_path / "infoseek_val_withkb.jsonl")})
    seeds = good(found[:3])
    assert isinstance(found[3], Reject)
    assert found[3].reason == "ingest.image_unreadable"
    assert [one.seed.entity for one in seeds] == ["Entity 0", "Entity 1", "Entity 2"]
    number = seeds[1].seed
    assert (number.answer_type, number.answer_low, number.answer_high) == (AnswerType.NUMBER, 90.0, 110.0)
    assert seeds[0].seed.extra["unseen"] == "question"


def test_infoseek_without_pictures_rejects_every_row(tmp_path: Path) -> None:
    found = seeds_of(tmp_path, {"kind": "infoseek", "path": str(published.infoseek(tmp_path))})
    assert [one.reason for one in found if isinstance(one, Reject)] == ["ingest.image_unreadable"] * 4


@pytest.mark.parametrize("shard_size", [1, 3, 100])
def test_livevqa_gives_two_questions_a_row(tmp_path: Path, shard_size: int) -> None:
    source = {"kind": "livevqa", "path": str(published.livevqa(tmp_path / "live"))}
    seeds = good(seeds_of(tmp_path, source, shard_size))
    assert len(seeds) == len({one.seed.seed_id for one in seeds}) == 12
    assert [one.seed.extra["level"] for one in seeds] == [1, 2] * 6
    assert len({one.seed.image_sha256 for one in seeds}) == 6
    assert seeds[0].seed.extra["choice"] == "B"
    assert len(seeds_of(tmp_path, source | {"where": ["level=2", "subset=News"]}, shard_size)) == 2


def test_a_broken_livevqa_row_counts_as_both_questions(tmp_path: Path) -> None:
    folder = published.livevqa(tmp_path / "live", rows=1)
    (folder / "News" / "benchmark.json").write_text('[{"id": 1,}, 7]')
    found = seeds_of(tmp_path, {"kind": "livevqa", "path": str(folder)})
    assert len(found) == 8
    assert sum(isinstance(one, Reject) for one in found) == 4


def test_simplevqa_and_mmsearch(tmp_path: Path) -> None:
    path = published.table(tmp_path / "s.parquet", [published.simplevqa_row(1), published.simplevqa_row(2, "CN")])
    seeds = good(seeds_of(tmp_path, {"kind": "simplevqa", "path": str(path)}))
    assert [one.seed.language for one in seeds] == ["en", "zh"]
    rows = [published.mmsearch_row(n, pictured=n != 1) for n in range(3)]
    path = published.mmsearch(tmp_path / "m.parquet", rows)
    found = seeds_of(tmp_path, {"kind": "mmsearch", "path": str(path)})
    assert [isinstance(one, Reject) for one in found] == [False, True, False]


def test_changed_columns_are_refused(tmp_path: Path) -> None:
    row = published.fvqa_row(1)
    row["pictures"] = row.pop("images")
    path = published.table(tmp_path / "t.parquet", [row])
    with pytest.raises(MappingError, match=r"'images' of fvqa \(lmms-lab/FVQA@bb4a"):
        Seeds.of(config_of(tmp_path, {"kind": "fvqa", "path": str(path)}))


def test_oven_images_need_a_place(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        OvenImages(str(tmp_path / "nowhere.tar"))
    (tmp_path / "images.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(SourceError):
        OvenImages(str(tmp_path / "images.tar"))("oven_1")
