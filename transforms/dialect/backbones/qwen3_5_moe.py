"""Qwen3.5 with experts: one shared expert of ordinary layers, and many that are slices of one weight.

Source: transformers 5.19, `qwen3_5_moe`.
"""

from dataclasses import replace

from gog.transforms.dialect.backbones.qwen3_5 import BACKBONE as QWEN3_5
from gog.transforms.dialect.backbones.qwen3_vl_moe import BACKBONE as QWEN3_VL_MOE

BACKBONE = replace(
    QWEN3_5,
    name="qwen3.5-moe",
    model_type="qwen3_5_moe",
    example="Qwen/Qwen3.5-35B-A3B",
    experts=QWEN3_VL_MOE.experts,
)
