"""The tools of an export for verl's agent loop: every call is a turn of the shared episode.

What verl does otherwise than the episode:

- a call that is no JSON, or of an unknown tool, ends the rollout or is answered by verl itself: no strike is counted;
- a rollout that runs over `max_assistant_turns`, or over the tokens, ends without a word, and its reward is that of a
  wrong answer: verl has no reward that is missing;
- so is one whose search failed, or whose tool gave several pictures at once, where verl has a place for one, unless it
  is right all the same: the reward counts these as `tool_failed`.

Source: verl 0.9.1, `verl.tools.base_tool` and `verl.experimental.agent_loop.tool_agent_loop`.
"""

import json
from collections.abc import Mapping
from typing import Any

from verl.tools.base_tool import BaseTool  # type: ignore[import-not-found, unused-ignore]
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse  # type: ignore[import-not-found, unused-ignore]

from gog_train.verl.episode import home, take_turn


class WholeSchema(OpenAIFunctionToolSchema):  # type: ignore[misc, unused-ignore]
    """A tool's schema that is shown whole: verl's own leaves out what the items of a list are."""

    whole: dict[str, Any]

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The schema that the model was trained with."""
        return self.whole


class EpisodeTool(BaseTool):  # type: ignore[misc, unused-ignore]
    """A tool of the episode; its name is in its schema.

    `config` says where the export is, where the searches are, and in `schema` the whole schema of the tool.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema) -> None:
        super().__init__(config, WholeSchema(**tool_schema.model_dump(), whole=config["schema"]))

    async def create(
        self, instance_id: str | None = None, create_kwargs: Mapping[str, Any] | None = None, **_: Any
    ) -> tuple[str, ToolResponse]:
        """The id is what the row says: each call is wrapped in a create and a release, and the state outlives them."""
        return json.dumps(dict(create_kwargs or {})), ToolResponse()

    async def execute(
        self, instance_id: str, parameters: Mapping[str, Any], agent_data: Any = None, **_: Any
    ) -> tuple[ToolResponse, float, dict[str, Any]]:
        """Take the turn in the episode; returns what the model is told, and the crop."""
        shared = home(*(str(self.config[key]) for key in ("export", "calls", "text_search", "image_search", "pages")))
        blocks = await take_turn(shared, json.loads(instance_id), self.name, parameters, agent_data)
        text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        images = [block["image"] for block in blocks if block["type"] == "image"]
        return ToolResponse(text=text, image=images) if images else ToolResponse(text=text), 0.0, {}
