"""Real photographs go through the engine: news pictures of a published benchmark, searched in an index of their own.

The planner knows flags. It cannot answer these questions, and must not seem to: every attempt ends with its evidence
kept and its reason given.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from runs import check_nothing_lost, exported, number, select

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.steps.run import run
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.gallery import build_gallery

DATA = os.environ.get("GOG_REAL_DATA", "")
NEWS = Path(DATA) / "livevqa" / "News"

pytestmark = pytest.mark.skipif(not DATA, reason="GOG_REAL_DATA is not set: it names a folder of published seed rows")


def caption(item: dict[str, Any]) -> str:
    return f"Photograph {item['id']} of {item['source']}, {item['time'][:10]}"


def build_index(items: list[dict[str, Any]], folder: Path) -> None:
    """An index of the pictures and their captions: where and when they were published, not what they show."""
    build_gallery(
        (
            (f"news://{item['id']}", caption(item), caption(item), (NEWS / "News_imgs" / item["img_path"]).read_bytes())
            for item in items
        ),
        folder / "gallery",
        name="news",
    )
    build_corpus(
        (
            (f"news://{item['id']}", caption(item), f"{caption(item)}. It was published by {item['source']}.")
            for item in items
        ),
        folder / "corpus",
        name="news",
    )


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run over the 30 news items."""
    folder = tmp_path_factory.mktemp("news")
    build_index(json.loads((NEWS / "benchmark.json").read_text("utf-8")), folder / "index")
    config = parse_config(
        {
            "run": "news",
            "lake": str(folder / "lake"),
            "source": {
                "kind": "json",
                "path": str(NEWS / "benchmark.json"),
                "dataset": "livevqa-news",
                "image_root": str(NEWS / "News_imgs"),
                "mapping": {
                    "question": "level1_qa.question",
                    "answers": ["level1_qa.Ground_Truth_List"],
                    "image": "img_path",
                    "columns": {"id": "id", "category": "level1_qa.question_type", "source_url": "level1_qa.img_url"},
                    "constants": {"licence": "of their publishers; for tests alone"},
                },
            },
            "text_search": f"corpus:{folder / 'index'}",
            "image_search": f"gallery:{folder / 'index'}",
            "label": {"k": 2},
        }
    )
    run(config)
    return config


def test_all_are_ingested_screened_and_attempted(news: Config) -> None:
    funnel = check_nothing_lost(news, rows=30)
    assert funnel["ingest", "row"] == (30, 30, 0)
    assert funnel["screen", "seed"] == (30, 30, 0)
    assert funnel["synthesize", "attempt"][0] == 30 * news.synthesize.attempts


def test_regions_are_proposed_and_searched(news: Config) -> None:
    assert number(news, "SELECT count(DISTINCT seed_id) FROM regions") >= 20
    tools = dict(select(news, "SELECT tool, count(*) FROM evidence GROUP BY tool"))
    assert tools["image_search"] == 30
    assert tools["gaze"] >= 30
    # A whole picture finds itself: the index holds it.
    found = select(
        news,
        """
        SELECT json_extract_string(hits, '$[0].url') = 'news://' || json_extract_string(extra, '$.source_id')
        FROM evidence e JOIN seeds s ON e.image_sha256 = s.image_sha256 WHERE tool = 'image_search'
        """,
    )
    assert found == [(True,)] * 30


def test_the_planner_answers_none_of_them_and_every_attempt_has_its_reason(news: Config) -> None:
    assert select(news, "SELECT DISTINCT outcome FROM verdicts") == [("wrong",)]
    assert number(news, "SELECT count(*) FROM curated") == 0
    attempts = number(news, "SELECT count(*) FROM rejects WHERE stage IN ('synthesize', 'verify')")
    assert attempts == 30 * news.synthesize.attempts
    reasons = dict(select(news, "SELECT reason, count(*) FROM rejects WHERE stage <> 'ingest' GROUP BY reason"))
    assert set(reasons) <= {
        "verify.wrong", "compose.no_plan", "compose.off_plan", "episode.out_of_turns", "label.unsolvable",
    }  # fmt: skip
    assert exported(news, "sft") == []
    assert exported(news, "rl") == []


def test_the_evidence_of_every_attempt_is_kept(news: Config) -> None:
    named = "SELECT unnest(json_extract_string(steps, '$[*].evidence_ids[*]')) AS evidence_id FROM trajectories"
    assert select(news, f"SELECT * FROM ({named}) ANTI JOIN evidence USING (evidence_id)") == []
    without = """
        SELECT seed_id FROM seeds WHERE image_sha256 NOT IN (SELECT image_sha256 FROM evidence
        WHERE image_sha256 IS NOT NULL)
    """
    assert select(news, without) == []
