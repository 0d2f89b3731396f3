"""Exports for TRL as the trainings open them, and what is said of one that cannot be trained on."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_models
from families import FAMILIES
from lakes import EPISODE, small_run, source_of

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl, export_sft
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import TOOLS, Target
from gog_train.data import Export, ExportError, Kind, as_messages, open_export
from gog_train.processors import fit

QWEN3, QWEN25 = "qwen3-vl", "qwen2.5-vl"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exports of a small run; nobody writes to them."""
    lake = small_run(tmp_path_factory.mktemp("made") / "lake")
    for backbone in FAMILIES:
        request = ExportRequest(target=Target("trl", BACKBONES[backbone]))
        export_sft(source_of(lake), request)
        export_rl(source_of(lake), request)
    export_sft(source_of(lake), ExportRequest())
    return lake.run_folder("small") / "exports"


@pytest.fixture
def sft(made: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(made / "trl-qwen3-vl" / "sft", tmp_path / "sft"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], split: str = "train") -> None:
    """Change every row of a split, and the hashes in the manifest with it."""
    (path,) = folder.glob(f"data/{split}-*.parquet")
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    sign(folder, path)


def sign(folder: Path, path: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for split in manifest["splits"].values():
        for file in split["files"]:
            if file["name"] == path.relative_to(folder).as_posix():
                file["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_turns(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """A change of the turns that gaze."""

    def apply(row: dict[str, Any]) -> None:
        messages = json.loads(row["messages"])
        for message in messages:
            if any(call["function"]["name"] == "gaze" for call in message.get("tool_calls", ())):
                change(message)
        row["messages"] = json.dumps(messages)

    return apply


def boxed(box: list[float], image: int = 0) -> Callable[[dict[str, Any]], None]:
    def change(message: dict[str, Any]) -> None:
        message["tool_calls"][0]["function"]["arguments"] = json.dumps({"bbox_2d": box, "image": image})

    return with_turns(change)


@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize(("kind", "train"), [("sft", 4), ("rl", 2)])
def test_opens_by_the_folder_of_the_format_or_of_the_kind(made: Path, backbone: str, kind: Kind, train: int) -> None:
    folder = made / f"trl-{backbone}"
    export = open_export(folder, kind, backbone)
    assert export == open_export(folder / kind, kind, backbone)
    assert isinstance(export, Export)
    assert len(export.rows("train")) == train
    assert (export.backbone, export.template(None).thinking) == (BACKBONES[backbone], True)
    assert export.sha256 == hashlib.sha256((folder / kind / "manifest.json").read_bytes()).hexdigest()


def test_rows_decode_their_images_and_hold_json_text(made: Path) -> None:
    row = open_export(made / "trl-qwen3-vl", "sft", QWEN3).rows("train")[0]
    assert [image.size for image in row["images"]] == [(400, 300), (80, 60), (80, 60)]
    assert [message["role"] for message in json.loads(row["messages"])][:3] == ["system", "user", "assistant"]
    assert json.loads(row["tools"])[0]["type"] == "function"


def test_the_episode_of_the_run_in_the_backbones_frame_and_its_tools(made: Path) -> None:
    export = open_export(made / "trl-qwen3-vl", "rl", QWEN3)
    assert export.episode == EPISODE.in_frame(BACKBONES[QWEN3].spec)
    assert export.tools == TOOLS


def test_only_the_wanted_levels(made: Path) -> None:
    rows = open_export(made / "trl-qwen3-vl", "rl", QWEN3, levels=(2,)).rows("train")
    assert rows["level"] == [2]


def test_an_empty_split_is_an_error(made: Path) -> None:
    export = open_export(made / "trl-qwen3-vl", "rl", QWEN3)
    with pytest.raises(ExportError, match=r"split validation .* has no rows"):
        export.rows("validation")


class TestRefuses:
    def open(self, folder: Path, kind: Kind = "sft", backbone: str = QWEN3, **more: Any) -> str:
        with pytest.raises(ExportError) as caught:
            open_export(folder, kind, backbone, **more)
        message = str(caught.value)
        assert "\n" not in message
        return message

    def test_no_export(self, tmp_path: Path) -> None:
        message = self.open(tmp_path)
        assert "no manifest.json" in message
        assert "gog export sft --format trl --backbone qwen3-vl" in message

    @pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
    def test_a_manifest_that_is_none(self, sft: Path, text: str) -> None:
        (sft / "manifest.json").write_text(text)
        assert "manifest" in self.open(sft)

    @pytest.mark.parametrize(
        ("version", "told"), [(2, "upgrade glance-or-gaze"), (0, "gog export"), (None, "gog export")]
    )
    def test_another_schema_version(self, sft: Path, version: int | None, told: str) -> None:
        change_manifest(sft, schema_version=version)
        assert told in self.open(sft)

    def test_the_engines_own_format(self, made: Path) -> None:
        assert "'parquet'" in self.open(made / "sft")

    def test_the_other_kind(self, sft: Path) -> None:
        assert "for 'sft', not for rl" in self.open(sft, "rl")

    def test_the_other_backbone(self, sft: Path) -> None:
        assert "made for the backbone 'qwen3-vl', wanted is 'qwen2.5-vl'" in self.open(sft, backbone=QWEN25)

    @pytest.mark.parametrize("key", ["frame", "factor", "min_pixels", "max_pixels"])
    def test_another_resize_or_frame(self, sft: Path, key: str) -> None:
        backbone = json.loads((sft / "manifest.json").read_text())["backbone"]
        change_manifest(sft, backbone=backbone | {key: 1})
        assert f"made for the {key} 1" in self.open(sft)

    @pytest.mark.parametrize("key", ["episode", "tools"])
    @pytest.mark.parametrize("value", [None, {"max_images": 0, "crops": 1}])
    def test_a_manifest_without_the_episode_or_its_tools(self, sft: Path, key: str, value: object) -> None:
        change_manifest(sft, **{key: value})
        assert "nothing of its episode or its tools; export it again with" in self.open(sft)

    def test_a_file_that_is_missing(self, sft: Path) -> None:
        next(sft.glob("data/validation-*")).unlink()
        assert "is missing; copy the whole folder" in self.open(sft)

    def test_a_file_that_was_changed(self, sft: Path) -> None:
        path = next(sft.glob("data/train-*"))
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert "is not the file that was exported" in self.open(sft)

    def test_a_file_that_is_no_parquet(self, sft: Path) -> None:
        path = next(sft.glob("data/train-*"))
        path.write_bytes(b"PAR1 nothing")
        sign(sft, path)
        assert "cannot be read" in self.open(sft)

    def test_a_column_that_is_missing(self, sft: Path) -> None:
        path = next(sft.glob("data/train-*"))
        pq.write_table(pq.read_table(path).drop_columns(["tools"]), path)
        sign(sft, path)
        assert "no column 'tools'" in self.open(sft)

    def test_no_rows(self, sft: Path) -> None:
        splits = json.loads((sft / "manifest.json").read_text())["splits"]
        change_manifest(sft, splits=splits | {"train": {"rows": 0, "files": [], "levels": {}}})
        assert "nothing to train on" in self.open(sft)

    @pytest.mark.parametrize("levels", [(0,), (0, 1), ()])
    def test_a_level_that_is_not_there(self, made: Path, levels: tuple[int, ...]) -> None:
        message = self.open(made / "trl-qwen3-vl", "rl", levels=levels)
        assert f"no rows of level {0 if levels else 'none'}" in message
        assert "it has 1 of level 1, 1 of level 2" in message

    @pytest.mark.parametrize(
        "change",
        [
            lambda row: row["images"].pop(),
            lambda row: row.update(images=[]),
            lambda row: row.update(images=[{"bytes": None, "path": "x.jpg"}] * 3),
            lambda row: row.update(images=[{"bytes": b"no image", "path": None}] * 3),
        ],
    )
    def test_missing_images(self, sft: Path, change: Callable[[dict[str, Any]], None]) -> None:
        rewrite(sft, change)
        message = self.open(sft)
        assert "image" in message
        assert "trajectory-" in message

    @pytest.mark.parametrize(
        ("box", "image", "told"),
        [
            ([0, 0, 1100, 500], 0, "reaches outside"),
            ([500, 500, 100, 900], 0, "has no area"),
            ([0, 0, 500, 500], 9, "an image that is not there"),
            ([0, 0, 500], 0, "four numbers"),
        ],
    )
    def test_boxes_outside_the_picture(self, sft: Path, box: list[float], image: int, told: str) -> None:
        rewrite(sft, boxed(box, image))
        assert told in self.open(sft)

    def test_a_row_that_is_not_json(self, sft: Path) -> None:
        rewrite(sft, lambda row: row.update(messages="{"), "validation")
        assert "not what an export writes" in self.open(sft)


def test_a_wrong_box_in_a_turn_that_is_not_learned_is_history(sft: Path) -> None:
    rewrite(sft, boxed([0, 0, 1100, 500]))
    rewrite(sft, with_turns(lambda message: message.update(train=False)))
    assert len(open_export(sft, "sft", QWEN3).rows("train")) == 4


def test_an_export_from_before_the_folder_of_data_is_read(made: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(made / "trl-qwen3-vl" / "sft", tmp_path / "old"))
    for path in (old / "data").iterdir():
        path.rename(old / path.name)
    manifest = (old / "manifest.json").read_text().replace('"data/', '"')
    (old / "manifest.json").write_text(manifest)
    new = open_export(made / "trl-qwen3-vl" / "sft", "sft", "qwen3-vl").rows("train")
    assert open_export(old, "sft", "qwen3-vl").rows("train")["id"] == new["id"]


def test_trl_takes_the_messages_after_one_line(made: Path) -> None:
    from datasets import load_dataset
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    folder = made / "trl-qwen3-vl" / "sft" / "data"
    data = load_dataset("parquet", data_dir=str(folder))["train"].with_transform(as_messages)
    rows = [data[number] for number in range(2)]
    parts = [
        [part for message in row["messages"] if isinstance(message["content"], list) for part in message["content"]]
        for row in rows
    ]
    pictures = [part["image"] for content in parts for part in content if part["type"] == "image"]
    assert len(pictures) > len(rows), "the first image of each row, and crops"
    processor = tiny_models.processor("qwen3-vl")
    fit(processor, BACKBONES["qwen3-vl"].template(thinking=True), BACKBONES["qwen3-vl"])
    batch = DataCollatorForVisionLanguageModeling(processor)(rows)
    assert len(batch["image_grid_thw"]) == len(pictures)


def test_the_folder_of_data_opens_as_it_is(made: Path) -> None:
    import pandas  # type: ignore[import-untyped, unused-ignore]

    for export in ("sft", "trl-qwen3-vl/rl", "trl-qwen3-vl/sft"):
        folder = made / export / "data"
        found = pandas.read_parquet(folder)
        assert sorted(found["id"]) == sorted(pq.read_table(folder).column("id").to_pylist())
        counts = json.loads((made / export / "manifest.json").read_text())["splits"]
        assert dict(found["split"].value_counts()) == {
            name: split["rows"] for name, split in counts.items() if split["rows"]
        }
