"""The lines of a plan: who is asked for what, how often, at what cost, from samples or assumptions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gog.pipelines.config.config import Config
from gog.pipelines.connect.addresses import price_name
from gog.pipelines.connect.stores import prices_of
from gog.pipelines.rehearse.samples import NOTHING, Column, Range, Samples, added, interval, unseen
from gog.schemas import Behaviour
from gog.transforms.services.gateway.prices import Price, find_price
from gog.transforms.services.providers import embedded
from gog.transforms.services.search.settings import JUDGE

EASY: Final = (0.0, 0.3)
"""Share of seeds that screening finds easy, where it is not known."""
TURNS: Final = (2, 5)
"""Of an episode that is not observed; a config with fewer allowed turns has fewer."""
SEARCHES: Final = {"text_search": (0, 1), "image_search": (0, 2), "page": (0, 2)}
"""In an episode of one call a turn; attempts at one seed share many, and the store answers the second."""
PROMPT: Final = (1_500, 6_000)
"""Tokens that a call of a model reads: instructions, a picture, the turns so far."""
WRITTEN: Final = (50, 500)
EMBEDDED_RATE: Final = (50.0, 300.0)
"""Calls a second of the embedded services, all of them together: they share the process."""
LATENCY_S: Final = (1.0, 10.0)
"""Of a call to a service outside."""


@dataclass(frozen=True, slots=True)
class Line:
    """The calls of one service for one purpose."""

    service: str
    """Its address; its id where only a preview has asked it."""
    name: str
    """What its price is looked up by."""
    kind: str
    purpose: str
    calls: Range
    tokens: Range
    cost: Range | None
    """US dollars; None where no price is known."""
    seconds: Range
    """Lengths of the calls, added up."""
    sampled: Column | None = None
    """What previewed seeds asked, by seed; None where it is assumed."""
    price: Price | None = None


class Rule(NamedTuple):
    """How often a service is asked: for each of which unit, and how many times."""

    service: str
    kind: str
    purpose: str
    unit: str
    each: Range


def dollars(column: Column, price: Price) -> list[float]:
    """What each seed's calls cost."""
    rows = zip(column.calls, column.read, column.written, strict=True)
    return [price.cost(read, written, calls) for calls, read, written in rows]


def rules_of(config: Config) -> Iterator[Rule]:
    """Who is asked for what, with bounds of how often where nothing was observed."""
    episode, synthesize = config.episode, config.synthesize
    turns, one = Range(min(TURNS[0], episode.max_turns), min(TURNS[1], episode.max_turns)), Range(0, 1)
    asks = {tool.asks for tool in episode.offered}
    services = {"text_search": config.text_search, "image_search": config.image_search, "page": config.pages}
    tools = [(service, kind) for kind, service in services.items() if kind in asks]
    yield Rule(config.teacher, "chat", "screen", "pass", Range(1, 1))
    for judge in config.judges:
        yield Rule(judge, "chat", "screen", "pass", one)
    if config.detector:
        yield Rule(config.detector, "detect", "propose", "hard seed", Range(1, 1))
    if config.propose.teacher:
        yield Rule(config.teacher, "chat", "propose", "hard seed", Range(1, 1))
    yield Rule(config.teacher, "chat", "episode", "rollout", turns)
    searches = {kind: Range(low, high * episode.calls_per_turn) for kind, (low, high) in SEARCHES.items()}
    for service, kind in tools:
        yield Rule(service, kind, "episode", "rollout", searches[kind])
    plans_text = {Behaviour.TEXT, Behaviour.MIXED} & set(synthesize.compose.weights)
    yield Rule(config.teacher, "chat", "compose", "composed", turns)
    for service, kind in tools:
        if kind == "image_search":
            yield Rule(service, kind, "compose", "composed", Range(1, 3 + synthesize.compose.searches))
        elif kind == "text_search" and plans_text:
            yield Rule(service, kind, "compose", "composed", one)
    yield Rule(config.judge, "chat", "compose", "composed", one)
    if config.pages and config.reading.pages and "text_search" in asks:
        pages = Range(0, SEARCHES["text_search"][1] * config.reading.pages)
        for purpose, unit in (("episode", "rollout"), ("compose", "composed"), ("label", "try")):
            yield Rule(config.pages, "page", purpose, unit, pages)
            if config.reading.summary:
                yield Rule(config.judge, "chat", purpose, unit, pages)
    if config.search.rerank == JUDGE and "text_search" in asks:
        for purpose, unit in (("episode", "rollout"), ("compose", "composed"), ("label", "try")):
            yield Rule(config.judge, "chat", purpose, unit, Range(*SEARCHES["text_search"]))
    for judge in config.judges:
        yield Rule(judge, "chat", "verify", "trajectory", Range(0, 3))
    yield Rule(config.labeller, "chat", "label", "try", turns)
    for service, kind in tools:
        yield Rule(service, kind, "label", "try", searches[kind])
    for judge in config.judges:
        yield Rule(judge, "chat", "label", "try", one)


def assumed_line(rule: Rule, units: Mapping[str, Range], config: Config) -> Line:
    """The line where no seed was previewed."""
    return _assumed(rule, units[rule.unit] * rule.each, price_name(rule.service, rule.kind, config), config)


def sampled_line(rule: Rule, samples: Samples, left: int, config: Config) -> Line | None:
    """The line from previewed seeds; None for a purpose that a preview has not."""
    if rule.purpose == "label":
        return None
    name = price_name(rule.service, rule.kind, config)
    column = samples.take(rule.kind, rule.purpose, name if rule.kind == "chat" else f"{name}:")
    if column is None:
        return _assumed(rule, unseen(samples.seeds, left), name, config)
    return _observed(rule, column, name, left, config)


def lines_left(samples: Samples, left: int, config: Config) -> Iterator[Line]:
    """Lines of what previewed seeds asked that no rule has taken."""
    for (kind, purpose, provider), column in sorted(samples.columns.items()):
        rule = Rule(provider, kind, purpose, "", NOTHING)
        yield _observed(rule, column, provider, left, config)


def _observed(rule: Rule, column: Column, name: str, left: int, config: Config) -> Line:
    """The line of so many seeds as those that were previewed."""
    line = _assumed(rule, interval(column.calls, left), name, config)
    # Requests that another run had bought have no time here; they take as long as the others.
    timed = interval(column.seconds, left) * (sum(column.calls) / column.timed) if column.timed else line.seconds
    return replace(
        line,
        tokens=interval(added([column.read, column.written]), left),
        cost=None if line.price is None else interval(dollars(column, line.price), left),
        seconds=timed,
        sampled=column,
    )


def _assumed(rule: Rule, calls: Range, name: str, config: Config) -> Line:
    """The line of so many calls whose tokens and times nobody has seen. `name` is what the price is looked up by."""
    price = find_price(name, prices_of(config))
    read, written = (Range(*PROMPT), Range(*WRITTEN)) if rule.kind == "chat" else (NOTHING, NOTHING)
    cost = None
    if price is not None:
        cost = calls * Range(price.cost(read.low, written.low), price.cost(read.high, written.high))
    slow, fast = EMBEDDED_RATE
    seconds = Range(calls.low / fast, calls.high / slow) if embedded(rule.service) else calls * Range(*LATENCY_S)
    tokens = calls * read.plus(written)
    return Line(rule.service, name, rule.kind, rule.purpose, calls, tokens, cost, seconds, price=price)
