"""Folding: in a long episode what tools told before the last turn is shortened for the model, every so many turns.

Between two folds a chat only grows, so that each stretch is one sequence of tokens. What the model saw is recorded.
"""

from collections.abc import Sequence
from typing import Final

from gog.schemas import Fold, Message
from gog.transforms.dialect.observations import clip_tokens

FOLDED_TOKENS: Final = 60
"""Length of what is left of an observation, estimated by bytes."""


def folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The chat with each observation but those after the last turn shortened to its beginning, without pictures."""
    last = max(at for at, message in enumerate(messages) if message.role == "assistant")
    return tuple(
        _short(message) if message.role == "tool" and at < last else message for at, message in enumerate(messages)
    )


def _short(message: Message) -> Message:
    text = clip_tokens(message.text, FOLDED_TOKENS)
    if message.images:
        text += "\n(Not shown any more; it keeps its number.)"
    return message if text == message.text else message.model_copy(update={"content": text})


def seen(messages: Sequence[Message], folds: Sequence[Fold]) -> tuple[Message, ...]:
    """The whole chat as the model saw it from its last fold on."""
    if not folds:
        return tuple(messages)
    before = folds[-1].messages
    return (*before, *messages[len(before) :])
