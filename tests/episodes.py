"""Episodes without models and tools: fresh ones, what a tool gives back, and turns played."""

from collections.abc import Sequence
from typing import Any

from fakes import hit, sha

from gog.schemas import WHOLE, Box, EpisodeImage, Evidence, FailureClass, Hit, Message
from gog.transforms.episode.machine import Episode, EpisodeSettings, act, observe, start
from gog.transforms.episode.tool import ToolResult

IMAGE = EpisodeImage(sha256=sha("original"), width=1000, height=500, box=WHOLE)


def begin(**changes: Any) -> Episode:
    """A fresh episode."""
    return start(EpisodeSettings(**changes), "What is it?", [IMAGE], "You look.")


def result(
    episode: Episode,
    hits: Sequence[Hit] = (),
    *,
    failure: FailureClass | None = None,
    crop: bool = True,
    covers: Box | None = None,
) -> ToolResult:
    """What a tool gives back to what is pending: for a gaze, a crop of exactly the box."""
    pending = episode.pending
    assert pending is not None
    key = f"{pending.tool.name}/{dict(pending.arguments)}/{pending.box}"
    pictures = (found(pending.picture),) if pending.picture and failure is None else ()
    if pending.found is not None and crop:
        pictures = (found(sha(key), origin=pending.found.sha256),)
    evidence = Evidence(
        evidence_id=f"evidence-{sha(key)[:16]}",
        tool=pending.tool.name,
        hits=() if pictures else tuple(hits),
        pictures=pictures,
        provider="fake",
        failure=failure,
    )
    if pending.box is None or pending.found is not None or not crop:
        return ToolResult(evidence)
    box = covers or pending.box
    width, height = max(1, round((box.x2 - box.x1) * 1000)), max(1, round((box.y2 - box.y1) * 500))
    return ToolResult(evidence, EpisodeImage(sha256=sha(key), width=width, height=height, box=box))


def found(sha256: str, *, width: int = 200, height: int = 100, origin: str = "") -> EpisodeImage:
    """A picture that was found, or a crop of the one of that origin."""
    box = Box(0, 0, 0.5, 0.5) if origin else WHOLE
    return EpisodeImage(sha256=sha256, width=width, height=height, box=box, origin=origin or sha256)


def play(episode: Episode, *turns: Message, hits: Sequence[Hit] = (hit("Kenya"),)) -> Episode:
    """Take turns; tools answer at once."""
    for turn in turns:
        episode = act(episode, turn)
        while episode.pending is not None:
            episode = observe(episode, result(episode, hits))
    return episode


def several(*calls: Message) -> Message:
    """One turn with all of their calls."""
    return Message(role="assistant", tool_calls=tuple(call.tool_calls[0] for call in calls))
