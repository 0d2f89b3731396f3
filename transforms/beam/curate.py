"""Curation over all shards: in one place, or over many workers by groups, with the same result.

By groups, what links seeds (pictures, entities, pages) goes as pairs of 64-bit numbers to one place, 16 bytes each and
a few a seed; groups are then decided each for itself, where its seeds meet. Balance gathers 8 bytes a trajectory and
tells all where it cuts. The names of groups are made in the group, of the keys themselves.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, TaggedOutput

from gog.schemas import Curated, Grouping, Reject, Split, Unit
from gog.transforms.beam.rows import COUNTS, ROWS, count, row
from gog.transforms.components import components
from gog.transforms.curate.balance import BalanceSettings, Cut, LightTrajectory, cut, draw, group_of
from gog.transforms.curate.curate import Curation, curate, pool_of, without_objection
from gog.transforms.curate.splits import Hub, LightSeed, SplitSettings, check_hubs, image_keys, link_keys, split_linked
from gog.transforms.duplicates.key_table import key_of

_FACTS: Final = "facts"


class CurateSettings(NamedTuple):
    """What curation goes by."""

    balance: BalanceSettings
    splits: SplitSettings
    run_seed: int


class OfSeed(NamedTuple):
    """A screened seed of a shard with its best trajectories, all light."""

    shard: int
    seed: LightSeed
    best: tuple[LightTrajectory, ...]


class CurateTogether(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`OfSeed` of all shards to rows and counts, in one place."""

    def __init__(self, settings: CurateSettings) -> None:
        """`settings` as in a run's config."""
        super().__init__()
        self._settings = settings

    def expand(self, seeds: Any) -> Any:
        """Rows and counts."""
        decided = (
            seeds
            | "OfAll" >> beam.Map(_keyed)
            | "Together" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(_together, self._settings).with_outputs(ROWS, COUNTS)
        )
        return decided[ROWS], decided[COUNTS]


def _together(group: tuple[None, Iterable[OfSeed]], settings: CurateSettings) -> Iterator[Any]:
    items = list(group[1])
    shard = {item.seed.seed_id: item.shard for item in items}
    found = curate_all(items, settings)
    for record in chain[Grouping | Curated | Reject](found.groups, found.kept, found.rejects):
        yield row(shard[record.seed_id or ""], record)
    for curated in found.kept:
        yield count("curate", Unit.TRAJECTORY, shard[curated.seed_id], entered=0, passed=1)


def curate_all(items: Iterable[OfSeed], settings: CurateSettings) -> Curation:
    """The decision over all seeds. Raises `HubError`."""
    seeds, best = list[LightSeed](), list[LightTrajectory]()
    for item in items:
        seeds.append(item.seed)
        best += item.best
    return curate(seeds, best, settings.balance, settings.splits, run_seed=settings.run_seed)


