"""A family of another package, with a processor and a template of its own, wherever a backbone is used."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lakes import EPISODE, small_run, source_of
from plugged import installed, look_again
from pydantic import ValidationError

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import Exported, export_rl, export_sft
from gog.pipelines.lake.lake import Lake
from gog.schemas import Frame, Trajectory
from gog.schemas.boxes import FrameSpec, from_frame
from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.export.target import Target
from gog.transforms.open_set import UnknownMemberError
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.chat.pictures import fitted_size

MODULE = r"""
from dataclasses import dataclass
from gog.schemas import Frame
from gog.transforms.dialect.backbones import Backbone, Template

TEXT = (
    "{% for message in messages %}[{{ message.role }}]{% for part in message.content %}{{ part.text }}{% endfor %}"
    "[end]{% endfor %}"
)

@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles(Backbone):
    def resized(self, width, height):
        return 448, 448

    def template(self, *, thinking):
        return Template(TEXT, thinking, False, {"fields": {}}, ("--tool-call-parser", self.tool_parser))

BACKBONE = Tiles(
    name="tile-vl", model_type="tile_vl", example="tiles/Tile-VL", frame=Frame.PIXELS, factor=28, merge=2,
    min_pixels=448 * 448, max_pixels=448 * 448, llama_factory="tile_vl", tool_parser="tiles", end_of_turn="[end]",
    special_tokens=("[end]", "<tile>"), placeholders=("<tile>",),
)
"""


@pytest.fixture
def tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """The family, its package being installed."""
    installed(tmp_path, monkeypatch, {"gog.backbones": {"tile-vl": "tile_family:BACKBONE"}}, tile_family=MODULE)
    look_again(BACKBONES, monkeypatch)
    return BACKBONES["tile-vl"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small_run(tmp_path / "lake")


def sft(lake: Lake, form: str, backbone: Backbone) -> Exported:
    return export_sft(source_of(lake), ExportRequest(target=Target(form, backbone)))


def test_pictures_are_resized_as_the_family_does(tiles: Backbone) -> None:
    assert fitted_size(400, 300, ModelSettings(family="tile-vl")) == (448, 448)
    assert fitted_size(448, 448, ModelSettings(family="tile-vl")) is None
    assert tiles.visual_tokens(400, 300) == 16 * 16
    with pytest.raises(ValidationError, match=r"there are .*qwen3-vl, .*tile-vl"):
        ModelSettings(family="tiles-vl")


def test_an_episode_and_its_trajectories_come_in_the_frame_of_the_family(tiles: Backbone, lake: Lake) -> None:
    assert EPISODE.in_frame(tiles.spec).spec == FrameSpec(Frame.PIXELS, 28, 448 * 448, 448 * 448)
    recorded = {row.trajectory_id: row for row in lake.read_table("small", "trajectories", Trajectory)}
    done = sft(lake, "trl", tiles)
    rows = [row for path in done.folder.glob("data/*.parquet") for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 6
    assert not done.rejected
    for row in rows:
        calls = [call for message in json.loads(row["messages"]) for call in message.get("tool_calls") or ()]
        boxes = [json.loads(call["function"]["arguments"]).get("bbox_2d") for call in calls]
        # Images of 400 x 300 pixels; the run's boxes are in thousandths.
        assert [box for box in boxes if box] == [[40, 60, 120, 120], [240, 60, 320, 120]]
        step = recorded[row["id"]].steps[0]
        assert from_frame(boxes[0], tiles.spec, 400, 300) == step.box


def test_a_trainer_gets_the_familys_template_and_parser(tiles: Backbone, lake: Lake) -> None:
    done = export_rl(source_of(lake), ExportRequest(target=Target("verl", tiles)))
    assert (done.folder / "chat_template.jinja").read_text("utf-8") == tiles.template(thinking=True).text
    manifest = json.loads((done.folder / "manifest.json").read_bytes())
    assert manifest["plugins"] == {"backbone tile-vl": "gog-test-plugin 1.2"}
    assert (manifest["backbone"]["model_type"], manifest["frame"]) == ("tile_vl", "pixels")
    script = sft(lake, "ms-swift", tiles).folder / "sft.sh"
    assert "--agent_template tiles " in script.read_text("utf-8")


@pytest.mark.usefixtures("tiles")
def test_a_family_that_nobody_declares_cannot_be_exported_for(tmp_path: Path) -> None:
    (tmp_path / "other_family.py").write_text(MODULE.replace("tile-vl", "other-vl"))
    with pytest.raises(UnknownMemberError, match="there is no backbone 'other-vl'; there are"):
        Target("trl", BACKBONES["other_family:BACKBONE"])
