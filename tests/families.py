"""The backbones that tests have tiny models, tokenizers and golden files of; a further one brings tests of its own."""

from typing import Final

FAMILIES: Final = ("qwen2.5-vl", "qwen3-vl")
