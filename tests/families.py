"""The backbones that tests have tiny models, tokenizers and golden files of; a further one brings tests of its own."""

from typing import Final

FAMILIES: Final = ("qwen2.5-vl", "qwen3-vl")

NEWER: Final = ("qwen3-vl-moe", "qwen3.5", "qwen3.5-moe")
"""Those that share Qwen3-VL's processor and template, and differ in their layers: what they share is tested once."""

SQUARE: Final = ("internvl3.5", "gemma3")
"""Those whose processor makes a square of every picture."""

GLM: Final = ("glm4v", "glm4v-moe")
"""Those in whose chats the role of whoever speaks next ends a turn."""

CHATS: Final = (*FAMILIES, "internvl3.5", "gemma3", "glm4v")
"""Those whose chats are written otherwise than another's."""
