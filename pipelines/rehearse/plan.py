"""What a run would do and cost, before it does anything: nothing is called and nothing is written.

Each stage makes so many calls for each of its units (a seed, an attempt, a try). What previewed seeds of this very
config asked gives an interval; the rest is assumed, and the plan says so. Money follows from tokens, calls and prices.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import check_addresses
from gog.pipelines.connect.stores import read_store
from gog.pipelines.lake.lake import STEP_TABLES, Lake, LakeError, is_lake
from gog.pipelines.rehearse.estimate import (
    EASY,
    EMBEDDED_RATE,
    LATENCY_S,
    PROMPT,
    TURNS,
    WRITTEN,
    Line,
    assumed_line,
    dollars,
    lines_left,
    rules_of,
    sampled_line,
)
from gog.pipelines.rehearse.outcomes import kept_of, read_outcomes
from gog.pipelines.rehearse.samples import NOTHING, Column, Range, Samples, added, interval, read_samples
from gog.pipelines.steps.ingest import Seeds
from gog.pipelines.steps.run import made_from
from gog.transforms.services.gateway.prices import FREE, Price, list_prices
from gog.transforms.services.providers import embedded, host_or_scheme


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. `cost` is None where a service has no known price."""

    run: str
    rows: int
    shards: int
    done: Mapping[str, int]
    """Shards that each step has finished."""
    left: int
    """Rows in shards that are not synthesized yet."""
    units: Mapping[str, Range]
    lines: tuple[Line, ...]
    calls: Range
    tokens: Range
    cost: Range | None
    seconds: Range
    store_bytes: int
    notes: tuple[str, ...]
    previewed: int = 0
    """Seeds whose preview was taken for the lines that are sampled."""
    kept: Range | None = None
    """Trajectories for SFT; None without a preview."""


def plan(config: Config) -> Plan:
    """The plan. Raises `ConfigError`, `SourceError`, `MappingError`, and `LakeError`, as the run would."""
    check_addresses(config, keyed=False)
    seeds = Seeds.of(config)
    sizes = {spec.shard: spec.rows for spec in seeds.rows.shards()}
    lake = Lake(config.lake, create=False) if is_lake(config.lake) else None
    done = _done(lake, config, made_from(config, seeds))
    left = sum(rows for shard, rows in sizes.items() if shard not in done["synthesize"])
    samples, store_bytes = _observed(config) if lake else (None, 0)
    units = _units(config, sum(sizes.values()), left, done)
    rules = [rule for rule in rules_of(config) if units[rule.unit].high]
    previewed = samples.seeds if samples and left else 0
    if samples and previewed:
        lines = [sampled_line(rule, samples, left, config) or assumed_line(rule, units, config) for rule in rules]
        lines += lines_left(samples, left, config)
    else:
        lines = [assumed_line(rule, units, config) for rule in rules]
    lines = [line for line in lines if line.calls.high]
    cost = _cost(lines, left)
    earlier = _earlier(lake, config, made_from(config, seeds)) if lake else ()
    kept = kept_of(read_outcomes(lake, config), sum(sizes.values()), config) if lake else None
    notes = (
        *_assumptions(lines, previewed, config),
        *([kept.words] if kept else ()),
        *earlier,
        *_prices(lines, cost, config),
        *_keys(config),
    )
    return Plan(
        run=config.run,
        rows=sum(sizes.values()),
        shards=len(sizes),
        done={step: len(shards) for step, shards in done.items()},
        left=left,
        units=units,
        lines=tuple(lines),
        calls=_total(lines, left, lambda line: line.calls, lambda column, _: column.calls),
        tokens=_total(lines, left, lambda line: line.tokens, lambda column, _: added([column.read, column.written])),
        cost=cost,
        seconds=_seconds(config, lines),
        store_bytes=store_bytes,
        notes=notes,
        previewed=previewed,
        kept=kept.range if kept else None,
    )


def _total(
    lines: Sequence[Line],
    left: int,
    of_line: Callable[[Line], Range],
    of_column: Callable[[Column, Price], Sequence[float]],
) -> Range:
    """The sum: sampled lines seed by seed, as a seed with many calls of one kind has many of another.

    Their interval is not outside what the lines say one by one.
    """
    assumed = _sum(of_line(line) for line in lines if not line.sampled)
    columns = [of_column(line.sampled, line.price or FREE) for line in lines if line.sampled]
    if not columns:
        return assumed
    alone, together = _sum(of_line(line) for line in lines if line.sampled), interval(added(columns), left)
    return assumed.plus(Range(max(alone.low, together.low), min(alone.high, together.high)))


def _cost(lines: Sequence[Line], left: int) -> Range | None:
    if any(line.cost is None for line in lines):
        return None
    return _total(lines, left, lambda line: line.cost or NOTHING, dollars)


def _done(lake: Lake | None, config: Config, signature: str) -> dict[str, set[int]]:
    """Shards that each step of the run has finished."""
    manifest = lake.read_manifest(config.run) if lake else None
    if manifest is not None and manifest.fingerprint != signature:
        raise LakeError(
            f"the run {config.run!r} was made with another config or source; give this one another name with --run"
        )
    if lake is None or manifest is None:
        return {step: set() for step in STEP_TABLES}
    return {step: lake.done(config.run, step) for step in STEP_TABLES}


