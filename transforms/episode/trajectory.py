"""From a finished episode to a trajectory, and to what a policy may see of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from gog.schemas import WHOLE, EpisodeImage, ImagePart, Message, Origin, Seed, TextPart, Trajectory, content_id
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.folding import seen
from gog.transforms.episode.machine import EpisodeSettings, behaviour_of, offered_tools, system_prompt
from gog.transforms.episode.steps import is_reflective


@dataclass(frozen=True, slots=True)
class Making:
    """How a trajectory was made."""

    origin: Origin
    teacher: str
    sample_index: int
    prompt_hashes: Mapping[str, str]
    plan: str = ""
    plan_used_gold: bool = False


def images_of(seed: Seed) -> tuple[EpisodeImage, ...]:
    """The pictures of the seed's question, which are the first images of its episodes."""
    original = EpisodeImage(sha256=seed.image_sha256, width=seed.width, height=seed.height, box=WHOLE)
    further = (
        EpisodeImage(sha256=image.sha256, width=image.width, height=image.height, box=WHOLE, on_image=number)
        for number, image in enumerate(seed.further_images, 1)
    )
    return (original, *further)


def make_trajectory(seed: Seed, driven: Driven, making: Making) -> Trajectory:
    """The record of an episode that has stopped; its id is a hash of what was said and done."""
    episode = driven.episode
    if episode.stop is None:
        raise ValueError("the episode has not stopped")
    messages = [message.model_dump(mode="json", exclude_defaults=True) for message in episode.messages]
    identity = [seed.seed_id, making.origin, making.teacher, making.sample_index, making.plan, messages]
    return Trajectory(
        trajectory_id=content_id("trajectory", identity),
        seed_id=seed.seed_id,
        sample_index=making.sample_index,
        origin=making.origin,
        behaviour=behaviour_of(episode),
        reflective=is_reflective(episode.steps),
        messages=episode.messages,
        tools=offered_tools(episode.settings),
        images=episode.images,
        steps=episode.steps,
        folds=episode.folds,
        answer=episode.answer,
        stop=episode.stop,
        teacher=making.teacher,
        frame=episode.settings.frame.value,
        prompt_hashes=dict(making.prompt_hashes),
        plan=making.plan,
        plan_used_gold=making.plan_used_gold,
        prompt_tokens=driven.prompt_tokens,
        completion_tokens=driven.completion_tokens,
    )


def policy_view(trajectory: Trajectory, settings: EpisodeSettings) -> tuple[Message, ...]:
    """The messages as a policy will meet them: its own system prompt, and no hints; folded as at the last turn.

    Hints are the text after the question in the first user message (`machine.start`).
    """
    system, _ = system_prompt(settings)
    first, asked, *rest = seen(trajectory.messages, trajectory.folds)
    if first.role != "system" or asked.role != "user" or isinstance(asked.content, str):
        raise ValueError(f"{trajectory.trajectory_id} does not begin with a system prompt and a question")
    images = tuple(takewhile(lambda part: isinstance(part, ImagePart), asked.content))
    question = next(iter(asked.content[len(images) :]), None)
    if not images or not isinstance(question, TextPart):
        raise ValueError(f"{trajectory.trajectory_id} does not begin with an image and a question")
    clean = Message(role="user", content=(*images, question))
    return (Message(role="system", content=system), clean, *rest)
