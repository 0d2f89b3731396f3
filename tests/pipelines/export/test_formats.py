"""Exports for trainers: in the backbone's frame, read back by whoever reads them, nothing lost."""

import hashlib
import io
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from families import FAMILIES
from lakes import EPISODE, level_of, make_seed, picture, small_run, source_of, write
from PIL import Image

from gog.pipelines.config.config import Config
from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.formats.export_format import rendered, write_script
from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import Exported, export_rl, export_sft
from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.export import export_for
from gog.schemas import Curated, Evidence, Grouping, Side, Split, Trajectory
from gog.schemas.boxes import from_frame, smart_resize
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.target import Target, ToolSettings
from gog.transforms.images import CropSettings
from gog.transforms.services.search.settings import SearchSettings
from gog_train.grpo_settings import GrpoSettings
from gog_train.verl.episode import LoopSettings

ROOT = Path(__file__).parents[3]
each_backbone = pytest.mark.parametrize("backbone", FAMILIES)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def sft(lake: Lake, form: str, backbone: str) -> Exported:
    target = Target(form, BACKBONES[backbone])
    return export_sft(source_of(lake), ExportRequest(target=target))


def rl(lake: Lake, form: str, backbone: str) -> Exported:
    target = Target(form, BACKBONES[backbone])
    return export_rl(source_of(lake), ExportRequest(target=target))