def _observed(config: Config) -> tuple[Samples | None, int]:
    """Previewed seeds, and how large the store is."""
    store = read_store(config)
    if store is None:
        return None, 0
    with closing(store):
        return read_samples(config, store), store.size()


def _units(config: Config, rows: int, left: int, done: Mapping[str, set[int]]) -> dict[str, Range]:
    """How many of each unit there will be."""
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


def _seconds(config: Config, lines: Sequence[Line]) -> Range:
    """Time at work: the embedded services share the process, each provider outside has its window and its limits."""
    total = _sum(line.seconds for line in lines if embedded(line.service))
    gateway: dict[str, list[Line]] = {}
    for line in lines:
        if not embedded(line.service):
            gateway.setdefault(host_or_scheme(line.service), []).append(line)
    for provider, theirs in gateway.items():
        limits = config.limits.get(provider)
        window = min(config.window, limits.in_flight) if limits else config.window
        paces = [_sum(line.seconds for line in theirs) * (1 / window)]
        if limits and limits.requests_per_minute:
            paces.append(_sum(line.calls for line in theirs) * (60 / limits.requests_per_minute))
        if limits and limits.tokens_per_minute:
            paces.append(_sum(line.tokens for line in theirs) * (60 / limits.tokens_per_minute))
        total = total.plus(Range(max(pace.low for pace in paces), max(pace.high for pace in paces)))
    return total


def _assumptions(lines: Sequence[Line], previewed: int, config: Config) -> Iterator[str]:
    """What the lines were made from."""
    if previewed == 1:
        yield "observed in a preview of one seed, which says little (half to twice): lines marked +"
    elif previewed:
        yield f"observed in a preview of {previewed:,} seeds, 95% intervals: lines marked +"
    yield f"assumed: {EASY[0]:.0%} to {EASY[1]:.0%} of the seeds are right in every pass without tools"
    if any(not line.sampled and line.purpose in {"episode", "compose", "label"} for line in lines):
        most = min(TURNS[1], config.episode.max_turns)
        searches = 3 * config.episode.calls_per_turn
        turns = f"{TURNS[0]} to {most} turns an episode, of {config.episode.max_turns} allowed"
        yield f"assumed: {turns}, and up to {searches} searches"
        if any(not line.sampled and line.kind == "chat" for line in lines):
            low, high = PROMPT[0] + WRITTEN[0], PROMPT[1] + WRITTEN[1]
            yield f"assumed: {low:,} to {high:,} tokens a call of a model, pictures included"
    outside = any(not embedded(line.service) for line in lines)
    latency = f", {LATENCY_S[0]:g} to {LATENCY_S[1]:g} s for a call outside" if outside else ""
    rate = f"{EMBEDDED_RATE[0]:g} to {EMBEDDED_RATE[1]:g}"
    yield f"assumed: {rate} calls a second of the embedded services{latency}"
    if config.budget.max_calls is not None and config.budget.max_calls < _sum(line.calls for line in lines).high:
        yield f"the ceiling of {config.budget.max_calls:,} calls may stop it; a higher one goes on"


def _earlier(lake: Lake, config: Config, signature: str) -> Iterator[str]:
    """A run that has bought all of it."""
    manifests = (lake.read_manifest(run) for run in lake.runs() if run != config.run)
    same = (m.run for m in manifests if m and m.fingerprint == signature and m.state == "done")
    if run := next(same, ""):
        yield f"the run {run!r} was made of the same config and source: the store answers all of this"


def _prices(lines: Sequence[Line], cost: Range | None, config: Config) -> Iterator[str]:
    unknown = sorted({line.name for line in lines if line.price is None})
    if unknown:
        refused = "; with max_cost set a run is refused" if config.budget.max_cost is not None else ""
        yield f"no price is known for {', '.join(unknown)}: add it to prices in the config{refused}"
    paid = {line.service: line.price for line in lines if line.price and line.price != FREE}
    for service, price in sorted(paid.items()):
        listed = next((one for one in list_prices().values() if one.price == price and one.id in service), None)
        of = f"list price as of {listed.as_of}" if listed else "price"
        yield f"{of}: {service.rstrip(':')} {_spell_price(price)}"
    ceiling = config.budget.max_cost
    if cost is not None and ceiling is not None and ceiling < cost.high:
        yield f"the ceiling of ${ceiling:,.2f} may stop it; a higher one goes on"


def _keys(config: Config) -> Iterator[str]:
    """What a run would stop at though a plan does not."""
    try:
        check_addresses(config)
    except ConfigError as error:
        yield f"a run needs its keys: {error}; gog doctor checks all of them"


def _spell_price(price: Price) -> str:
    parts = []
    if price.prompt_per_million or price.completion_per_million:
        parts.append(
            f"${price.prompt_per_million:g} and ${price.completion_per_million:g} a million tokens read, written"
        )
    if price.per_call:
        parts.append(f"${price.per_call:g} a call")
    return ", ".join(parts)


def _sum(ranges: Iterable[Range]) -> Range:
    return reduce(Range.plus, ranges, NOTHING)
