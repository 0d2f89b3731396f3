"""Questions of an episode to a served model, and what it says."""

import asyncio
from collections.abc import Sequence

from fakes import MemoryImages, picture
from real_vllm.environment import BACKBONE

from gog.schemas import WHOLE, EpisodeImage, Function, ImagePart, Message, TextPart, ToolCall
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start, system_prompt
from gog.transforms.services.http import close_client
from gog.transforms.services.models.chat import ChatModel, ModelSettings
from gog.transforms.services.protocols import ChatReply, ChatRequest, Sampling

SETTINGS = ModelSettings(family=BACKBONE.name, min_pixels=BACKBONE.min_pixels, max_pixels=BACKBONE.max_pixels)
GREEDY = Sampling(0.0, 1.0, 120)
SIZES = ((640, 480), (300, 700), (1200, 900))


def first_turns(images: MemoryImages, sampling: Sampling = GREEDY, index: int = 0) -> list[ChatRequest]:
    """The first turn about pictures of several sizes, and a turn after a crop."""
    episode = EpisodeSettings().in_frame(BACKBONE.spec)
    tools = offered_tools(episode)
    made = []
    for width, height in SIZES:
        image = EpisodeImage(sha256=images.put(picture(width, height), "png"), width=width, height=height, box=WHOLE)
        begun = start(episode, "How many flags are there?", [image], system_prompt(episode)[0])
        made.append(begun.messages)
    crop = images.put(picture(400, 400), "png")
    call = ToolCall(id="call_0_0", function=Function(name="gaze", arguments='{"bbox_2d": [100, 100, 500, 500]}'))
    told = (ImagePart(image=crop), TextPart(text="Image 1: the crop (400 x 400 pixels).\ngaze found nothing."))
    looked = Message(role="assistant", content="", reasoning_content="Look 1.", tool_calls=(call,))
    made.append((*made[0], looked, Message(role="tool", content=told, tool_call_id="call_0_0")))
    return [ChatRequest(tuple(messages), tools, sampling, index) for messages in made]


def ask(base: str, name: str, images: MemoryImages, requests: Sequence[ChatRequest]) -> list[str]:
    """What the model at an endpoint says, all at once."""
    model = ChatModel(base, name, images, SETTINGS)

    async def go() -> list[str]:
        try:
            return [said(reply) for reply in await asyncio.gather(*map(model.complete, requests))]
        finally:
            await close_client()

    return asyncio.run(go())


def said(reply: ChatReply) -> str:
    """A reply as one text, whoever parsed it."""
    message = reply.message
    thought = message.reasoning_content or ""
    calls = "".join(f"{call.function.name}{call.function.arguments}" for call in message.tool_calls)
    text = f"{thought}{message.text}".replace("<think>", "").replace("</think>", "")
    return "".join(f"{text}{calls}".split())