def rows_of(folder: Path, split: str = "*") -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob(f"data/{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]


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
    def test_stands_beside_the_runs_own_in_a_folder_of_its_own(self, lake: Lake, backbone: str) -> None:
        done = sft(lake, "trl", backbone)
        assert done.folder == lake.run_folder("small") / "exports" / f"trl-{backbone}" / "sft"
        curated = list(lake.read_table("small", "curated", Curated))
        assert sorted(row["id"] for row in rows_of(done.folder)) == sorted(row.trajectory_id for row in curated)
        assert {split: done.rows[split] for split in Split} == {
            split: sum(row.split is split for row in curated) for split in Split
        }

    @each_backbone
    def test_boxes_are_within_half_a_unit_of_the_run(self, lake: Lake, backbone: str) -> None:
        trajectories = {row.trajectory_id: row for row in lake.read_table("small", "trajectories", Trajectory)}
        spec = BACKBONES[backbone].spec
        checked = 0
        for row in rows_of(sft(lake, "trl", backbone).folder):
            recorded = trajectories[row["id"]]
            for (image, box), step in zip(gazes(json.loads(row["messages"])), recorded.steps, strict=False):
                shown = recorded.images[image]
                read = from_frame(box, spec, shown.width, shown.height)
                assert step.box is not None
                units = (1000, 1000) if backbone == "qwen3-vl" else (392, 308)  # of 400 x 300
                for axis, (one, other) in enumerate(zip(read, step.box, strict=True)):
                    assert abs(one - other) * units[axis % 2] <= 0.5 + 1e-9
                checked += 1
        assert checked == 12

    @each_backbone
    def test_manifest_says_what_a_trainer_has_to_know(self, lake: Lake, backbone: str) -> None:
        done = rl(lake, "trl", backbone)
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

    def test_manifest_counts_the_levels_of_each_split(self, tmp_path: Path) -> None:
        done = rl(small_run(tmp_path / "more", seeds=10), "trl", "qwen3-vl")
        levels = {name: split["levels"] for name, split in manifest_of(done)["splits"].items()}
        assert levels == {"train": {"1": 1, "2": 1}, "validation": {"1": 1}}
        for split, wanted in levels.items():
            counted = Counter(str(row["level"]) for row in rows_of(done.folder, split))
            assert counted == wanted

    def test_manifest_says_how_the_tools_of_the_run_work(self, lake: Lake) -> None:
        tools = ToolSettings(crops=CropSettings(padding=0.5), search=SearchSettings(country="de", language="de"))
        place = {"lake": str(lake.root), "run": "small", "episode": EPISODE}
        config = Config.model_validate(place | {"crops": tools.crops, "search": tools.search})
        target = Target("trl", BACKBONES["qwen3-vl"])
        for kind in ("sft", "rl"):
            manifest = manifest_of(export_for(config, kind, target))
            assert ToolSettings.model_validate(manifest["tools"]) == tools
            assert EpisodeSettings.model_validate(manifest["episode"]) == target.episode(EPISODE)

    def test_rl_rows_hold_what_a_reward_needs_and_the_prompt_does_not(self, lake: Lake) -> None:
        for row in rows_of(rl(lake, "trl", "qwen3-vl").folder):
            assert row["seed_id"] == row["id"]
            assert (row["answers"], row["level"] in (1, 2)) == (["Kenya", "Republic of Kenya"], True)
            assert "Kenya" not in row["prompt"]
            prompt = json.loads(row["prompt"])
            assert [message["role"] for message in prompt] == ["system", "user"]
            assert prompt[1]["content"][0] == {"type": "image"}

    def test_what_cannot_be_replayed_is_kept_as_a_reject_in_the_folder(self, lake: Lake) -> None:
        for path in lake.run_folder("small").glob("evidence/*"):
            path.unlink()
        done = sft(lake, "trl", "qwen3-vl")
        told = [json.loads(line) for line in (done.folder / "rejects.jsonl").read_text().splitlines()]
        assert {(row["reason"], row["seed_id"][:5]) for row in told} == {("export.frame", "seed-")}
        assert done.rejected == {"export.frame": 6}
        assert (done.count.entered, done.count.passed, len(told)) == (6, 0, 6)
        assert manifest_of(done)["rejected"] == {"export.frame": 6}

    def test_the_runs_own_export_and_its_tables_are_left_alone(self, lake: Lake) -> None:
        own = export_sft(source_of(lake), ExportRequest())
        before = digest(lake.run_folder("small"))
        sft(lake, "trl", "qwen3-vl")
        after = digest(lake.run_folder("small"))
        assert {name: value for name, value in after.items() if "trl-" not in name} == before
        assert manifest_of(own)["backbone"] is None
        assert not (own.folder / "rejects.jsonl").exists()
        assert len(list(lake.read_table("small", "evidence", Evidence))) > 0


def lines(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text("utf-8").splitlines()]


def boxes_in(form: str, row: dict[str, Any]) -> list[list[float]]:
    """Boxes of a row's gazes, as its trainer would read them."""
    if form == "ms-swift":
        calls = [json.loads(m["content"]) for m in row["messages"] if m["role"] == "tool_call"]
    else:
        texts = "".join(turn["value"] for turn in row["conversations"])
        calls = [json.loads(part.split("\n</tool_call>")[0]) for part in texts.split("<tool_call>\n")[1:]]
    return [call["arguments"]["bbox_2d"] for call in calls if call["name"] == "gaze"]


class TestOtherTrainers:
    @each_backbone
    @pytest.mark.parametrize("form", ["ms-swift", "llama-factory"])
    def test_the_same_boxes_and_images_as_for_trl(self, lake: Lake, form: str, backbone: str) -> None:
        wanted = rows_of(sft(lake, "trl", backbone).folder, "train")
        done = sft(lake, form, backbone)
        rows = lines(done.folder)
        assert [row["id"] for row in rows] == [row["id"] for row in wanted]
        for row, other in zip(rows, wanted, strict=True):
            assert boxes_in(form, row) == [box for _, box in gazes(json.loads(other["messages"]))]
            assert [Path(name).stem for name in row["images"]] == other["image_sha256"]
            assert all((done.folder / name).is_file() for name in row["images"])
            assert json.loads(row["tools"]) == json.loads(other["tools"])

    @each_backbone
    def test_images_beyond_the_budget_are_resized_as_the_processor_would(self, lake: Lake, backbone: str) -> None:
        done = sft(lake, "ms-swift", backbone)
        spec = BACKBONES[backbone]
        files = [path.read_bytes() for path in (done.folder / "images").iterdir()]
        sizes = {Image.open(io.BytesIO(data)).size for data in files}
        # 400 x 300 is within both budgets; crops of 80 x 60 are below the smaller limit of Qwen3-VL
        assert sizes == {(400, 300), (80, 60) if backbone == "qwen2.5-vl" else (320, 224)}
        for width, height in sizes:
            shown = smart_resize(width, height, spec.factor, spec.min_pixels, spec.max_pixels)
            assert smart_resize(width, height, spec.factor, 1, 1 << 40) == shown, "no limit of a trainer matters"

    @each_backbone
    def test_ms_swifts_questions_carry_the_answers_beside_the_prompt(self, lake: Lake, backbone: str) -> None:
        for row in lines(rl(lake, "ms-swift", backbone).folder):
            assert (row["solution"], row["answers"]) == ("Kenya", ["Kenya", "Republic of Kenya"])
            assert "Kenya" not in json.dumps(row["messages"])

    @each_backbone
    def test_verls_folder_is_whole(self, lake: Lake, backbone: str) -> None:
        from datasets import load_dataset

        done = rl(lake, "verl", backbone)
        data = load_dataset("parquet", data_files=str(done.folder / "data" / "train-*.parquet"), split="train")
        for number, row in enumerate(data):
            assert row["prompt"][1]["content"].startswith("<image>Image 0")
            assert (row["agent_name"], row["extra_info"]["index"]) == ("gog_episode", number)
            assert Image.open(io.BytesIO(row["images"][0]["bytes"])).size == (400, 300)
            (name,) = row["extra_info"]["images"]
            original = (done.folder / name).read_bytes()
            assert hashlib.sha256(original).hexdigest() == Path(name).stem, "tools cut from the original"
        config = yaml.safe_load((done.folder / "grpo.yaml").read_text())
        assert config["data"]["train_files"] == ["${oc.env:GOG_EXPORT}/data/train-00000-of-00001.parquet"]
        assert config["data"]["val_files"] == config["data"]["train_files"], "there is no other split here"
        assert config["trainer"]["save_freq"] > 0, "verl's own default saves nothing"
        assert "override_config" not in config["actor_rollout_ref"]["model"], "it is added when verl is started"
        assert "max_num_gen_batches" not in config["algorithm"]["filter_groups"], "verl does not heed it"
        assert config["trainer"]["v1"]["sampler"]["custom_sampler"]["path"] == "pkg://gog_train.verl.sampler"
        rewards = {name: value for name, value in config["gog"].items() if not str(value).startswith("${oc.env:")}
        defaults = LoopSettings().model_dump()
        assert rewards == {name: defaults[name] for name in rewards}
        assert set(config["gog"]) == set(defaults)
        assert config["actor_rollout_ref"]["actor"]["loss_agg_mode"] == GrpoSettings.model_fields["loss"].default
        (loop,) = yaml.safe_load((done.folder / "agent.yaml").read_text())
        assert loop["name"] == config["actor_rollout_ref"]["rollout"]["agent"]["default_agent_loop"] == "gog_episode"
        module, _, name = loop["_target_"].rpartition(".")
        assert f"class {name}(" in (ROOT / f"{module.replace('.', '/')}.py").read_text()
        wanted = BACKBONES[backbone].template(thinking=True).text
        assert (done.folder / "chat_template.jinja").read_text("utf-8") == wanted
        assert os.access(done.folder / "launch.sh", os.X_OK)
        assert EpisodeSettings.model_validate(manifest_of(done)["episode"]).frame is BACKBONES[backbone].frame

    @each_backbone
    def test_verls_tools_cut_from_the_whole_original_whatever_the_model_sees(
        self, tmp_path: Path, backbone: str
    ) -> None:
        lake, wide = Lake(tmp_path / "wide"), picture(6000, 3500, (9, 90, 200))
        sha256 = lake.images.put(wide, "jpg")
        seed = make_seed(1, lake.images, image_sha256=sha256, width=6000, height=3500)
        grouping = Grouping(seed_id=seed.seed_id, group="g", cluster="c", side=Side.RL, split=Split.TRAIN)
        for table, record in {"seeds": seed, "groups": grouping, "complexity": level_of(seed, 1)}.items():
            write(lake, "small", table, [record])
        done, spec = rl(lake, "verl", backbone), BACKBONES[backbone]
        (row,) = rows_of(done.folder)
        shown = smart_resize(6000, 3500, spec.factor, spec.min_pixels, spec.max_pixels)
        assert Image.open(io.BytesIO(row["images"][0]["bytes"])).size == shown
        assert [(done.folder / name).read_bytes() for name in row["extra_info"]["images"]] == [wide]

    @pytest.mark.parametrize("name", ["launch.sh", "sft.sh"])
    def test_scripts_are_shell(self, lake: Lake, name: str) -> None:
        done = rl if name == "launch.sh" else sft
        form = "verl" if name == "launch.sh" else "ms-swift"
        script = done(lake, form, "qwen3-vl").folder / name
        assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0
        if name == "launch.sh":
            said = subprocess.run(
                [script], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False
            )
            assert "name the model to train" in said.stderr

    def test_verl_is_started_with_the_words_that_it_is_given(self, lake: Lake, tmp_path: Path) -> None:
        python = tmp_path / "python"
        python.write_text('#!/bin/sh\necho "$@"\nexit 2\n')
        python.chmod(0o755)
        script = rl(lake, "verl", "qwen3-vl").folder / "launch.sh"
        env = {"PATH": os.environ["PATH"], "PYTHON": str(python), "MODEL": "m"}
        env |= {"GOG_TEXT_SEARCH": "corpus:a", "GOG_IMAGE_SEARCH": "gallery:a"}
        said = subprocess.run([script, "a=1"], capture_output=True, text=True, env=env, check=False)
        assert (said.returncode, said.stdout.split()) == (2, ["-m", "gog_train.verl.start", "a=1"])

    @pytest.mark.parametrize(("atlas", "paid"), [(True, "zero"), (False, "")])
    def test_verl_pays_what_nobody_settles_by_itself_only_where_all_names_are_known(
        self, tmp_path: Path, atlas: bool, paid: str
    ) -> None:
        python, script = tmp_path / "python", tmp_path / "launch.sh"
        python.write_text('#!/bin/sh\necho "paid: $GOG_UNSETTLED"\nexit 2\n')
        python.chmod(0o755)
        write_script(script, rendered("verl/launch.sh.j2", {"atlas": atlas, "example": "m"}))
        (tmp_path / "chat_template.jinja").touch()
        env = {"PATH": os.environ["PATH"], "PYTHON": str(python), "MODEL": "m"}
        env |= {"GOG_TEXT_SEARCH": "corpus:a", "GOG_IMAGE_SEARCH": "gallery:a"}
        said = subprocess.run([script], capture_output=True, text=True, env=env, check=False)
        assert said.stdout == f"paid: {paid}\n"

    def test_what_a_format_cannot_say_is_a_reject(self, lake: Lake) -> None:
        trajectories = list(lake.read_table("small", "trajectories", Trajectory))
        for path in lake.run_folder("small").glob("trajectories/*"):
            path.unlink()
        silent = [
            t.model_copy(update={"steps": (*t.steps[:-1], t.steps[-1].model_copy(update={"train": False}))})
            for t in trajectories
        ]
        write(lake, "small", "trajectories", silent)
        done = sft(lake, "llama-factory", "qwen3-vl")
        assert done.rejected == {"export.untrained": 6}
        assert (done.folder / "rejects.jsonl").read_text().count("export.untrained") == 6
        assert sft(lake, "ms-swift", "qwen3-vl").rejected == {}


@pytest.mark.parametrize("form", ["trl", "ms-swift", "llama-factory"])
def test_twice_gives_the_same_bytes(lake: Lake, form: str) -> None:
    first = digest(sft(lake, form, "qwen2.5-vl").folder)
    assert digest(sft(lake, form, "qwen2.5-vl").folder) == first


def test_a_backbone_and_a_trainers_format_go_together() -> None:
    with pytest.raises(ValueError, match="needs a backbone"):
        Target("trl")
    with pytest.raises(ValueError, match="parquet has none"):
        Target("parquet", BACKBONES["qwen3-vl"])


def test_a_format_of_another_package(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = Path(__file__).parents[3] / "examples" / "plugin" / "src"
    info = tmp_path / "site" / "gog_example-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gog-example\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[gog.export_formats]\nplain = gog_example.export_format:plain\n")
    monkeypatch.syspath_prepend(str(example))
    monkeypatch.syspath_prepend(str(info.parent))
    FORMATS.__dict__.pop("_theirs", None)
    try:
        done, wanted = sft(lake, "plain", "qwen3-vl"), sft(lake, "trl", "qwen3-vl")
    finally:
        FORMATS.__dict__.pop("_theirs", None)
    rows, others = lines(done.folder), rows_of(wanted.folder, "train")
    assert [(row["id"], row["messages"]) for row in rows] == [
        (row["id"], json.loads(row["messages"])) for row in others
    ]
    assert all((done.folder / name).is_file() for row in rows for name in row["images"])
    assert manifest_of(done)["plugins"] == {"export format plain": "gog-example 0.1.0"}
    card = (done.folder / "README.md").read_text("utf-8")
    assert "Each line has `id`, `messages` and `images`." in card
    assert "path: train.jsonl" in card
