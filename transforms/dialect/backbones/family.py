"""What a family of models is to the engine: box frame, resize, tokens, chat template, layers, and what others call it.

Defaults are Qwen-VL's: ChatML with tool calls as JSON in tags, which vLLM calls the hermes format. A family that does
otherwise gives other values, or is a subclass with methods of its own. The budgets of pixels are ours: 1,280 visual
tokens an image at most, so that an episode with crops stays within its length.
"""

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Literal

from gog.schemas import Frame, FrameSpec
from gog.schemas.boxes import smart_resize

SPECIAL_TOKENS: Final = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template with what parses it back. A chat is a prefix of every longer one."""

    text: str
    """Jinja, with generation markers."""
    thinking: bool
    """true: a turn's reasoning stands in `<think>` tags; false: it is plain text before the call or the answer."""
    opened: bool
    """The generation prompt ends with the opening tag of a thought."""
    response: dict[str, Any]
    """How transformers parses a reply (`tokenizer.response_template`, transformers 5.13 and later)."""
    vllm_flags: tuple[str, ...]
    """Arguments of `vllm serve`, beside `--chat-template`, that parse what the template writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """What an export, a trainer and a server have to agree on."""

    name: str
    model_type: str
    """The one in a checkpoint's config."""
    text_types: tuple[str, ...] = ()
    """Model types of the language model in it, where there are others of which an adapter meets no more than a part."""
    example: str
    """A model of the family, for the commands that are shown."""
    frame: Frame
    """How the family writes boxes."""
    factor: int
    """Side of a visual token in pixels: patch size times merge size."""
    merge: int = 2
    """Patches that a visual token is wide."""
    min_pixels: int
    max_pixels: int

    special_tokens: tuple[str, ...] = SPECIAL_TOKENS
    """Tokens without which a tokenizer cannot write the format: each has to be one token."""
    start: str = ""
    """What a chat begins with."""
    begin_of_turn: str = "<|im_start|>"
    end_of_turn: str = "<|im_end|>"
    """The token that ends a turn,"""
    end_of_call: str = ""
    """and the one that ends a turn with calls, where that is another."""
    assistant: str = "assistant"
    system: str = "system"
    """Roles as they are written; without a system's, what it says begins the first turn of the user."""
    chat: str = "chatml.jinja"
    """The template's file, beside this one, behind what all share."""
    placeholders: tuple[str, ...] = ("<|image_pad|>", "<|video_pad|>")
    """Tokens that stand for an image's features, the first one for a still image's: no reply may hold them."""
    image: str = "<|vision_start|><|image_pad|><|vision_end|>"
    """An image in the text of a chat."""
    span: tuple[str, str] = ("<|image_pad|>", "<|image_pad|>")
    """What the processor looks for in it, and what it writes there of an image of one token."""
    inputs: tuple[str, ...] = ("pixel_values", "image_grid_thw")
    """What the model takes of what the image processor makes."""
    marks: str = "mm_token_type_ids"
    """The input that is 1 for each placeholder and 0 for text; empty where the model takes none."""
    mutual: bool = False
    """The tokens of an image see one another, also those behind them."""
    thought_tokens: bool = True
    """`<think>` and `</think>` are tokens, without which vLLM's parsers of thoughts do not start."""
    opens_thought: bool = False
    """With thinking on, the prompt ends with the opening tag of the thought."""
    tool_parser: str = "hermes"
    """What vLLM and ms-swift call the form of the tool calls."""

    language: str = r"(?:.*\.)?language_model\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj"
    vision: str = r"(?:.*\.)?visual\.blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.(?:\w+_proj|linear_fc\d))"
    """Linear layers of the transformer blocks, by name, of the language model and of the vision tower; empty where
    no adapter can be put on the tower."""
    experts: tuple[str, ...] = ()
    """Ends of the names of weights that an adapter is on beside the layers: those that hold all experts of a block."""

    balancing: bool = True
    """Whether TRL adds the loss that balances a model's experts, where its config asks for one."""

    formats: tuple[str, ...] = ()
    """Formats whose trainers were seen to read an export for the family; none: all, as far as its package knows."""
    llama_factory: str = ""
    """LLaMA-Factory's name of the chat template,"""
    llama_factory_plain: str = ""
    """and of the one without thoughts, where that is another."""
    swift_budget: Literal["pixels", "tokens"] = "pixels"
    """What ms-swift limits an image by."""

    @property
    def spec(self) -> FrameSpec:
        """The frame with its numbers."""
        return FrameSpec(self.frame, self.factor, self.min_pixels, self.max_pixels)

    @property
    def ends(self) -> tuple[str, ...]:
        """The tokens that end a turn."""
        return (self.end_of_turn, *filter(None, [self.end_of_call]))

    def layers(self, *, vision: bool) -> str:
        """A pattern of the names of the layers that an adapter is on, with the vision tower's or without."""
        return f"{self.language}|{self.vision}" if vision else self.language

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Size that the processor makes of an image of so many pixels. Raises `BoxError` on one that it refuses."""
        return smart_resize(width, height, self.factor, self.min_pixels, self.max_pixels)

    def visual_tokens(self, width: int, height: int) -> int:
        """Tokens of an image of so many pixels. Raises `BoxError` on a shape that the processor refuses."""
        resized = self.resized(width, height)
        return resized[0] * resized[1] // self.factor**2

    def processed(self, image_processor: Any, image: Any) -> tuple[int, int, int]:
        """Width and height in pixels that transformers' processor makes of an image, and the side of a visual token."""
        _, rows, columns = image_processor(images=[image], return_tensors="pt")["image_grid_thw"][0].tolist()
        patch = int(image_processor.patch_size)
        return columns * patch, rows * patch, patch * int(image_processor.merge_size)

    @property
    def image_settings(self) -> dict[str, Any]:
        """What makes transformers' and vLLM's image processor keep to the budget."""
        return {"size": {"shortest_edge": self.min_pixels, "longest_edge": self.max_pixels}}

    def spanned(self, text: str) -> str:
        """The text of a chat with images as the processor writes them, each of one token."""
        return text.replace(*self.span)

    def template(self, *, thinking: bool) -> Template:
        """The chat template of training and serving."""
        opened = thinking and self.opens_thought
        folder = files("gog.transforms.dialect.backbones")
        text = "".join(folder.joinpath(name).read_text("utf-8") for name in ("shared.jinja", self.chat))
        text = text.removesuffix("\n")
        for name, value in {
            "thinking": thinking,
            "opened": opened,
            "start": self.start,
            "begin": self.begin_of_turn,
            "end": self.end_of_turn,
            "assistant": self.assistant,
            "system": self.system,
            "image": self.image,
        }.items():
            text = text.replace(f"__{name.upper()}__", json.dumps(value))
        flags: tuple[str, ...] = ("--enable-auto-tool-choice", "--tool-call-parser", self.tool_parser)
        fields: dict[str, Any] = {
            "tool_calls": {
                "open": "<tool_call>",
                "close_pattern": r"</tool_call>\s*",
                "repeats": True,
                "content": "json",
                "transform": {"type": "function", "function": "{content}"},
            },
            "content": {"close_pattern": rf"(?:{'|'.join(map(re.escape, self.ends))})\s*", "content": "text"},
        }
        if thinking:
            # The qwen3 parser wants both tags in the reply; deepseek_r1's takes one that begins inside of a thought.
            parser = ("--reasoning-parser", "deepseek_r1" if opened else "qwen3")
            flags = (*flags, *parser) if self.thought_tokens else flags
            thought = {"open": "<think>", "close_pattern": r"</think>\s*", "content": "text"}
            fields = {"reasoning_content": thought, **fields}
        anchor = f"{self.begin_of_turn}{self.assistant}\n"
        response = {"defaults": {"role": "assistant"}, "start_anchor": anchor, "fields": fields}
        return Template(text, thinking, opened, response, flags)
