"""LLaMA-Factory: JSONL, its entry in dataset_info.json, and the config of its SFT. It has no RL with tools."""

import json
from pathlib import Path

from gog.pipelines.export.card_data import CardFacts
from gog.pipelines.export.formats.export_format import CUTOFF, ExportFormat, json_lines, rendered
from gog.schemas import Split
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export import llama_factory

_CARD = """\
For LLaMA-Factory 0.9.5 and {{ facts.backbone | code }}: boxes, sizes and tools are as that backbone has them; `images` holds the
images. From inside of the folder, `llamafactory-cli train sft.yaml` trains with the paper's settings. A turn that may
not be learned stands inside of the text before the next one, which is masked.
"""  # noqa: E501


def _recipe(folder: Path, backbone: Backbone, facts: CardFacts, episode: EpisodeSettings) -> None:
    info = {
        f"gog_{split}": {"file_name": f"{split}.jsonl", "formatting": "sharegpt", "columns": llama_factory.COLUMNS}
        for split in facts.filled
    }
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=1) + "\n", "utf-8")
    values = {
        "example": backbone.example,
        "min_pixels": backbone.min_pixels,
        "most_pixels": 2 * backbone.max_pixels,
        "template": (not facts.thinking and backbone.llama_factory_plain) or backbone.llama_factory,
        "thinking": facts.thinking,
        "cutoff": CUTOFF,
        "validation": Split.VALIDATION.value in facts.filled,
    }
    (folder / "sft.yaml").write_text(rendered("llama_factory/sft.yaml.j2", values), "utf-8")


FORMAT = ExportFormat(
    "llama-factory", {"sft": json_lines(llama_factory.sft)}, _CARD, learnable=llama_factory.learnable, recipe=_recipe
)
