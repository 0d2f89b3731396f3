"""`gog forget`: seeds, pictures and rows of a source leave a lake for good."""

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from calling import Gog, Place, place, tree

from gog.pipelines.cli.main import call
from gog.pipelines.connect.services import close_stores
from gog.pipelines.lake import disk
from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import ReviewBook
from gog.pipelines.tools import forget as at_work
from gog.pipelines.tools.forget_plan import Asked
from gog.schemas import TABLES
from gog.transforms.services.store.schema import FILE


def rows(made: Place, table: str) -> list[dict[str, Any]]:
    return [row for path in sorted((made.run / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that keeps several trajectories."""
    curate = {"splits": {"validation_share": 0.0, "rl_share": 0.0}}
    made = place(tmp_path_factory.mktemp("several"), curate=curate)
    for step in ("ingest", "synthesize", "curate"):
        assert call([step, "-c", str(made.config)]) == 0
    assert call(["export", "sft", "-c", str(made.config)]) == 0
    close_stores()
    return made


@pytest.fixture
def kept(several: Place, tmp_path: Path) -> Place:
    """The same, to be changed."""
    config = yaml.safe_load(several.config.read_text()) | {"lake": str(tmp_path / "lake")}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    shutil.copytree(several.lake, tmp_path / "lake")
    return Place(tmp_path / "lake", tmp_path / "tiny.yaml")


def told(gog: Gog, made: Place, *args: object) -> dict[str, Any]:
    done = gog("forget", "--lake", made.lake, "--json", *args)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def exported(made: Place) -> dict[str, Any]:
    """A row of the SFT export."""
    path = next((made.run / "exports" / "sft").rglob("*.parquet"))
    row: dict[str, Any] = pq.read_table(path, columns=["id", "seed_id", "image_sha256"]).to_pylist()[0]
    return row


def pictures(made: Place) -> set[str]:
    return {path.stem for path in (made.lake / "images").rglob("*") if path.is_file()}


def mentions(made: Place, text: str) -> list[str]:
    """Tables, and the store, in which a text stands."""
    found = [table for table in TABLES for row in rows(made, table) if text in json.dumps(row, default=str)]
    with sqlite3.connect(made.lake / "store" / FILE) as store:
        found += ["store" for (request,) in store.execute("SELECT request FROM answers") if text in str(request)]
    return found


def check_funnel(made: Place) -> None:
    """In = out + rejected at every stage, and what passed is what the tables hold."""
    rejected = Counter((row["stage"], row["unit"]) for row in rows(made, "rejects"))
    entered, passed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in rows(made, "funnel"):
        entered[row["stage"], row["unit"]] += row["entered"]
        passed[row["stage"], row["unit"]] += row["passed"]
    assert {key: passed[key] + rejected[key] for key in entered} == dict(entered)
    assert passed["ingest", "row"] == len(rows(made, "seeds"))
    assert passed["synthesize", "attempt"] == len(rows(made, "trajectories"))
    assert passed["curate", "trajectory"] == len(rows(made, "curated"))
    manifest = json.loads((made.run / "manifest.json").read_text())
    assert manifest["counts"]["ingest.row"] == passed["ingest", "row"]


def test_a_seed_is_nowhere_any_more(gog: Gog, copied: Place) -> None:
    row = exported(copied)
    seed, image = row["seed_id"], row["image_sha256"][0]
    entered = sum(part["entered"] for part in rows(copied, "funnel") if part["stage"] == "ingest")
    assert {"seeds", "trajectories", "store"} <= {*mentions(copied, seed), *mentions(copied, image)}
    killed = copied.run / "exports" / "trl-qwen3-vl" / ".sft.new" / "train.parquet"
    killed.parent.mkdir(parents=True)
    killed.write_bytes(b"of an export that was killed")
    receipt = told(gog, copied, "--seed", seed)
    assert receipt["state"] == "done"
    assert not killed.exists()
    assert receipt["counts"]["seeds"] == 1
    assert mentions(copied, seed) == ["rejects"]
    assert mentions(copied, image) == []
    assert image not in pictures(copied)
    assert not (copied.run / "exports" / "sft").exists()
    left = [reject for reject in rows(copied, "rejects") if reject["reason"] == "ingest.forgotten"]
    assert [(reject["seed_id"], reject["payload"]) for reject in left] == [(seed, "")]
    assert sum(part["entered"] for part in rows(copied, "funnel") if part["stage"] == "ingest") == entered
    check_funnel(copied)


def test_what_others_use_stays(gog: Gog, copied: Place) -> None:
    gone = exported(copied)["seed_id"]
    told(gog, copied, "--seed", gone)
    there = pictures(copied)
    for row in rows(copied, "trajectories"):
        assert {image["sha256"] for image in json.loads(row["images"])} <= there
    assert {row["image_sha256"] for row in rows(copied, "seeds")} <= there
    assert gog("store", "verify", "--lake", copied.lake).code == 0


def test_an_export_made_anew_lacks_it(gog: Gog, kept: Place) -> None:
    row = exported(kept)
    told(gog, kept, "--image", row["image_sha256"][0])
    done = gog("export", "sft", "-c", kept.config)
    assert done.code == 0, done.err
    seeds = [pq.read_table(path, columns=["seed_id"]) for path in (kept.run / "exports").rglob("*.parquet")]
    assert seeds
    assert row["seed_id"] not in {name for table in seeds for name in table.column("seed_id").to_pylist()}
    check_funnel(kept)


def test_the_command_that_makes_a_trainers_export_anew_is_told(gog: Gog, kept: Place) -> None:
    arguments = ("export", "sft", "--format", "trl", "--backbone", "qwen3-vl")
    assert gog(*arguments, "-c", kept.config).code == 0
    done = gog("forget", "--lake", kept.lake, "--image", exported(kept)["image_sha256"][0])
    assert f"`gog {' '.join(arguments)} --lake {kept.lake} --run tiny` makes it anew" in done.out
    assert not (kept.run / "exports" / "trl-qwen3-vl" / "sft").exists()


def test_reviews_of_it_go(gog: Gog, kept: Place) -> None:
    row = exported(kept)
    other = next(curated for curated in rows(kept, "curated") if curated["seed_id"] != row["seed_id"])
    book = ReviewBook(Lake(kept.lake), "tiny")
    for name, seed in ((row["id"], row["seed_id"]), (other["trajectory_id"], other["seed_id"])):
        book.add(name, seed, "Ada", decision=None, boxes=[], comment="looked at")
    told(gog, kept, "--seed", row["seed_id"])
    assert [review["trajectory_id"] for review in rows(kept, "reviews")] == [other["trajectory_id"]]
    assert row["id"] not in (kept.run / "reviews" / "journal.jsonl").read_text()


def test_a_run_at_work_is_left_alone(gog: Gog, copied: Place) -> None:
    seed = exported(copied)["seed_id"]
    with Lake(copied.lake).lock("tiny"):
        done = gog("forget", "--lake", copied.lake, "--seed", seed)
    assert done.code != 0
    assert "is being written by another process" in done.error
    assert "seeds" in mentions(copied, seed)


def test_a_row_by_the_id_of_its_source(gog: Gog, copied: Place) -> None:
    named = [(row["seed_id"], json.loads(row["extra"]).get("source_id")) for row in rows(copied, "seeds")]
    seed, source = next((seed, source) for seed, source in named if source)
    receipt = told(gog, copied, "--source", source)
    assert receipt["seeds"] == [seed]
    assert source not in Path(receipt["receipt"]).read_text()
    assert seed not in {row["seed_id"] for row in rows(copied, "seeds")}
    check_funnel(copied)


def test_a_dry_run_changes_nothing(gog: Gog, copied: Place) -> None:
    before = tree(copied.lake)
    done = gog("forget", "--lake", copied.lake, "--seed", exported(copied)["seed_id"], "--dry-run")
    assert done.code == 0
    assert "would go: 1 seeds" in done.out
    assert "nothing is changed" in done.out
    assert tree(copied.lake) == before


def test_a_killed_one_is_gone_on_with(gog: Gog, copied: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = exported(copied)["seed_id"]
    calls = 0

    def killed(path: Path, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        disk.write_atomic(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(at_work, "write_atomic", killed)
        assert gog("forget", "--lake", copied.lake, "--seed", seed).code == 130
    assert mentions(copied, seed) != ["rejects"]
    assert told(gog, copied, "--seed", seed)["state"] == "done"
    assert mentions(copied, seed) == ["rejects"]
    assert len(list((copied.lake / "forgotten").glob("*.json"))) == 1
    check_funnel(copied)


def test_it_does_not_come_back(gog: Gog, copied: Place) -> None:
    row = exported(copied)
    told(gog, copied, "--seed", row["seed_id"])
    again = gog("ingest", "-c", copied.config, "--run", "again")
    assert again.code == 0, again.err
    other = Place(copied.lake, copied.config)
    rejects = pq.read_table(sorted((other.lake / "runs" / "again" / "rejects").glob("part-ingest-*"))).to_pylist()
    assert [r["seed_id"] for r in rejects if r["reason"] == "ingest.forgotten"] == [row["seed_id"]]
    assert row["image_sha256"][0] not in pictures(copied)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "say what"),
        (["--image", "abc"], "is no sha256"),
        (["--image", "0" * 64], "nothing in"),
        (["--seed", "seed-0"], "no seed 'seed-0'"),
        (["--source", "nobody"], "nothing was forgotten"),
    ],
)
def test_wrong_use(gog: Gog, finished: Place, args: list[str], said: str) -> None:
    before = tree(finished.lake)
    done = gog("forget", "--lake", finished.lake, *args)
    assert done.code == 2
    assert said in done.error
    after = tree(finished.lake)
    assert {name: stat for name, stat in after.items() if not name.endswith("lock")} == {
        name: stat for name, stat in before.items() if not name.endswith("lock")
    }


def test_a_lake_that_is_none(gog: Gog, tmp_path: Path) -> None:
    done = gog("forget", "--lake", tmp_path / "none", "--seed", "seed-0")
    assert done.code != 0
    assert not (tmp_path / "none").exists()


def test_an_export_rejects_a_row_whose_picture_is_missing(gog: Gog, kept: Place) -> None:
    row = exported(kept)
    for path in (kept.lake / "images").rglob(f"{row['image_sha256'][0]}.*"):
        path.unlink()
    done = gog("export", "sft", "-c", kept.config, "--out", kept.lake / "elsewhere")
    assert done.code == 0, done.err
    assert "1 export.image_missing" in done.out
    assert next((kept.lake / "elsewhere").rglob("*.parquet")).is_file()


def test_a_picture_leaves_the_gallery_that_a_run_searches(gog: Gog, kept: Place, tmp_path: Path) -> None:
    row = exported(kept)
    sha256 = row["image_sha256"][0]
    pictures = sorted(path for path in (kept.lake / "images").rglob("*.*") if path.is_file())
    original = next(path for path in pictures if sha256 in path.name)
    (tmp_path / "pictures").mkdir()
    for path in {*pictures[:3], original}:
        shutil.copy(path, tmp_path / "pictures" / path.name)
    index = tmp_path / "index" / "gallery"
    assert gog("index", "build", "--images", tmp_path / "pictures", "--out", index.parent).code == 0
    before = json.loads((index / "index.json").read_text())
    manifest = json.loads((kept.run / "manifest.json").read_text())
    manifest["config"]["image_search"] = f"gallery:{index.parent}"
    (kept.run / "manifest.json").write_text(json.dumps(manifest))

    assert told(gog, kept, "--seed", row["seed_id"], "--dry-run")["galleries"] == {str(index): 1}
    assert json.loads((index / "index.json").read_text()) == before
    assert told(gog, kept, "--seed", row["seed_id"])["galleries"] == {str(index): 1}
    after = json.loads((index / "index.json").read_text())
    assert after["pictures"] == before["pictures"] - 1
    assert after["version"] != before["version"]
    assert sha256 not in (index / "meta.jsonl").read_text()


def test_a_page_leaves_the_corpora_that_runs_search_and_what_it_came_back_in(
    gog: Gog, kept: Place, tmp_path: Path
) -> None:
    found = [(row, json.loads(row["hits"])) for row in rows(kept, "evidence") if row["tool"] == "text_search"]
    page = next(hits[0]["url"] for _, hits in found if hits)
    lines = [{"title": "Gone", "text": "It is gone.", "url": page}, {"title": "Here", "text": "It stays.", "url": "a"}]
    (tmp_path / "pages.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    index = tmp_path / "index" / "corpus"
    assert gog("index", "build", "--texts", tmp_path / "pages.jsonl", "--out", index.parent).code == 0
    manifest = json.loads((kept.run / "manifest.json").read_text())
    manifest["config"]["text_search"] = f"corpus:{index.parent}"
    (kept.run / "manifest.json").write_text(json.dumps(manifest))
    used = {row["evidence_id"] for row, hits in found if page in [hit["url"] for hit in hits]}
    leaving = [
        row["trajectory_id"]
        for row in rows(kept, "trajectories")
        if used & {name for step in json.loads(row["steps"]) for name in step["evidence_ids"]}
    ]
    assert leaving
    seeds = len(rows(kept, "seeds"))

    counts = (index / "counts.npy").read_bytes()
    (index / "counts.npy").unlink()
    done = gog("forget", "--lake", kept.lake, "--page", page)
    assert (done.code, "was built before pages could be added to it, or leave it" in done.error) == (2, True)
    assert not list((kept.lake / "forgotten").glob("*")), "nothing is begun that cannot be ended"
    (index / "counts.npy").write_bytes(counts)
    dry = told(gog, kept, "--page", page, "--dry-run")
    assert dry["corpora"][str(index)] == 1
    assert "Gone" in (index / "passages.jsonl").read_text()
    receipt = told(gog, kept, "--page", page)
    assert receipt["runs"]["tiny"]["trajectories"] == sorted(leaving)
    assert page not in json.dumps(receipt), "a receipt holds no content"
    assert (index / "passages.jsonl").read_text().count("\n") == 1
    assert {table for table in mentions(kept, page) if table != "events"} <= {"seeds", "rejects"}
    assert not set(leaving) & {row["trajectory_id"] for row in rows(kept, "trajectories")}
    assert len(rows(kept, "seeds")) == seeds, "a question stays"
    check_funnel(kept)
    assert gog("forget", "--lake", kept.lake, "--page", "https://nowhere").code == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"url":"https://a/1"}', True),
        ("[1] A | score - | https://a/1\\n    B", True),
        ("(see https://a/1).", True),
        ("https://a/1. Next", True),
        ("https://a/10", False),
        ("https://a/1/2", False),
        ("https://a/1.html", False),
        ("https://a/1?x=2", False),
    ],
)
def test_an_address_is_named_where_it_is_no_part_of_another(text: str, named: bool) -> None:
    assert Asked(pages=("https://a/1",)).named_in(text) is named
