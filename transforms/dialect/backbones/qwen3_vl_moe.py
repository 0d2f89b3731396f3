"""Qwen3-VL with experts: Qwen3-VL but for the layers, where an expert is a slice of one weight, no layer.

Source: transformers 5.19, `qwen3_vl_moe`; the processor and the chat template are Qwen3-VL's.
"""

from dataclasses import replace

from gog.transforms.dialect.backbones.qwen3_vl import BACKBONE as QWEN3_VL

BACKBONE = replace(
    QWEN3_VL,
    name="qwen3-vl-moe",
    model_type="qwen3_vl_moe",
    example="Qwen/Qwen3-VL-30B-A3B-Thinking",
    experts=("mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
    formats=("trl",),
)
