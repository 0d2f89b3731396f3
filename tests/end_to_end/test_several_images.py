"""Questions about two pictures through a whole run: what is searched, curated and exported knows which is which."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from runs import atlas, check_nothing_lost, exported, gog, run_folder, select, write_config

from gog.pipelines.config.config import Config, load_config, parse_config
from gog.pipelines.steps.run import run
from gog.transforms.atlas.rows import atlas_row

COUNT = 12


def rows() -> list[dict[str, Any]]:
    """Every other time the picture that the question is about comes second."""
    made = []
    for number in range(COUNT):
        asked, other = atlas_row(3, number), atlas_row(4, number)
        pictures = [asked.image, other.image][:: -1 if number % 2 else 1]
        made.append(
            {
                "question": f"<image><image>{asked.question}",
                "answers": list(asked.answers),
                "type": asked.answer_type,
                "entity": asked.entity,
                "images": [{"bytes": base64.b64encode(picture).decode()} for picture in pictures],
            }
        )
    return made


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("two")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
    values = atlas(folder / "lake", shard_size=6).model_dump(mode="json")
    columns = {"entity": "entity", "answer_type": "type"}
    mapping = {"question": "question", "answers": ["answers"], "image": "images", "columns": columns}
    values["source"] = {"kind": "jsonl", "path": str(folder / "rows.jsonl"), "dataset": "two", "mapping": mapping}
    values["episode"] |= {"question_images": 2, "max_images": 8}
    values["screen"]["passes"] = 1
    values["label"]["k"] = 2
    config = load_config(write_config(parse_config(values), folder / "gog.yaml"))
    run(config)
    return config


def test_nobody_left_for_having_two_and_both_were_searched(done: Config) -> None:
    check_nothing_lost(done, COUNT)
    assert select(done, "SELECT count(*) FROM seeds WHERE further_images LIKE '%sha256%'") == [(COUNT,)]
    assert select(done, "SELECT DISTINCT on_image FROM regions ORDER BY 1") == [(0,), (1,)]
    assert select(done, "SELECT DISTINCT on_image FROM evidence WHERE box IS NOT NULL ORDER BY 1") == [(0,), (1,)]
    right = "SELECT count(*) FROM trajectories JOIN verdicts USING (trajectory_id) WHERE outcome = 'correct'"
    assert select(done, f"{right} AND steps LIKE '%\"on_image\":1%'")[0][0] > 0


def test_exports_have_both(done: Config) -> None:
    rows = [*exported(done, "sft"), *exported(done, "rl")]
    assert rows
    for row in rows:
        chat = json.loads(row["messages"] if "messages" in row else row["prompt"])
        parts = [part for message in chat if isinstance(message["content"], list) for part in message["content"]]
        assert len(row["images"]) == sum(part["type"] == "image" for part in parts) >= 2
        text = next(part["text"] for part in parts if part["type"] == "text")
        assert [line[:7] for line in text.splitlines()[:2]] == ["Image 0", "Image 1"]


@pytest.mark.parametrize(
    ("form", "backbone"),
    [
        ("trl", "qwen3-vl"),
        ("trl", "qwen2.5-vl"),
        ("verl", "qwen3-vl"),
        ("ms-swift", "qwen3-vl"),
        ("llama-factory", "qwen2.5-vl"),
    ],
)
def test_each_trainers_form_has_both(done: Config, form: str, backbone: str) -> None:
    config = str(Path(done.lake).parent / "gog.yaml")
    kind = "sft" if form == "llama-factory" else "rl"
    made = gog("export", kind, "-c", config, "--format", form, "--backbone", backbone)
    assert made.returncode == 0, made.stderr
    folder = run_folder(done) / "exports" / f"{form}-{backbone}" / kind
    rejects = folder / "rejects.jsonl"
    assert not rejects.exists() or "export.frame" not in rejects.read_text("utf-8")
    counted = 0
    for path in [*folder.rglob("*.parquet"), *(path for path in folder.rglob("*.jsonl") if path != rejects)]:
        rows = (
            pq.read_table(path).to_pylist()
            if path.suffix == ".parquet"
            else [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        )
        for row in rows:
            assert len(row["images"]) >= 2
            if form == "verl":
                assert row["prompt"][1]["content"].startswith("<image><image>Image 0")
                names = row["extra_info"]["images"]
                assert len(names) == 2
                assert all((folder / name).is_file() for name in names)
        counted += len(rows)
    assert counted


def test_one_picture_is_what_a_question_has_unless_it_is_said(done: Config, tmp_path: Path) -> None:
    values = done.model_dump(mode="json")
    values |= {"lake": str(tmp_path / "lake")}
    values["episode"] |= {"question_images": 1}
    config = parse_config(values)
    run(config)
    assert select(config, "SELECT DISTINCT reason FROM rejects") == [("ingest.too_many_images",)]
    assert select(config, "SELECT count(*) FROM rejects") == [(COUNT,)]


def test_who_is_in_the_second_picture_can_be_forgotten(done: Config, tmp_path: Path) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(done.lake, copy)
    moved = done.model_copy(update={"lake": str(copy)})
    first, second = select(moved, "SELECT image_sha256, further_images FROM seeds ORDER BY seed_id LIMIT 1")[0]
    named = json.loads(second)[0]["sha256"]
    gone = gog("forget", "--image", named, "--lake", str(copy))
    assert gone.returncode == 0, gone.stderr
    assert select(moved, "SELECT count(*) FROM seeds") == [(COUNT - 1,)]
    assert not [path for path in copy.rglob("*") if path.name.startswith((first, named))]
    for path in (run_folder(moved)).rglob("*.parquet"):
        assert named not in "".join(map(str, pq.read_table(path).to_pylist())), path
