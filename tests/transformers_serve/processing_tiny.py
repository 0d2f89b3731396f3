"""Processor of the tiny model: Qwen2.5-VL's, without its branch for videos, which needs torchvision."""

# mypy: ignore-errors
# It runs in an environment of its own, whose packages are not here.

from transformers import Qwen2_5_VLProcessor
from transformers.processing_utils import ProcessorMixin


class TinyProcessor(Qwen2_5_VLProcessor):
    """Text and images."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **more):
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        self.vision_start_token_id = tokenizer.convert_tokens_to_ids("<|vision_start|>")
        self.vision_end_token_id = tokenizer.convert_tokens_to_ids("<|vision_end|>")
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
