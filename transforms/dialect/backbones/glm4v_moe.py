"""GLM-4.5V and GLM-4.6V: GLM-4.1V with experts, one of which is shared and ordinary layers, behind a dense block.

PEFT takes `gate_proj` and its kin among layers for experts of former checkpoints and puts the adapter elsewhere: here
they are named as weights, and the vision tower's cannot be named apart. Experts are balanced by a bias of the router;
TRL's loss for that finds no number of experts in the config. Source: transformers 5.19, `glm4v_moe`; PEFT 0.21,
`transformers_weight_conversion`; the processor is `glm4v`'s.
"""

from dataclasses import replace

from gog.transforms.dialect.backbones.glm4v import BACKBONE as GLM4V
from gog.transforms.dialect.backbones.qwen3_vl_moe import BACKBONE as QWEN3_VL_MOE

BACKBONE = replace(
    GLM4V,
    name="glm4v-moe",
    model_type="glm4v_moe",
    example="zai-org/GLM-4.5V",
    language=r"(?:.*\.)?language_model\.layers\.\d+\.self_attn\.\w+_proj",
    vision="",
    balancing=False,
    experts=(
        *QWEN3_VL_MOE.experts,
        *(
            f"{mlp}.{side}_proj.weight"
            for mlp in ("mlp.shared_experts", "layers.0.mlp")
            for side in ("gate", "up", "down")
        ),
    ),
)
