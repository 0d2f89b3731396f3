"""What a model takes beside the ids of chats with images: their pixels, and marks of the tokens that stand for them.

TRL's marks of a batch are its processor's, padded by a rule of its own, or none of what tools showed, or of a name that
the model does not know; with them it hands on what an image processor says of its cutting. A model whose image tokens
see one another would be trained on other probabilities than it was sampled from, and nothing would say so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image

from gog.transforms.dialect.backbones import Backbone

MARKS: Final = ("mm_token_type_ids", "token_type_ids")
"""Names of marks in a batch of TRL's."""

_OWN: Final = frozenset({"num_images", "compute_entropy", "compute_aux_loss"})
"""What TRL says to itself."""


def for_generation(
    image_processor: Any,
    prompts: Sequence[Sequence[int]],
    images: Sequence[Sequence[Image.Image]],
    backbone: Backbone,
    image_token: int,
) -> dict[str, Any]:
    """The inputs of prompts with these images: tensors, and marks as a list for each prompt."""
    made = image_processor(images=[one for shown in images for one in shown], return_tensors="pt")
    marks = [[int(token == image_token) for token in ids] for ids in prompts]
    return {name: made[name] for name in backbone.inputs} | ({backbone.marks: marks} if backbone.marks else {})


def for_training(fields: Mapping[str, Any], ids: Any, backbone: Backbone, image_token: int) -> dict[str, Any]:
    """Of TRL's fields for a batch what the model takes; `ids` are (rollouts, tokens), and marked as they stand."""
    taken = {name: value for name, value in fields.items() if name in _OWN or name in backbone.inputs}
    return taken | ({backbone.marks: (ids == image_token).int()} if backbone.marks else {})
