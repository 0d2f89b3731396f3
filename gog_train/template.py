"""The chat template of training and serving: one source for both backbones, thinking on or off.

Thinking on: a turn's reasoning stands in `<think>` tags. Qwen3-VL-Thinking finds the opening tag in the prompt, as it
was trained; Qwen2.5-VL writes it. Thinking off: the reasoning is plain text before the call or the answer.

Tool turns are what vLLM calls the hermes format. A tool's last message in a row closes its turn, so a conversation is a
prefix of every longer one, except that several results of one turn stand in one message.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from gog.transforms.dialect.backbones import BackboneName

SPECIAL_TOKENS: Final = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
"""Tokens without which a tokenizer cannot write the format: each has to be one token."""


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template with what parses it back."""

    text: str
    """Jinja, with generation markers."""
    thinking: bool
    opened: bool
    """The generation prompt ends with the opening tag of a thought."""

    @property
    def response(self) -> dict[str, Any]:
        """How transformers parses a reply (`tokenizer.response_template`, transformers 5.13 and later)."""
        fields: dict[str, Any] = {
            "tool_calls": {
                "open": "<tool_call>",
                "close_pattern": r"</tool_call>\s*",
                "repeats": True,
                "content": "json",
                "transform": {"type": "function", "function": "{content}"},
            },
            "content": {"close_pattern": r"<\|im_end\|>\s*", "content": "text"},
        }
        if self.thinking:
            thought = {"open": "<think>", "close_pattern": r"</think>\s*", "content": "text"}
            fields = {"reasoning_content": thought, **fields}
        return {"defaults": {"role": "assistant"}, "start_anchor": "<|im_start|>assistant\n", "fields": fields}

    @property
    def vllm_flags(self) -> tuple[str, ...]:
        """Arguments of `vllm serve`, beside `--chat-template`, that parse what the template writes."""
        flags = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
        if not self.thinking:
            return flags
        # The qwen3 parser wants both tags in the reply; deepseek_r1's takes one that begins inside of a thought.
        return (*flags, "--reasoning-parser", "deepseek_r1" if self.opened else "qwen3")


def template(backbone: BackboneName, *, thinking: bool) -> Template:
    """The template of a backbone."""
    opened = thinking and backbone is BackboneName.QWEN3_VL
    source = files("gog_train").joinpath("chat_template.jinja").read_text("utf-8").removesuffix("\n")
    text = source.replace("__THINKING__", str(thinking).lower()).replace("__OPENED__", str(opened).lower())
    return Template(text, thinking, opened)
