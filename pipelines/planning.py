"""What a run would do and cost, before it does anything: nothing is called and nothing is written.

Each stage makes so many calls for each of its units (a seed, an attempt, a try). Where an earlier run in the lake had
the same teacher, its calls, tokens and pace are taken; otherwise they are assumed, and the plan says what was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gog.pipelines.config import Config, ConfigError, parse_config
from gog.pipelines.context import STEP_TABLES
from gog.pipelines.ingest import Seeds
from gog.pipelines.lake import Lake, LakeError
from gog.pipelines.opening import check_addresses, policy_id
from gog.pipelines.run import made_from
from gog.pipelines.views import open_lake
from gog.schemas import Behaviour, Tool
from gog.transforms.services.budget import EMBEDDED
from gog.transforms.services.store import Mode, Store, Tally
from gog.transforms.services.store_file import FILE

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


class Range(NamedTuple):
    """From the least that is likely to the most."""

    low: float
    high: float

    def __mul__(self, other: object) -> "Range":
        """Range by range, or by a number."""
        by = other if isinstance(other, Range) else Range(float(other), float(other))  # type: ignore[arg-type]
        return Range(self.low * by.low, self.high * by.high)

    def plus(self, other: "Range") -> "Range":
        """The sum."""
        return Range(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Line:
    """The calls of one service for one purpose."""

    service: str
    kind: str
    purpose: str
    calls: Range
    tokens: Range
    observed: bool
    """Taken from an earlier run, not assumed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. `cost` is None where a service has no known price."""

    run: str
    rows: int
    shards: int
    done: Mapping[str, int]
    """Shards that each step has finished."""
    left: int
    """Rows in shards that are not synthesised yet."""
    units: Mapping[str, Range]
    lines: tuple[Line, ...]
    calls: Range
    tokens: Range
    cost: Range | None
    seconds: Range
    store_bytes: int
    notes: tuple[str, ...]


class _Rule(NamedTuple):
    """How often a service is asked: for each of which unit, and how many times."""

    service: str
    kind: str
    purpose: str
    unit: str
    each: Range


@dataclass(frozen=True, slots=True)
class _Earlier:
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


def plan(config: Config) -> Plan:
    """The plan. Raises `ConfigError`, `SourceError`, `MappingError`, and `LakeError`, as the run would."""
    check_addresses(config)
    seeds = Seeds.of(config)
    sizes = {spec.shard: spec.rows for spec in seeds.rows.shards()}
    lake = Lake(Path(config.lake), create=False) if (Path(config.lake) / "lake.json").exists() else None
    done = _done(lake, config, made_from(config, seeds))
    left = sum(rows for shard, rows in sizes.items() if shard not in done["synthesize"])
    earlier = _earlier(lake, config) if lake else None
    notes: list[str] = []
    units = _units(config, sum(sizes.values()), left, done, earlier, notes)
    lines = tuple(_line(rule, units, earlier, config) for rule in _rules(config) if units[rule.unit].high)
    lines = tuple(line for line in lines if line.calls.high)
    calls, tokens = _sum(line.calls for line in lines), _sum(line.tokens for line in lines)
    _say_what_was_taken(notes, lines, earlier, lake, config, made_from(config, seeds))
    free = all(line.service.partition(":")[0] in EMBEDDED for line in lines)
    store = Path(config.lake) / "store" / FILE
    return Plan(
        run=config.run,
        rows=sum(sizes.values()),
        shards=len(sizes),
        done={step: len(shards) for step, shards in done.items()},
        left=left,
        units=units,
        lines=lines,
        calls=calls,
        tokens=tokens,
        cost=Range(0.0, 0.0) if free else None,
        seconds=_seconds(config, lines, earlier),
        store_bytes=store.stat().st_size if store.exists() else 0,
        notes=tuple(notes),
    )


def _done(lake: Lake | None, config: Config, made: str) -> dict[str, set[int]]:
    """Shards that each step of the run has finished."""
    manifest = lake.read_manifest(config.run) if lake else None
    if manifest is not None and manifest.fingerprint != made:
        raise LakeError(
            f"the run {config.run!r} was made with another config or source; give this one another name with --run"
        )
    if lake is None or manifest is None:
        return {step: set() for step in STEP_TABLES}
    return {
        step: set.intersection(
            *({int(p.stem.rsplit("-", 1)[1]) for p in lake.parts(config.run, table, step)} for table in tables)
        )
        for step, tables in STEP_TABLES.items()
    }


def _earlier(lake: Lake, config: Config) -> _Earlier | None:
    """The run with the same teacher that has screened most."""
    if not (lake.store_folder / FILE).exists():
        return None
    found: list[_Earlier] = []
    with Store(lake.store_folder, Mode.REPLAY) as store:
        for run in lake.runs():
            manifest = lake.read_manifest(run)
            try:
                theirs = parse_config(manifest.config if manifest else None)
            except ConfigError:
                continue
            if manifest is None or manifest.state != "done" or theirs.teacher != config.teacher:
                continue
            with open_lake(lake.run_folder(run)) as views:
                rows = views.execute("SELECT stage, sum(entered), sum(passed) FROM funnel GROUP BY stage").fetchall()
            funnel = {stage: (int(entered), int(passed)) for stage, entered, passed in rows}
            found.append(_Earlier(run, theirs, funnel, store.tally(run), store.spend(run).hours * 3600))
    teacher = policy_id(config.teacher, config)
    found = [
        run for run in found if run.funnel.get("screen", (0, 0))[0] and any(t.provider == teacher for t in run.tally)
    ]
    return max(found, key=lambda run: run.funnel["screen"][0], default=None)


def _units(
    config: Config, rows: int, left: int, done: Mapping[str, set[int]], earlier: _Earlier | None, notes: list[str]
) -> dict[str, Range]:
    """How many of each unit there will be."""
    easy = earlier.easy if earlier else None
    if easy is None:
        notes.append(f"assumed: {EASY[0]:.0%} to {EASY[1]:.0%} of the seeds are right in every pass without tools")
        easy = Range(*EASY)
    synthesize = config.synthesize
    hard = Range(left * (1 - easy.high), left * (1 - easy.low))
    all_hard = Range(rows * (1 - easy.high), rows * (1 - easy.low))
    # Of the hard seeds, those that SFT trains on are not labelled: at most `keep` trajectories a seed, so at most all.
    pool = all_hard * Range(0.5, 1.0) if not done["label"] else Range(0.0, 0.0)
    return {
        "pass": Range(left, left) * config.screen.passes,
        "hard seed": hard,
        "rollout": hard * synthesize.rollouts,
        "composed": hard * synthesize.composed,
        "trajectory": (hard * synthesize.attempts).plus(Range(left - hard.high, left - hard.low)),
        "try": pool * config.label.k,
    }


def _rules(config: Config) -> Iterator[_Rule]:
    """Who is asked for what, with bounds of how often where nothing was observed."""
    episode, synthesize = config.episode, config.synthesize
    turns, one = Range(min(TURNS[0], episode.max_turns), min(TURNS[1], episode.max_turns)), Range(0, 1)
    pictures = Tool.IMAGE_SEARCH in episode.tools or Tool.GAZE in episode.tools
    tools = [(config.text_search, "text_search")] if Tool.TEXT_SEARCH in episode.tools else []
    tools += [(config.image_search, "image_search")] if pictures else []
    yield _Rule(config.teacher, "chat", "screen", "pass", Range(1, 1))
    yield _Rule(config.judge, "chat", "screen", "pass", one)
    if config.detector:
        yield _Rule(config.detector, "detect", "propose", "hard seed", Range(1, 1))
    if config.propose.teacher:
        yield _Rule(config.teacher, "chat", "propose", "hard seed", Range(1, 1))
    yield _Rule(config.teacher, "chat", "episode", "rollout", turns)
    for service, kind in tools:
        yield _Rule(service, kind, "episode", "rollout", Range(*SEARCHES[kind]))
    plans_text = {Behaviour.TEXT, Behaviour.MIXED} & set(synthesize.compose.weights)
    yield _Rule(config.teacher, "chat", "compose", "composed", turns)
    for service, kind in tools:
        if kind == "image_search":
            yield _Rule(service, kind, "compose", "composed", Range(1, 3 + synthesize.compose.searches))
        elif plans_text:
            yield _Rule(service, kind, "compose", "composed", one)
    yield _Rule(config.judge, "chat", "verify", "trajectory", Range(0, 2))
    yield _Rule(config.labeller, "chat", "label", "try", turns)
    for service, kind in tools:
        yield _Rule(service, kind, "label", "try", Range(*SEARCHES[kind]))
    yield _Rule(config.judge, "chat", "label", "try", one)


def _line(rule: _Rule, units: Mapping[str, Range], earlier: _Earlier | None, config: Config) -> Line:
    seen = _seen(rule, earlier, config)
    each, tokens = rule.each, Range(0, 0)
    if seen is not None and earlier is not None and each.low != each.high:
        per_unit = seen.events / earlier.units()[rule.unit]
        made = (seen.events - seen.from_store) / earlier.units()[rule.unit]
        each = Range(made * (1 - MARGIN), per_unit * (1 + MARGIN))
    if rule.kind == "chat":
        tokens = Range(PROMPT[0] + WRITTEN[0], PROMPT[1] + WRITTEN[1])
        if seen is not None and seen.calls and seen.prompt_tokens:
            mean = (seen.prompt_tokens + seen.completion_tokens) / seen.calls
            tokens = Range(mean * (1 - MARGIN), mean * (1 + MARGIN))
    calls = units[rule.unit] * each
    return Line(rule.service, rule.kind, rule.purpose, calls, calls * tokens, seen is not None)


def _seen(rule: _Rule, earlier: _Earlier | None, config: Config) -> Tally | None:
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


def _seconds(config: Config, lines: Sequence[Line], earlier: _Earlier | None) -> Range:
    """Time at work: the embedded services share the process, each service outside has its window and its limits."""
    embedded = _sum(line.calls for line in lines if line.service.partition(":")[0] in EMBEDDED)
    slow, fast = EMBEDDED_RATE
    if earlier is not None and earlier.seconds > 1:
        rate = sum(tally.events for tally in earlier.tally) / earlier.seconds
        slow, fast = rate * (1 - 3 * MARGIN), rate * (1 + 3 * MARGIN)
    total = Range(embedded.low / fast, embedded.high / slow)
    outside: dict[str, Range] = {}
    for line in lines:
        scheme = line.service.partition(":")[0]
        if scheme not in EMBEDDED:
            outside[scheme] = outside.get(scheme, Range(0, 0)).plus(line.calls)
    for scheme, calls in outside.items():
        limits = config.limits.get(scheme)
        window = min(config.window, limits.in_flight) if limits else config.window
        pace = Range(calls.low * LATENCY_S[0] / window, calls.high * LATENCY_S[1] / window)
        if limits and limits.requests_per_minute:
            least = calls * (60 / limits.requests_per_minute)
            pace = Range(max(pace.low, least.low), max(pace.high, least.high))
        total = total.plus(pace)
    return total


def _say_what_was_taken(
    notes: list[str], lines: Sequence[Line], earlier: _Earlier | None, lake: Lake | None, config: Config, made: str
) -> None:
    if earlier is not None:
        notes.insert(0, f"observed in the run {earlier.run!r}, which had the same teacher: lines marked *")
    if any(not line.observed and line.purpose in {"episode", "compose", "label"} for line in lines):
        most = min(TURNS[1], config.episode.max_turns)
        turns = f"{TURNS[0]} to {most} turns an episode, of {config.episode.max_turns} allowed, and up to 3 searches"
        notes.append(f"assumed{' for the other lines' if earlier else ''}: {turns}")
        if any(not line.observed and line.kind == "chat" for line in lines):
            low, high = PROMPT[0] + WRITTEN[0], PROMPT[1] + WRITTEN[1]
            notes.append(f"assumed: {low:,} to {high:,} tokens a call of a model, pictures included")
    if earlier is None:
        notes.append(
            f"assumed: {EMBEDDED_RATE[0]:g} to {EMBEDDED_RATE[1]:g} calls a second of the embedded services"
            + (
                f", {LATENCY_S[0]:g} to {LATENCY_S[1]:g} s for a call outside"
                if any(line.service.partition(":")[0] not in EMBEDDED for line in lines)
                else ""
            )
        )
    if config.budget.max_calls is not None and config.budget.max_calls < _sum(line.calls for line in lines).high:
        notes.append(f"the ceiling of {config.budget.max_calls:,} calls may stop it; a higher one goes on")
    for run in lake.runs() if lake else []:
        manifest = lake.read_manifest(run) if lake else None
        if run != config.run and manifest and manifest.fingerprint == made and manifest.state == "done":
            notes.append(f"the run {run!r} was made of the same config and source: the store answers all of this")
            break


def _sum(ranges: "Iterator[Range] | Sequence[Range]") -> Range:
    total = Range(0.0, 0.0)
    for one in ranges:
        total = total.plus(one)
    return total