class CurateByGroups(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`OfSeed` of all shards to rows and counts, on as many workers as there are; a hub or a leak fails the job."""

    def __init__(self, settings: CurateSettings) -> None:
        """`settings` as in a run's config."""
        super().__init__()
        self._settings = settings

    def expand(self, seeds: Any) -> Any:
        """Rows and counts."""
        labels = (
            seeds
            | "Links" >> beam.FlatMap(_links)
            | "Gather" >> beam.GroupByKey()
            | "Components" >> beam.FlatMap(_components)
        )
        grouped = (
            {"seeds": seeds | "Number" >> beam.Map(_numbered), "labels": labels}
            | "Join" >> beam.CoGroupByKey()
            | "Component" >> beam.FlatMap(_of_component)
            | "Group" >> beam.GroupByKey()
            | "OfGroup" >> beam.FlatMap(_of_group, self._settings).with_outputs(ROWS, COUNTS, _FACTS, main="main")
        )
        size = seeds | "Size" >> beam.combiners.Count.Globally() | "OfAll" >> beam.Map(_keyed)
        cut = (
            (grouped[_FACTS], size)
            | "Facts" >> beam.Flatten()
            | "AllFacts" >> beam.GroupByKey()
            | "Cut" >> beam.Map(_cut, self._settings)
        )
        decided = grouped.main | "Decide" >> beam.FlatMap(_decide, self._settings, AsSingleton(cut)).with_outputs(
            ROWS, COUNTS
        )
        return (
            (grouped[ROWS], decided[ROWS]) | "Rows" >> beam.Flatten(),
            (grouped[COUNTS], decided[COUNTS]) | "Counts" >> beam.Flatten(),
        )


def _number(key: str) -> int:
    """64 bits of a key, as a signed number."""
    return key_of(key.encode("utf-8", "replace")) - 2**63


def _links(item: OfSeed) -> Iterator[tuple[None, tuple[int, int]]]:
    """That the seed's keys hang together, the first with each other."""
    first, *others = _keys(item.seed)
    for key in others:
        yield None, (_number(first), _number(key))


def _keys(seed: LightSeed) -> list[str]:
    """All that may link the seed, beginning with its own picture."""
    pictures = image_keys(seed)
    return list(dict.fromkeys([*pictures, *link_keys(seed, pictures[0])]))


def _components(group: tuple[None, Iterable[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    return components(group[1])


def _numbered(item: OfSeed) -> tuple[int, OfSeed]:
    return _number(image_keys(item.seed)[0]), item


def _of_component(item: tuple[int, Mapping[str, Iterable[Any]]]) -> Iterator[tuple[int, OfSeed]]:
    number, parts = item
    for label in list(parts["labels"]) or [number]:
        for seed in parts["seeds"]:
            yield label, seed


def _of_group(group: tuple[int, Iterable[OfSeed]], settings: CurateSettings) -> Iterator[Any]:
    """Rows of a group, and what is left of it to balance."""
    items = sorted(group[1], key=lambda item: item.seed.seed_id)
    shard = {item.seed.seed_id: item.shard for item in items}
    seeds = {item.seed.seed_id: item.seed for item in items}
    groupings, hubs = split_linked(seeds.values(), settings.splits, settings.run_seed)
    for hub in hubs:
        yield TaggedOutput(_FACTS, _keyed(hub))
    for grouping in groupings:
        yield row(shard[grouping.seed_id], grouping)
    pool, rejects = pool_of(seeds, groupings, (trajectory for item in items for trajectory in item.best))
    for reject in rejects:
        yield row(shard[reject.seed_id or ""], reject)
    split = {grouping.seed_id: grouping.split for grouping in groupings}
    for trajectory in pool:
        number = draw(trajectory.trajectory_id, settings.run_seed)
        yield TaggedOutput(_FACTS, _keyed((group_of(trajectory.behaviour, settings.balance), number)))
        yield shard[trajectory.seed_id], trajectory, split[trajectory.seed_id]


def _keyed(fact: Any) -> tuple[None, Any]:
    return None, fact


def _cut(group: tuple[None, Iterable[int | Hub | tuple[str, int]]], settings: CurateSettings) -> Cut:
    """Where balance cuts. Raises `HubError`; nothing is written before."""
    seeds, hubs = 0, list[Hub]()
    draws: dict[str, array[int]] = defaultdict(lambda: array("Q"))
    for fact in group[1]:
        match fact:
            case int():
                seeds = fact
            case Hub():
                hubs.append(fact)
            case (name, number):
                draws[name].append(number)
    check_hubs(hubs, seeds, settings.splits)
    return cut(draws, settings.balance)


def _decide(item: tuple[int, LightTrajectory, Split], settings: CurateSettings, cut: Cut) -> Iterator[Any]:
    shard, trajectory, split = item
    if cut.keeps(trajectory, settings.balance, settings.run_seed):
        found = without_objection(trajectory, split)
    else:
        found = trajectory.reject("curate.over_quota", cut.cost)
    yield row(shard, found)
    yield count("curate", Unit.TRAJECTORY, shard, entered=0, passed=int(isinstance(found, Curated)))
