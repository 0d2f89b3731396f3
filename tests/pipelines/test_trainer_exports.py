"""Exports for trainers: in the backbone's frame, read back by whoever reads them, nothing lost."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lakes import EPISODE, small_run

from gog.pipelines.exporting import Exported, export_rl, export_sft
from gog.pipelines.lake import Lake
from gog.schemas import Curated, Evidence, Split, Trajectory
from gog.schemas.boxes import from_frame
from gog.transforms.backbones import BACKBONES, BackboneName
from gog.transforms.export import ExportSettings
from gog.transforms.exports.target import Format, Target

SETTINGS = ExportSettings()
each_backbone = pytest.mark.parametrize("backbone", BackboneName)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def sft(lake: Lake, form: Format, backbone: BackboneName) -> Exported:
    target = Target(form, BACKBONES[backbone])
    return export_sft(lake.run_folder("small"), lake.images, SETTINGS, EPISODE, lambda _: None, "print-1", target)


def rl(lake: Lake, form: Format, backbone: BackboneName) -> Exported:
    target = Target(form, BACKBONES[backbone])
    return export_rl(lake.run_folder("small"), lake.images, SETTINGS, EPISODE, lambda _: None, "print-1", target=target)


def rows_of(folder: Path, split: str = "*") -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob(f"{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]


def manifest_of(done: Exported) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((done.folder / "manifest.json").read_text())
    return loaded


def gazes(messages: list[dict[str, Any]]) -> list[tuple[int, list[float]]]:
    """Image number and box of every gaze."""
    calls = [call["function"] for message in messages for call in message.get("tool_calls") or ()]
    loaded = [json.loads(call["arguments"]) for call in calls if call["name"] == "gaze"]
    return [(arguments["image"], arguments["bbox_2d"]) for arguments in loaded]


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestTrl:
    @each_backbone
    def test_stands_beside_the_runs_own_in_a_folder_of_its_own(self, lake: Lake, backbone: BackboneName) -> None:
        done = sft(lake, Format.TRL, backbone)
        assert done.folder == lake.run_folder("small") / "exports" / f"trl-{backbone}" / "sft"
        curated = list(lake.read_table("small", "curated", Curated))
        assert sorted(row["id"] for row in rows_of(done.folder)) == sorted(row.trajectory_id for row in curated)
        assert {split: done.rows[split] for split in Split} == {
            split: sum(row.split is split for row in curated) for split in Split
        }

    @each_backbone
    def test_boxes_are_within_half_a_unit_of_the_run(self, lake: Lake, backbone: BackboneName) -> None:
        trajectories = {row.trajectory_id: row for row in lake.read_table("small", "trajectories", Trajectory)}
        spec = BACKBONES[backbone].spec
        checked = 0
        for row in rows_of(sft(lake, Format.TRL, backbone).folder):
            recorded = trajectories[row["id"]]
            for (image, box), step in zip(gazes(json.loads(row["messages"])), recorded.steps, strict=False):
                shown = recorded.images[image]
                read = from_frame(box, spec, shown.width, shown.height)
                assert step.box is not None
                units = (1000, 1000) if backbone is BackboneName.QWEN3_VL else (392, 308)  # of 400 x 300
                for axis, (one, other) in enumerate(zip(read, step.box, strict=True)):
                    assert abs(one - other) * units[axis % 2] <= 0.5 + 1e-9
                checked += 1
        assert checked == 12

    @each_backbone
    def test_manifest_says_what_a_trainer_has_to_know(self, lake: Lake, backbone: BackboneName) -> None:
        done = rl(lake, Format.TRL, backbone)
        manifest, wanted = manifest_of(done), BACKBONES[backbone]
        assert manifest["schema_version"] == 1
        assert (manifest["format"], manifest["kind"], manifest["frame"]) == ("trl", "rl", wanted.frame)
        assert manifest["backbone"] == {
            "name": backbone,
            "model_type": wanted.model_type,
            "frame": wanted.frame,
            "factor": wanted.factor,
            "min_pixels": wanted.min_pixels,
            "max_pixels": wanted.max_pixels,
            "thinking": True,
        }
        assert manifest["splits"]["train"]["levels"] == {"1": 1, "2": 1}
        assert manifest["prompt_hashes"].keys() == {"episode/question", "episode/system"}
        assert manifest["rejected"] == {"export.level": 1}
        files = manifest["other_files"] | {
            file["name"]: file["sha256"] for split in manifest["splits"].values() for file in split["files"]
        }
        assert files == {name: value for name, value in digest(done.folder).items() if name != "manifest.json"}

    def test_rl_rows_hold_what_a_reward_needs_and_the_prompt_does_not(self, lake: Lake) -> None:
        for row in rows_of(rl(lake, Format.TRL, BackboneName.QWEN3_VL).folder):
            assert row["seed_id"] == row["id"]
            assert (row["answers"], row["level"] in (1, 2)) == (["Kenya", "Republic of Kenya"], True)
            assert "Kenya" not in row["prompt"]
            prompt = json.loads(row["prompt"])
            assert [message["role"] for message in prompt] == ["system", "user"]
            assert prompt[1]["content"][0] == {"type": "image"}

    def test_what_cannot_be_replayed_is_kept_as_a_reject_in_the_folder(self, lake: Lake) -> None:
        for path in lake.run_folder("small").glob("evidence/*"):
            path.unlink()
        done = sft(lake, Format.TRL, BackboneName.QWEN3_VL)
        told = [json.loads(line) for line in (done.folder / "rejects.jsonl").read_text().splitlines()]
        assert {(row["reason"], row["seed_id"][:5]) for row in told} == {("export.frame", "seed-")}
        assert done.rejected == {"export.frame": 6}
        assert (done.count.entered, done.count.passed, len(told)) == (6, 0, 6)
        assert manifest_of(done)["rejected"] == {"export.frame": 6}

    def test_the_runs_own_export_and_its_tables_are_left_alone(self, lake: Lake) -> None:
        own = export_sft(lake.run_folder("small"), lake.images, SETTINGS, EPISODE, lambda _: None, "print-1")
        before = digest(lake.run_folder("small"))
        sft(lake, Format.TRL, BackboneName.QWEN3_VL)
        after = digest(lake.run_folder("small"))
        assert {name: value for name, value in after.items() if "trl-" not in name} == before
        assert manifest_of(own)["backbone"] is None
        assert not (own.folder / "rejects.jsonl").exists()
        assert len(list(lake.read_table("small", "evidence", Evidence))) > 0


@pytest.mark.parametrize("form", [Format.TRL])
def test_twice_gives_the_same_bytes(lake: Lake, form: Format) -> None:
    first = digest(sft(lake, form, BackboneName.QWEN2_5_VL).folder)
    assert digest(sft(lake, form, BackboneName.QWEN2_5_VL).folder) == first


def test_a_backbone_and_a_trainers_format_go_together() -> None:
    with pytest.raises(ValueError, match="needs a backbone"):
        Target(Format.TRL)
    with pytest.raises(ValueError, match="parquet has none"):
        Target(Format.PARQUET, BACKBONES[BackboneName.QWEN3_VL])
