"""ms-swift: JSONL, and a script for SFT."""

from pathlib import Path

from gog.pipelines.export.card_data import CardFacts
from gog.pipelines.export.formats.export_format import CUTOFF, ExportFormat, json_lines, rendered, write_script
from gog.schemas import Split
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export import ms_swift

_CARD = """\
For ms-swift 4.6 and {{ facts.backbone | code }}: boxes, sizes and tools are as that backbone has them; `images` holds the images. {{ "`./sft.sh` trains with the paper's settings; `loss` says of a turn whether it is learned." | plain if facts.kind == "sft" else "The columns beside the messages are what a reward function gets; a scheduler for the tools is not part of it." | plain }}
"""  # noqa: E501


def _recipe(folder: Path, backbone: Backbone, facts: CardFacts, episode: EpisodeSettings) -> None:
    if facts.kind != "sft":
        return
    tokens = backbone.max_pixels // backbone.factor**2
    least = -(-backbone.min_pixels // backbone.factor**2)
    by_tokens = backbone.swift_budget == "tokens"
    values = {
        "example": backbone.example,
        "tool_parser": backbone.tool_parser,
        "most": f"IMAGE_MAX_TOKEN_NUM={tokens}" if by_tokens else f"MAX_PIXELS={backbone.max_pixels}",
        "least": f"IMAGE_MIN_TOKEN_NUM={least}" if by_tokens else f"MIN_PIXELS={backbone.min_pixels}",
        "cutoff": CUTOFF,
        "validation": Split.VALIDATION.value in facts.filled,
    }
    write_script(folder / "sft.sh", rendered("ms_swift/sft.sh.j2", values))


FORMAT = ExportFormat(
    "ms-swift", {"sft": json_lines(ms_swift.sft), "rl": json_lines(ms_swift.rl)}, _CARD, recipe=_recipe
)
