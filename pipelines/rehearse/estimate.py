"""The lines of a plan: who is asked for what, how often, at what cost, from samples, an earlier run or assumptions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gog.pipelines.config.config import Config
from gog.pipelines.connect.services import policy_id, price_name
from gog.pipelines.connect.stores import prices_of
from gog.pipelines.rehearse.samples import (
    NOTHING,
    Column,
    Range,
    Samples,
    added,
    interval,
    unseen,
)
from gog.schemas import Behaviour, Tool
from gog.transforms.services.gateway.budget import EMBEDDED
from gog.transforms.services.gateway.prices import FREE, Price, find_price
from gog.transforms.services.store.records import Tally

EASY: Final = (0.0, 0.3)
"""Share of seeds that screening finds easy, where it is not known."""
TURNS: Final = (2, 5)
"""Of an episode that is not observed; a config with fewer allowed turns has fewer."""
SEARCHES: Final = {"text_search": (0, 1), "image_search": (0, 2)}
"""In an episode; attempts at one seed share many, and the store answers the second."""
PROMPT: Final = (1_500, 6_000)
"""Tokens that a call of a model reads: instructions, a picture, the turns so far."""
WRITTEN: Final = (50, 500)
EMBEDDED_RATE: Final = (50.0, 300.0)
"""Calls a second of the embedded services, all of them together: they share the process."""
LATENCY_S: Final = (1.0, 10.0)
"""Of a call to a service outside."""
MARGIN: Final = 0.1
"""Around what was observed."""


@dataclass(frozen=True, slots=True)
class Line:
    """The calls of one service for one purpose."""

    service: str
    kind: str
    purpose: str
    calls: Range
    tokens: Range
    cost: Range | None
    """US dollars; None where no price is known."""
    seconds: Range
    """Lengths of the calls, added up."""
    observed: bool
    """Taken from an earlier run or a preview, not assumed."""
    sampled: Column | None = None
    """What previewed seeds asked, by seed."""
    price: Price | None = None


class Rule(NamedTuple):
    """How often a service is asked: for each of which unit, and how many times."""

    service: str
    kind: str
    purpose: str
    unit: str
    each: Range


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run with the same teacher: its units, and its events by provider, kind and purpose."""

    run: str
    config: Config
    funnel: Mapping[str, tuple[int, int]]
    """Entered and passed, by stage."""
    tally: Sequence[Tally]
    seconds: float

    @property
    def easy(self) -> Range | None:
        """Share of easy seeds."""
        entered, passed = self.funnel.get("screen", (0, 0))
        share = 1 - passed / entered if entered else None
        return None if share is None else Range(max(0.0, share - MARGIN / 2), min(1.0, share + MARGIN / 2))

    def units(self) -> dict[str, float]:
        """What its calls were made for."""
        seeds, hard = self.funnel.get("screen", (0, 0))
        synthesize = self.config.synthesize
        return {
            "pass": seeds * self.config.screen.passes,
            "hard seed": hard,
            "rollout": hard * synthesize.rollouts,
            "composed": hard * synthesize.composed,
            "trajectory": self.funnel.get("verify", (0, 0))[0],
            "try": self.funnel.get("label", (0, 0))[0] * self.config.label.k,
        }


def dollars(column: Column, price: Price) -> list[float]:
    tokens = zip(column.calls, column.read, column.written, strict=True)
    per_token = Price(price.prompt_per_million, price.completion_per_million)
    return [
        calls * price.per_call + per_token.cost(1, 0) * read + per_token.cost(0, 1) * said
        for calls, read, said in tokens
    ]


def rules_of(config: Config) -> Iterator[Rule]:
    """Who is asked for what, with bounds of how often where nothing was observed."""
    episode, synthesize = config.episode, config.synthesize
    turns, one = Range(min(TURNS[0], episode.max_turns), min(TURNS[1], episode.max_turns)), Range(0, 1)
    pictures = Tool.IMAGE_SEARCH in episode.tools or Tool.GAZE in episode.tools
    tools = [(config.text_search, "text_search")] if Tool.TEXT_SEARCH in episode.tools else []
    tools += [(config.image_search, "image_search")] if pictures else []
    yield Rule(config.teacher, "chat", "screen", "pass", Range(1, 1))
    yield Rule(config.judge, "chat", "screen", "pass", one)
    if config.detector:
        yield Rule(config.detector, "detect", "propose", "hard seed", Range(1, 1))
    if config.propose.teacher:
        yield Rule(config.teacher, "chat", "propose", "hard seed", Range(1, 1))
    yield Rule(config.teacher, "chat", "episode", "rollout", turns)
    for service, kind in tools:
        yield Rule(service, kind, "episode", "rollout", Range(*SEARCHES[kind]))
    plans_text = {Behaviour.TEXT, Behaviour.MIXED} & set(synthesize.compose.weights)
    yield Rule(config.teacher, "chat", "compose", "composed", turns)
    for service, kind in tools:
        if kind == "image_search":
            yield Rule(service, kind, "compose", "composed", Range(1, 3 + synthesize.compose.searches))
        elif plans_text:
            yield Rule(service, kind, "compose", "composed", one)
    if config.pages and tools[:1] == [(config.text_search, "text_search")]:
        pages = Range(0, SEARCHES["text_search"][1] * config.reading.pages)
        for purpose, unit in (("episode", "rollout"), ("compose", "composed"), ("label", "try")):
            yield Rule(config.pages, "page", purpose, unit, pages)
            if config.reading.summary:
                yield Rule(config.judge, "chat", purpose, unit, pages)
    yield Rule(config.judge, "chat", "verify", "trajectory", Range(0, 2))
    yield Rule(config.labeller, "chat", "label", "try", turns)
    for service, kind in tools:
        yield Rule(service, kind, "label", "try", Range(*SEARCHES[kind]))
    yield Rule(config.judge, "chat", "label", "try", one)


