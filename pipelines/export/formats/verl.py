"""verl: Parquet of its own, with the agent loop's name, chat template, config and launch script.

There is no SFT: verl's learns every turn, wrong ones too.
"""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import yaml

from gog.pipelines.export.card_data import CardFacts
from gog.pipelines.export.formats.export_format import DATA, ExportFormat, SplitPlace, rendered, write_script
from gog.pipelines.export.parquet import IMAGES, SplitWriter, with_features
from gog.schemas import Split
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export import verl
from gog.transforms.export.rows import RlRow, SftRow
from gog.transforms.image_store import ImageStore

_LOOP: Final = "gog_train.verl.agent_loop.EpisodeAgentLoop"

_CARD = """\
For verl 0.9.1 and {{ facts.backbone | code }}: boxes, sizes and tools are as that backbone has them. In an environment with verl and
glance-or-gaze, `MODEL=FOLDER ./launch.sh` trains with the settings of `grpo.yaml`; the chat template is `chat_template.jinja`, and
`images` holds the originals that the tools cut from.
"""  # noqa: E501


class VerlSplit(SplitWriter):
    """Writes one split of verl's Parquet; the originals, from which the tools cut, are files beside it."""

    def __init__(self, place: SplitPlace) -> None:
        self._pictures = place.pictures
        self._originals: dict[str, list[str]] = {}
        fit = place.pictures.fit
        super().__init__(place.folder / DATA, place.split.value, verl_schema(), place.rows_per_file, self._verl, fit)

    def add(self, row: SftRow | RlRow, images: ImageStore | None) -> None:
        """Write a row with its images."""
        if images is not None:
            names = [self._pictures.name(images, sha256, row.id, whole=True) for sha256 in row.image_sha256]
            self._originals[row.id] = names
        super().add(row, images)

    def _verl(self, row: RlRow) -> dict[str, Any]:
        return verl.rl(row, self.rows, self._originals.pop(row.id))


_TEXT: Final = pa.string()


def verl_schema() -> pa.Schema:
    """Columns of verl's rows.

    `datasets` finds out by itself what they hold: the images stay bytes with a path.
    """
    fields = [
        pa.field("data_source", _TEXT),
        pa.field("prompt", pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))),
        pa.field("ability", _TEXT),
        pa.field("reward_model", pa.struct([("style", _TEXT), ("ground_truth", _TEXT)])),
        pa.field("agent_name", _TEXT),
        pa.field(
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    ("split", _TEXT),
                    ("seed_id", _TEXT),
                    ("source_id", _TEXT),
                    ("level", pa.int64()),
                    ("pass_rate", pa.float64()),
                    ("images", pa.list_(_TEXT)),
                ]
            ),
        ),
        pa.field("images", IMAGES),
    ]
    return with_features(fields)


def _recipe(folder: Path, backbone: Backbone, facts: CardFacts, episode: EpisodeSettings) -> None:
    def parquet(split: Split) -> str:
        # Nobody validates on a split that is not there: verl wants a file, and gets the one it trains on.
        name = split if split.value in facts.filled else Split.TRAIN
        paths = sorted((folder / DATA).glob(f"{name.value}-*.parquet"))
        return ", ".join(f'"${{oc.env:GOG_EXPORT}}/{DATA}/{path.name}"' for path in paths)

    values = {
        "train_files": parquet(Split.TRAIN),
        "val_files": parquet(Split.VALIDATION),
        "patch_size": backbone.factor // backbone.merge,
        "agent": verl.AGENT,
        "episode": episode,
        "backbone": backbone.name,
        "example": backbone.example,
        "atlas": facts.atlas,
    }
    (folder / "grpo.yaml").write_text(rendered("verl/grpo.yaml.j2", values), "utf-8")
    write_script(folder / "launch.sh", rendered("verl/launch.sh.j2", values))
    write_script(folder / "merge.sh", rendered("verl/merge.sh.j2", values))
    loop = [{"name": verl.AGENT, "_target_": _LOOP}]
    (folder / "agent.yaml").write_text(yaml.safe_dump(loop, sort_keys=False), "utf-8")
    (folder / "chat_template.jinja").write_text(backbone.template(thinking=facts.thinking).text, "utf-8")


FORMAT = ExportFormat("verl", {"rl": VerlSplit}, _CARD, f"{DATA}/{{}}-*.parquet", recipe=_recipe)
