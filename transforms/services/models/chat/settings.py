"""What a model behind an endpoint needs said differently from the plain case."""

import hashlib
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from gog.prompts import prompt_hash
from gog.schemas import canonical_json
from gog.transforms.dialect.backbones import BACKBONES, Backbone, FamilyName
from gog.transforms.services.gateway.json_replies import JSON_PROMPT

_MOST_PIXELS: Final = 1280 * 28 * 28
"""Of a model of no known family."""

_OURS: Final = frozenset(
    {
        "model", "messages", "tools", "tool_choice", "temperature", "top_p", "max_tokens", "max_completion_tokens",
        "seed", "n", "stream", "stream_options", "response_format",
    }
)  # fmt: skip
"""Keys of a request that `body` may not set."""


class ModelSettings(BaseModel):
    """How one model is spoken to. The defaults suit vLLM, SGLang and llama.cpp; hosted ones may need some changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_env: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")
    """Environment variable that holds the key; empty for none."""
    revision: str = Field(default="", max_length=100)
    """Part of the model's id: set it when the endpoint serves other weights under the same name."""
    family: FamilyName | None = None
    """Whose smart resize fits images to the budget. None: scaled down, the shape kept."""
    min_pixels: int | None = Field(default=None, ge=1, le=1 << 28)
    """Least pixels of an image: a smaller one is scaled up to it; by default the family's own."""
    max_pixels: int | None = Field(default=None, ge=1024, le=1 << 28)
    """Pixel budget of an image, by default 1,280 visual tokens. For boxes in `resized_pixels` the endpoint and the
    episode must have the same."""
    image_types: tuple[Literal["jpeg", "png", "webp"], ...] = Field(default=("jpeg", "png", "webp"), min_length=1)
    """File types that are sent as they are; others are sent as JPEG, or the first of these."""
    tool_images: Literal["tool", "user"] = "tool"
    """Whether images of a tool's result stay in its message, or follow in a user message (OpenAI's own endpoint)."""
    merge_users: bool = False
    """Join user messages that follow one another, for chat templates that insist on turns."""
    past_reasoning: Literal["reasoning_content", "reasoning", "think", "none"] = "reasoning_content"
    """How the reasoning of earlier turns is sent: in which field, as `<think>` in the content, or not at all."""
    thinking: bool | None = None
    """`enable_thinking` of the chat template, where the endpoint takes `chat_template_kwargs`; None leaves it."""
    thinking_tokens: int = Field(default=0, ge=0, le=1 << 20)
    """What a reply may have beyond the limit of its request, for a model that thinks first: a judge is given 512 tokens
    for its verdict, whoever it is."""
    json_replies: Literal["schema", "object", "prompt"] = "schema"
    """How JSON is asked for: by the endpoint's JSON schema; by its JSON mode, and in words; or in words alone."""
    sampling: Literal["both", "temperature", "none"] = "both"
    """Which of temperature and top_p are sent: some hosted models refuse one or both."""
    seeded: bool = True
    """Whether the sample's number is sent as the seed."""
    length_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Key of the request that limits the reply."""
    body: dict[str, JsonValue] = Field(default_factory=dict)
    """More keys of the request, such as `top_k` or `chat_template_kwargs`; those that the client sets are refused."""

    @model_validator(mode="after")
    def _body_is_free(self) -> "ModelSettings":
        if taken := sorted(self.body.keys() & _OURS):
            raise ValueError(f"body may not set {', '.join(taken)}: other settings do")
        template = self.body.get("chat_template_kwargs", {})
        if not isinstance(template, dict) or (self.thinking is not None and "enable_thinking" in template):
            raise ValueError("body.chat_template_kwargs is a table without enable_thinking: use thinking")
        if self.least_pixels > self.most_pixels:
            raise ValueError(f"min_pixels {self.least_pixels} is more than max_pixels {self.most_pixels}")
        if self.backbone and self.most_pixels < self.backbone.factor**2:
            raise ValueError("max_pixels is less than one visual token")
        return self

    @property
    def backbone(self) -> Backbone | None:
        """The family, with its factor and its budget."""
        return BACKBONES[self.family] if self.family else None

    @property
    def least_pixels(self) -> int:
        """`min_pixels`, or the family's own."""
        return self.min_pixels or (self.backbone.min_pixels if self.backbone else 1)

    @property
    def most_pixels(self) -> int:
        """`max_pixels`, or 1,280 visual tokens of the family."""
        return self.max_pixels or (self.backbone.max_pixels if self.backbone else _MOST_PIXELS)


def model_id(model: str, settings: ModelSettings) -> str:
    """Id of a model: its name, `@revision` where set, `+` and a short hash where settings differ from the defaults.

    The endpoint's address is no part of it: the same model elsewhere gives the same answers, and the store has them.
    Every setting that changes the request counts, so that a refusal of the request before is not taken for the next's.
    """
    changed = settings.model_dump(mode="json", exclude_defaults=True, exclude={"key_env", "revision"})
    named = f"{model}@{settings.revision}" if settings.revision else model
    if not changed:
        return named
    if settings.json_replies != "schema":
        changed["prompt"] = prompt_hash(JSON_PROMPT)
    return f"{named}+{hashlib.sha256(canonical_json(changed).encode()).hexdigest()[:8]}"
