"""Two runs side by side: in what their configs differ, and in what came of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from gog.pipelines.lake.lake import Manifest
from gog.pipelines.show.settings import PLACES, flat, without_login
from gog.pipelines.show.web.measures import Difference, Rate, difference
from gog.pipelines.show.web.run_facts import Facts, Mix
from gog.schemas import canonical_json

LONGEST: Final = 300
"""Characters of a config's value."""
Both = tuple[Facts, Facts]


class Setting(NamedTuple):
    """A key that two configs do not have alike, with its values as text; None where one has no such key."""

    key: str
    first: str | None
    second: str | None


class Measure(NamedTuple):
    """A number of both runs: a share where it is one, and by how much the second is above the first."""

    name: str
    first: Rate | str
    second: Rate | str
    difference: Difference | None = None


class Group(NamedTuple):
    """Measures that belong together; what is counted, where it is not plain."""

    name: str
    measures: list[Measure]
    note: str = ""


def settings_that_differ(first: Manifest, second: Manifest) -> list[Setting]:
    """Keys of two configs, versions and plug-ins that differ, but for what says where a run is."""
    one, two = _all_of(first), _all_of(second)
    keys = [key for key in dict.fromkeys([*one, *two]) if one.get(key) != two.get(key)]
    return [Setting(key, one.get(key), two.get(key)) for key in keys]


def _all_of(manifest: Manifest) -> dict[str, str]:
    config = {key: value for key, value in flat(manifest.config) if key not in PLACES}
    text = {key: value if isinstance(value, str) else canonical_json(value) for key, value in config.items()}
    text |= {f"version of {name}": version for name, version in manifest.versions.items()}
    text |= {f"plug-in {name}": source for name, source in manifest.plugins.items()}
    return {key: without_login(value)[:LONGEST] for key, value in text.items()}


def results(first: Facts, second: Facts) -> list[Group]:
    """What came of two runs; groups in which neither has anything are left out."""
    both = first, second
    groups = [
        Group("Yield", [*_yields(both)], "Of the seeds that were tried, or of their trajectories."),
        Group("Funnel", [*_stages(both)], "What passed, of what entered."),
        Group("Behaviours", [*_mixes(both, "behaviours", lambda mix: mix.share)], "Of all trajectories."),
        Group("Right, by behaviour", [*_mixes(both, "behaviours", lambda mix: mix.right)], "Of what could be settled."),
        Group("Behaviours of what was kept", [*_mixes(both, "behaviours", lambda mix: mix.kept_share)]),
        Group("Made by", [*_mixes(both, "origins", lambda mix: mix.share)], "Of all trajectories."),
        Group("Levels", [*_levels(both)], "Of the seeds that were labelled."),
        Group("Spend", [*_spend(both)]),
    ]
    return [group for group in groups if group.measures]


def _compared(name: str, first: Rate, second: Rate) -> Measure:
    return Measure(name, first, second, difference(first, second))


def _plain(name: str, values: Iterable[str]) -> Measure:
    first, second = values
    return Measure(name, first, second)


def _yields(both: Both) -> Iterator[Measure]:
    if not any(facts.all for facts in both):
        return
    alls = [facts.all or _none("", facts) for facts in both]
    yield _compared("seeds with a right attempt", both[0].solved, both[1].solved)
    yield _compared("trajectories that are right", alls[0].right, alls[1].right)
    for name, count in (("that nobody could settle", "unknown"), ("that were kept", "kept")):
        rates = (Rate.of(getattr(a, count), a.attempts, f.tried) for a, f in zip(alls, both, strict=True))
        yield _compared(f"trajectories {name}", *rates)


def _stages(both: Both) -> Iterator[Measure]:
    steps = [{(step.stage, step.unit): step for step in facts.funnel} for facts in both]
    for stage, unit in dict.fromkeys([*steps[0], *steps[1]]):
        rates = []
        for facts, by_name in zip(both, steps, strict=True):
            step = by_name.get((stage, unit))
            seeds = None
            if unit in ("attempt", "trajectory"):
                # What is right alone comes behind verification.
                seeds = facts.tried if stage in ("synthesize", "verify") else facts.solved.part
            rates.append(Rate.of(step.passed, step.entered, seeds) if step else Rate(0, 0))
        yield _compared(f"{stage} ({unit})", *rates)


def _mixes(both: Both, kind: str, rate: Callable[[Mix], Rate]) -> Iterator[Measure]:
    mixes = [{mix.name: mix for mix in getattr(facts, kind)} for facts in both]
    for name in sorted({*mixes[0], *mixes[1]}):
        rates = [rate(of.get(name) or _none(name, facts)) for of, facts in zip(mixes, both, strict=True)]
        if any(r.whole for r in rates):
            yield _compared(name, *rates)


def _none(name: str, facts: Facts) -> Mix:
    """What a run has of a behaviour, or an origin, that none of its trajectories is of."""
    attempts, kept = (facts.all.attempts, facts.all.kept) if facts.all else (0, 0)
    return Mix(name, 0, Rate.of(0, attempts, facts.tried), Rate(0, 0), 0, 0, Rate.of(0, kept, facts.tried))


def _levels(both: Both) -> Iterator[Measure]:
    """By level alone, where each run was labelled by one policy."""
    one = all(len({level.policy for level in facts.levels}) <= 1 for facts in both)
    rates = [{("" if one else le.policy, le.level): le.share for le in facts.levels} for facts in both]
    labelled = [{"" if one else le.policy: le.share.whole for le in facts.levels} for facts in both]
    for policy, level in sorted({*rates[0], *rates[1]}):
        shares = [
            of.get((policy, level), Rate.of(0, whole.get(policy, 0))) for of, whole in zip(rates, labelled, strict=True)
        ]
        yield _compared(f"level {level}" + (f", {policy}" if policy else ""), *shares)


def _spend(both: Both) -> Iterator[Measure]:
    if not any(facts.services for facts in both):
        return
    yield _plain("calls that were made", (f"{facts.calls:,}" for facts in both))
    yield _plain("answered from the store", (f"{sum(s.from_store for s in f.services):,}" for f in both))
    yield _compared("calls that failed", *(_failed(facts) for facts in both))
    yield _plain("tokens", (f"{facts.tokens:,}" for facts in both))
    yield _plain("US dollars", (f"{facts.cost:,.2f}" for facts in both))
    for name, unit in (("tokens", ",.0f"), ("cost", ",.4f")):
        words = f"{'tokens' if name == 'tokens' else 'US dollars'} for each that was kept"
        yield _plain(words, (_each(getattr(f, name), f.all.kept if f.all else 0, unit) for f in both))
    uses = dict.fromkeys((s.kind, s.purpose) for facts in both for s in facts.services)
    for kind, purpose in sorted(uses):
        counts = (
            sum(s.calls - s.from_store for s in f.services if (s.kind, s.purpose) == (kind, purpose)) for f in both
        )
        yield _plain(f"{kind} for {purpose}, calls", (f"{count:,}" for count in counts))


def _failed(facts: Facts) -> Rate:
    return Rate.of(sum(s.failed for s in facts.services), sum(s.calls for s in facts.services))


def _each(value: float, count: int, unit: str) -> str:
    return format(value / count, unit) if count else "–"
