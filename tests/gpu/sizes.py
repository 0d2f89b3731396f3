"""The two models of the first hour: one that any machine trains, and one that gives a GPU something to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BACKBONE: Final = "qwen3-vl"


@dataclass(frozen=True)
class Size:
    """A model, and how much of what it is trained on at a time."""

    text: Mapping[str, float]
    vision: Mapping[str, int]
    batch: int
    """Rows of a step of SFT."""
    learning_rate: float
    grpo: Mapping[str, int]


SIZES: Final = {
    "tiny": Size(
        {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 32,
         "initializer_range": 0.08},
        {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 128},
        batch=2,
        learning_rate=1e-2,
        grpo={"questions": 2, "rollouts": 4, "device_batch_size": 2, "max_tokens": 1024, "turn_tokens": 64,
              "context": 8192},
    ),
    "100M": Size(
        {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 14, "num_attention_heads": 12,
         "num_key_value_heads": 4, "head_dim": 64,
         "initializer_range": 0.03},
        {"depth": 8, "hidden_size": 384, "intermediate_size": 1024, "num_heads": 6, "out_hidden_size": 768},
        batch=8,
        learning_rate=1e-3,
        grpo={"questions": 8, "rollouts": 4, "device_batch_size": 2, "max_tokens": 2048, "turn_tokens": 128,
              "context": 8192},
    ),
}  # fmt: skip
"""By their names in the table."""
