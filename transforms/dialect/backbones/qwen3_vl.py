"""Qwen3-VL: boxes in thousandths of the image; a thinking model finds the opening tag of its thought in the prompt.

Source: its published config and chat template.
"""

from gog.schemas import Frame
from gog.transforms.dialect.backbones.family import Backbone

BACKBONE = Backbone(
    name="qwen3-vl",
    model_type="qwen3_vl",
    example="Qwen/Qwen3-VL-8B-Thinking",
    frame=Frame.PER_MILLE,
    factor=32,
    min_pixels=256 * 256,
    max_pixels=1280 * 32 * 32,
    llama_factory="qwen3_vl",
    llama_factory_plain="qwen3_vl_nothink",
    swift_budget="tokens",
    opens_thought=True,
)
