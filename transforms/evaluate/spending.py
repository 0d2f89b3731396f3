"""What an evaluation asked of the outside: how much came back, how much was bought, what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass

from gog.schemas import Event
from gog.transforms.evaluate.share import Share


@dataclass(frozen=True, slots=True)
class Used:
    """What was asked of one provider for one purpose, added up over all sessions of an evaluation."""

    provider: str
    kind: str
    """chat, text_search, image_search, page, ..."""
    purpose: str
    """The paradigm, or `judge`."""
    questions: int
    from_store: int
    """Answered by the store, or by an equal question that was under way."""
    came_back: Share
    """Of the questions that really went out, those that came back with an answer: the fetch success rate."""
    calls: int
    """Requests made, every attempt counted."""
    prompt_tokens: int
    """Bought."""
    completion_tokens: int
    cost: float
    """US dollars spent."""


@dataclass(slots=True)
class _Sum:
    questions: int = 0
    from_store: int = 0
    out: int = 0
    back: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


def used(events: Iterable[Event]) -> tuple[Used, ...]:
    """The events added up, by provider, kind and purpose."""
    sums: dict[tuple[str, str, str], _Sum] = {}
    for event in events:
        one = sums.setdefault((event.provider, event.kind, event.purpose), _Sum())
        one.questions += 1
        one.from_store += event.from_store
        if not event.from_store and not (event.failure and event.failure.unasked):
            one.out += 1
            one.back += event.failure is None
        one.calls += event.attempts
        one.prompt_tokens += event.prompt_tokens
        one.completion_tokens += event.completion_tokens
        one.cost += event.cost
    return tuple(
        Used(
            *key,
            questions=one.questions,
            from_store=one.from_store,
            came_back=Share.of(one.back, one.out),
            calls=one.calls,
            prompt_tokens=one.prompt_tokens,
            completion_tokens=one.completion_tokens,
            cost=one.cost,
        )
        for key, one in sorted(sums.items())
    )
