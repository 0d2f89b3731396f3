"""Write a Qwen2.5-VL with random weights of half a million parameters to a folder: `python tiny_vlm.py FOLDER`.

Runs in an environment with torch and transformers; needs no hub, no network and no torchvision.
"""

# mypy: ignore-errors
# It runs in an environment of its own, whose packages are not here.

import json
import shutil
import sys
from pathlib import Path

SPECIALS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
TEMPLATE = """\
{%- macro shown(content) -%}
{%- if content is string %}{{ content }}{% else %}{% for part in content -%}
{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif -%}
{%- endfor %}{% endif -%}
{%- endmacro -%}
{%- if tools %}<|im_start|>system
Tools: {{ tools | tojson }}<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ shown(message.content) }}{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}
"""


def write(folder: Path) -> None:
    """Model, tokenizer (256 bytes and a few special tokens), image processor and their configurations."""
    import torch
    from processing_tiny import TinyProcessor
    from tokenizers import pre_tokenizers
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2Tokenizer,
        Qwen2VLImageProcessorPil,
    )

    torch.manual_seed(0)
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    end = "<|endoftext|>"
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary, merges=[], eos_token="<|im_end|>", pad_token=end, unk_token=end, extra_special_tokens=SPECIALS
    )
    image_processor = Qwen2VLImageProcessorPil(patch_size=14, min_pixels=28 * 28, max_pixels=4 * 28 * 28)
    ids = {
        name: tokenizer.convert_tokens_to_ids(token)
        for name, token in {
            "image_token_id": "<|image_pad|>",
            "video_token_id": "<|video_pad|>",
            "vision_start_token_id": "<|vision_start|>",
            "vision_end_token_id": "<|vision_end|>",
        }.items()
    }
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6},
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 56,
        "fullatt_block_indexes": [1],
        "out_hidden_size": 64,
    }
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    TinyProcessor(image_processor=image_processor, tokenizer=tokenizer, chat_template=TEMPLATE).save_pretrained(folder)
    shutil.copy(Path(__file__).with_name("processing_tiny.py"), folder)
    path = folder / "processor_config.json"
    config = json.loads(path.read_text()) if path.exists() else {}
    config |= {"processor_class": "TinyProcessor", "auto_map": {"AutoProcessor": "processing_tiny.TinyProcessor"}}
    path.write_text(json.dumps(config))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
