"""`gog ingest` over published sets: counts, rejects with reasons, options that select rows, a second run."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import published
import pytest
import yaml
from calling import Gog

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import STEP_TABLES, Lake
from gog.pipelines.steps import ingest as ingesting
from gog.schemas import FailureClass, Reject, Seed
from gog.transforms.images import ImageLimits
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.search.fetched_images import Fetch, FetchedImages


def config(tmp_path: Path, source: dict[str, Any], **more: Any) -> str:
    path = tmp_path / "config.yaml"
    made = {"run": "r", "lake": str(tmp_path / "lake"), "shard_size": 4, "source": source} | more
    path.write_text(yaml.safe_dump(made))
    return str(path)


def found(tmp_path: Path) -> tuple[list[Seed], Counter[str]]:
    """Seeds and reasons of rejects of the run."""
    lake = Lake(tmp_path / "lake", create=False)
    shards = range(len(lake.parts("r", "funnel", "ingest")))
    seeds = [seed for shard in shards for seed in lake.read_table("r", "seeds", Seed, "ingest", shard)]
    rejects = [reject for shard in shards for reject in lake.read_table("r", "rejects", Reject, "ingest", shard)]
    return seeds, Counter(reject.reason for reject in rejects)


def contents(tmp_path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every part that ingest wrote, and of every image."""
    lake = Lake(tmp_path / "lake", create=False)
    parts = [path for table in STEP_TABLES["ingest"] for path in lake.parts("r", table, "ingest")]
    places = [*parts, *(tmp_path / "lake" / "images").rglob("*.*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in places}


def test_livevqa_twice(gog: Gog, tmp_path: Path) -> None:
    made = config(tmp_path, {"kind": "livevqa", "path": str(published.livevqa(tmp_path / "live"))})
    assert gog("ingest", "-c", made).code == 0
    seeds, rejects = found(tmp_path)
    assert (len(seeds), len({seed.image_sha256 for seed in seeds}), rejects) == (12, 6, {})
    assert sum(path.is_file() for path in (tmp_path / "lake" / "images").rglob("*.*")) == 6
    before = contents(tmp_path)
    assert gog("ingest", "-c", made).code == 0
    assert contents(tmp_path) == before


def test_options_select_rows(gog: Gog, tmp_path: Path) -> None:
    made = config(tmp_path, {"kind": "livevqa", "path": str(published.livevqa(tmp_path / "live"))})
    assert gog("ingest", "-c", made, "--where", "level=1", "--where", "subset!=Video", "--limit", "3").code == 0
    seeds, _ = found(tmp_path)
    assert [(seed.extra["subset"], seed.extra["level"]) for seed in seeds] == [("News", 1), ("News", 1), ("Paper", 1)]
    wrong = gog("ingest", "-c", made, "--run", "other", "--where", "nothing")
    assert (wrong.code, "no condition" in wrong.err) == (2, True)


class Web:
    """Gives pictures, except what is out of order."""

    down: bool = True

    def __call__(self, limits: ImageLimits, timeout_s: float) -> Fetch:
        async def fetch(url: str) -> bytes:
            if url.endswith("_0.jpeg"):
                raise ServiceError(FailureClass.NOT_FOUND, "404")
            if url.endswith("_1.jpeg") and Web.down:
                raise ServiceError(FailureClass.TIMEOUT, "no answer")
            return b"a web page" if url.endswith("_3.jpeg") else published.picture(int(url[-6]))

        return fetch


def test_pictures_by_address(gog: Gog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = published.dynvqa_rows()
    rows += [{**rows[2], "question_id": "en3", "image_url": rows[2]["image_url"].replace("_2", "_3")}]
    published.lines(tmp_path / "DynVQA_en.202412.jsonl", rows)
    made = config(tmp_path, {"kind": "dynvqa", "path": str(tmp_path / "DynVQA_en.202412.jsonl")})

    def fetched(config: Config) -> FetchedImages:
        return FetchedImages(Path(config.lake) / "fetched", retry=Retry(attempts=1), make_fetch=Web())

    monkeypatch.setattr(ingesting, "fetched_images", fetched)
    monkeypatch.setattr(Web, "down", True)
    assert gog("ingest", "-c", made).code == 0
    seeds, rejects = found(tmp_path)
    assert sorted(str(seed.extra["source_id"]) for seed in seeds) == ["en2"]
    gone = {"ingest.image_gone": 1, "ingest.image_unreadable": 1}
    assert rejects == gone | {"ingest.image_unavailable": 1}
    monkeypatch.setattr(Web, "down", False)
    assert gog("ingest", "-c", made).code == 0, "what may pass is asked for again"
    seeds, rejects = found(tmp_path)
    assert sorted(str(seed.extra["source_id"]) for seed in seeds) == ["en1", "en2"]
    assert rejects == gone
    before = contents(tmp_path)
    assert gog("ingest", "-c", made).code == 0
    assert contents(tmp_path) == before, "what is gone for good is not"


REAL = os.environ.get("GOG_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="GOG_REAL_DATA is not set")
@pytest.mark.parametrize(
    ("source", "seeds", "images"),
    [
        ({"kind": "livevqa", "path": "livevqa"}, 92, 46),
        ({"kind": "fvqa", "path": "infoseek/mmsearch_r1_mini_data.parquet", "dataset": "infoseek"}, 5, 5),
    ],
)
def test_real_rows(gog: Gog, tmp_path: Path, source: dict[str, str], seeds: int, images: int) -> None:
    made = config(tmp_path, source | {"path": str(Path(REAL) / source["path"])}, shard_size=40)
    assert gog("ingest", "-c", made).code == 0
    kept, rejects = found(tmp_path)
    assert (len(kept), len({seed.image_sha256 for seed in kept}), rejects) == (seeds, images, {})
    before = contents(tmp_path)
    assert gog("ingest", "-c", made).code == 0
    assert contents(tmp_path) == before