def sampled_line(rule: Rule, samples: Samples, left: int, config: Config) -> Line | None:
    """The line from previewed seeds; None for a purpose that a preview has not."""
    if rule.purpose == "label":
        return None
    price = _price(rule, config)
    provider = policy_id(rule.service, config) if rule.kind == "chat" else rule.service.partition(":")[0] + ":"
    column = samples.take(rule.kind, rule.purpose, provider)
    if column is None:
        calls = unseen(samples.seeds, left)
        tokens, cost = _assumed_tokens(rule, calls, price)
        return Line(
            rule.service, rule.kind, rule.purpose, calls, tokens, cost, _assumed_seconds(rule, calls, None), False,
            price=price,
        )  # fmt: skip
    return _observed_line(rule, column, price, left)


def _observed_line(rule: Rule, column: Column, price: Price | None, left: int) -> Line:
    calls = interval(column.calls, left)
    seconds = _assumed_seconds(rule, calls, None)
    if column.timed:
        # Requests that another run had bought have no time here; they take as long as the others.
        seconds = interval(column.seconds, left) * (sum(column.calls) / column.timed)
    return Line(
        rule.service,
        rule.kind,
        rule.purpose,
        calls,
        interval(added([column.read, column.written]), left),
        None if price is None else interval(dollars(column, price), left),
        seconds,
        True,
        column,
        price,
    )


def lines_left(samples: Samples, left: int, config: Config) -> Iterator[Line]:
    """Lines of what previewed seeds asked that no rule has taken."""
    for (kind, purpose, provider), column in sorted(samples.columns.items()):
        rule = Rule(provider, kind, purpose, "", NOTHING)
        free = provider.partition(":")[0] in EMBEDDED
        yield _observed_line(rule, column, FREE if free else find_price(provider, prices_of(config)), left)


def line_of(rule: Rule, units: Mapping[str, Range], earlier: Earlier | None, config: Config) -> Line:
    seen, price = _seen(rule, earlier, config), _price(rule, config)
    each = rule.each
    if seen is not None and earlier is not None and each.low != each.high:
        per_unit = seen.events / earlier.units()[rule.unit]
        made = (seen.events - seen.from_store) / earlier.units()[rule.unit]
        each = Range(made * (1 - MARGIN), per_unit * (1 + MARGIN))
    calls = units[rule.unit] * each
    tokens, cost = _assumed_tokens(rule, calls, price)
    if seen is not None and seen.calls and seen.prompt_tokens and rule.kind == "chat":
        around = Range((1 - MARGIN) / seen.calls, (1 + MARGIN) / seen.calls)
        tokens = calls * around * (seen.prompt_tokens + seen.completion_tokens)
        if price is not None:
            tokens_cost = price.cost(seen.prompt_tokens, seen.completion_tokens) - price.per_call
            cost = (calls * around * tokens_cost).plus(calls * price.per_call)
    seconds = _assumed_seconds(rule, calls, earlier)
    return Line(rule.service, rule.kind, rule.purpose, calls, tokens, cost, seconds, seen is not None, price=price)


def _price(rule: Rule, config: Config) -> Price | None:
    """Price of the rule's service."""
    name = price_name(rule.service, rule.kind, config)
    return find_price(name, prices_of(config)) if name else FREE


def _assumed_tokens(rule: Rule, calls: Range, price: Price | None) -> tuple[Range, Range | None]:
    read, written = (Range(*PROMPT), Range(*WRITTEN)) if rule.kind == "chat" else (NOTHING, NOTHING)
    cost = None
    if price is not None:
        per_read, per_written = price.prompt_per_million / 1e6, price.completion_per_million / 1e6
        cost = calls * (read * per_read).plus(written * per_written).plus(Range(price.per_call, price.per_call))
    return calls * read.plus(written), cost


def _assumed_seconds(rule: Rule, calls: Range, earlier: Earlier | None) -> Range:
    if rule.service.partition(":")[0] not in EMBEDDED:
        return calls * Range(*LATENCY_S)
    slow, fast = EMBEDDED_RATE
    if earlier is not None and earlier.seconds > 1:
        rate = sum(tally.events for tally in earlier.tally) / earlier.seconds
        slow, fast = rate * (1 - 3 * MARGIN), rate * (1 + 3 * MARGIN)
    return Range(calls.low / fast, calls.high / slow)


def _seen(rule: Rule, earlier: Earlier | None, config: Config) -> Tally | None:
    """What the earlier run did for the rule; None where it did nothing of the kind, or with another service."""
    if earlier is None or not earlier.units()[rule.unit]:
        return None
    theirs = earlier.config
    if rule.purpose == "label" and theirs.labeller != config.labeller:
        return None
    if rule.service == config.judge and theirs.judge != config.judge:
        return None
    for tally in earlier.tally:
        if (tally.kind, tally.purpose) != (rule.kind, rule.purpose):
            continue
        if rule.kind != "chat" and tally.provider.partition(":")[0] == rule.service.partition(":")[0]:
            return tally
        if rule.kind == "chat" and tally.provider == policy_id(rule.service, config):
            return tally
    return None
