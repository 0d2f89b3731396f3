"""Qwen3.5: Qwen3-VL's processor, boxes in thousandths and opened thoughts; three of four layers have linear attention.

Its own chat template writes calls as XML; ours is trained and served in its place, with JSON in the same tags. verl,
ms-swift and LLaMA-Factory were not seen to read it. Source: transformers 5.19, `qwen3_5`; TRL 1.16, `qwen3_5_think`.
"""

from dataclasses import replace

from gog.transforms.dialect.backbones.qwen3_vl import BACKBONE as QWEN3_VL

BACKBONE = replace(
    QWEN3_VL,
    name="qwen3.5",
    model_type="qwen3_5",
    example="Qwen/Qwen3.5-9B",
    language=(
        r"(?:.*\.)?language_model\.layers\.\d+\."
        r"(?:(?:self_attn|mlp(?:\.shared_expert)?)\.\w+_proj|linear_attn\.(?:in_proj_\w+|out_proj))"
    ),
    formats=("trl",),
)
