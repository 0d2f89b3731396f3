"""A backbone: a made-up family that writes boxes in thousandths. `gog export sft --format trl --backbone acme-vl`.

Values are enough where a family speaks ChatML and writes tool calls in tags, as Qwen-VL does. One that does not is a
subclass with methods of its own: `resized` (its processor), `template` (its chat template and what parses it).
"""

from gog.schemas import Frame
from gog.transforms.dialect.backbones import Backbone

acme_vl = Backbone(
    name="acme-vl",
    model_type="acme_vl",  # `model_type` in a checkpoint's config.json: how a trainer knows the family
    example="acme/Acme-VL-4B",
    frame=Frame.PER_MILLE,
    factor=28,  # a visual token covers 28 x 28 pixels
    min_pixels=4 * 28 * 28,
    max_pixels=1024 * 28 * 28,  # 1,024 visual tokens an image at most
    llama_factory="acme_vl",
)
