import json
import os
from pathlib import Path
from typing import Any

import pytest
from runs import number, select
from textures import jpeg, texture

from gog.pipelines.config.config import Config, ConfigError, parse_config
from gog.pipelines.lake.lake import Lake
from gog.pipelines.sources.benchmarks import benchmarks_of, rows_of
from gog.pipelines.steps.run import run
from gog.transforms.duplicates.benchmarks.settings import Against

NAMED = "How many goals had the team in the blue kit scored after the own goal by Ramy Bensebaini in Barcelona?"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three news items in LiveVQA's format, two questions each."""
    folder = tmp_path / "livevqa"
    pictures = folder / "News" / "News_imgs"
    pictures.mkdir(parents=True)
    items = []
    for item in range(3):
        (pictures / f"{item}.jpg").write_bytes(jpeg(texture(item)))
        asked = {
            "question": f"Based on the provided image, what is shown at place {item}?",
            "options": ["A. Paris", "B. Rome"],
            "Ground_Truth": "A",
            "Ground_Truth_List": ["Paris"],
            "question_type": "location",
            "img_path": f"{item}.jpg",
        }
        further = asked | {"question": NAMED if item == 2 else f"How many of them came to the {item}th meeting?"}
        items.append(
            {"id": str(item), "img_path": f"{item}.jpg", "level1_qa": asked, "level2_qa": further,
             "source": "CNN", "time": "2025-04-16T10:08:10.635Z"}
        )  # fmt: skip
    (folder / "News" / "benchmark.json").write_text(json.dumps(items))
    return folder


def config_of(folder: Path, rows: list[dict[str, Any]], against: list[dict[str, str]]) -> Config:
    for place, row in enumerate(rows):
        (folder / f"seed{place}.jpg").write_bytes(row.pop("picture"))
        row["image"] = f"seed{place}.jpg"
    (folder / "seeds.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return parse_config(
        {
            "run": "clean",
            "lake": str(folder / "lake"),
            "source": {"kind": "jsonl", "path": str(folder / "seeds.jsonl"), "dataset": "d", "mapping": {}},
            "decontaminate": {"against": against},
        }
    )


def test_seeds_of_a_benchmark_leave_at_ingest_with_the_row_named(tmp_path: Path, published: Path) -> None:
    twin = texture(1).crop((20, 10, 300, 220)).resize((200, 160))
    rows = [
        {"question": "What is this?", "answers": ["x"], "picture": jpeg(twin, 50)},
        {"question": NAMED.lower(), "answers": ["x"], "picture": jpeg(texture(50))},
        {"question": "Based on the provided image, what is shown?", "answers": ["Paris"],
         "picture": jpeg(texture(51))},
        {"question": "What is that?", "answers": ["y"], "picture": jpeg(texture(52))},
    ]  # fmt: skip
    config = config_of(tmp_path, rows, [{"benchmark": "livevqa", "path": str(published)}])
    run(config, steps=("ingest",))
    assert select(config, "SELECT entered, passed, rejected FROM funnel WHERE stage = 'ingest'") == [(4, 2, 2)]
    rejects = dict(select(config, "SELECT id, detail FROM rejects WHERE reason = 'ingest.benchmark_overlap'"))
    assert rejects["seeds.jsonl#1"].startswith("livevqa News/1/level1 (and 1 more row): image: ")
    assert rejects["seeds.jsonl#2"].startswith("livevqa News/2/level2: question: it shares ")
    assert number(config, "SELECT sum(seeds) FROM benchmark_warnings WHERE kind = 'answer'") == 1
    # Pictures of rejected seeds are not kept.
    assert len(list((tmp_path / "lake" / "images").rglob("*.jpg"))) == 2


def test_the_index_is_made_once_and_anew_when_the_files_change(tmp_path: Path, published: Path) -> None:
    config = config_of(tmp_path, [], [{"benchmark": "livevqa", "path": str(published)}])
    first = benchmarks_of(config)
    assert first is not None
    indexes = Lake(tmp_path / "lake").indexes
    made = {path: path.stat().st_mtime_ns for path in indexes.rglob("*")}
    again = benchmarks_of(config)
    assert again is not None
    assert again() is first()
    assert {path: path.stat().st_mtime_ns for path in indexes.rglob("*")} == made
    assert len(first().rows) == 6
    file = published / "News" / "benchmark.json"
    file.write_text(json.dumps(json.loads(file.read_text())[:2]))
    changed = benchmarks_of(config)
    assert changed is not None
    assert len(changed().rows) == 4


def test_without_benchmarks_nothing_is_made(tmp_path: Path) -> None:
    assert benchmarks_of(config_of(tmp_path, [], [])) is None
    assert not (tmp_path / "lake" / "indexes").exists()


@pytest.mark.parametrize(
    ("against", "says"),
    [
        ({"benchmark": "vqa"}, "'vqa' is no benchmark"),
        ({"benchmark": "dynvqa", "path": "nowhere.jsonl"}, "no such file"),
        ({"benchmark": "dynvqa"}, "give the path"),
    ],
)
def test_a_benchmark_that_is_not_there_is_told_in_one_line(tmp_path: Path, against: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=f"^decontaminate.against: .*{says}"):
        benchmarks_of(config_of(tmp_path, [], [against]))


@pytest.mark.slow
def test_the_bundled_world_keeps_apart_from_its_held_out_scenes(tmp_path: Path) -> None:
    config = parse_config(
        {
            "run": "apart",
            "lake": str(tmp_path / "lake"),
            "source": {"kind": "atlas", "count": 40},
            "decontaminate": {"against": [{"benchmark": "atlas"}]},
        }
    )
    run(config, steps=("ingest",))
    assert number(config, "SELECT count(*) FROM rejects WHERE reason = 'ingest.benchmark_overlap'") == 0
    assert number(config, "SELECT count(*) FROM seeds") >= 35


@pytest.mark.skipif(
    not os.environ.get("GOG_REAL_DATA"), reason="GOG_REAL_DATA is not set: it names a folder of published seed rows"
)
def test_real_benchmarks_can_be_indexed() -> None:
    data = Path(os.environ["GOG_REAL_DATA"])
    live = list(rows_of(Against(benchmark="livevqa", path=str(data / "livevqa"))))
    assert len(live) == 2 * (30 + 8 + 8)
    assert all(row.image for row in live)
    dyn = list(rows_of(Against(benchmark="dynvqa", path=str(data / "dynvqa" / "*.jsonl"))))
    assert len(dyn) > 40
    assert not any(row.image for row in dyn)
