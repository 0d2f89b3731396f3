"""Curation by groups: over many workers the same comes out as in one place."""

import json
from collections import Counter
from typing import Any

import apache_beam as beam
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pipelined import rows_and_counts

from gog.schemas import Behaviour, Curated, Grouping, Origin, Reject, Unit
from gog.transforms.beam.curate import CurateByGroups, CurateSettings, CurateTogether, OfSeed, curate_all
from gog.transforms.beam.rows import row
from gog.transforms.curate.balance import BalanceSettings, LightTrajectory
from gog.transforms.curate.splits import LightSeed, SplitSettings
from gog.transforms.filters.use import Refusal

SHARD = 7
QUESTIONS = ("which bridge is in the middle of the picture taken at night?", "Which bridge is in the middle", "who")
WIDE = SplitSettings(rl_share=0.3, validation_share=0.3, hub_share=1)

Drawn = tuple[int, int | None, int | None, int, int, tuple[Behaviour, ...], bool]


def of_seeds(drawn: list[Drawn]) -> list[OfSeed]:
    """Seeds with few pictures, entities and pages, so that many hang together."""
    found = []
    for number, (picture, entity, page, like, question, behaviours, refused) in enumerate(drawn):
        name = f"seed-{number * 7919 % 1000:03d}"
        pictures = tuple(f"{one * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4 for one in dict.fromkeys((picture, like)))
        seed = LightSeed(
            name,
            None if entity is None else f"Town {entity}",
            None if page is None else f"https://www.example.org/{page}",
            pictures,
            QUESTIONS[question],
        )
        objection = Refusal("filter.size", "too small") if refused else None
        best = tuple(
            LightTrajectory(f"t-{number:03d}-{i}", name, behaviour, Origin.ROLLOUT, objection)
            for i, behaviour in enumerate(behaviours)
        )
        found.append(OfSeed(number // SHARD, seed, best))
    return found


def collected(items: list[OfSeed], decide: beam.PTransform) -> tuple[list[Any], dict[tuple[str, str, int], int]]:
    """All rows, and the sums of the counts by shard."""
    out = rows_and_counts(items, decide)
    sums: dict[tuple[str, str, int], int] = {}
    for (stage, unit, shard), (_, passed) in (item for item in out if len(item) == 2):
        sums[stage, unit, shard] = sums.get((stage, unit, shard), 0) + passed
    rows_found = [(table, shard, json.loads(text)) for table, shard, text in (item for item in out if len(item) == 3)]
    return sorted(rows_found, key=repr), {place: passed for place, passed in sums.items() if passed}


def in_one_place(items: list[OfSeed], asked: CurateSettings) -> tuple[list[Any], dict[tuple[str, str, int], int]]:
    """The same of the decision over all seeds."""
    shard = {item.seed.seed_id: item.shard for item in items}
    found = curate_all(items, asked)
    records: list[Grouping | Curated | Reject] = [*found.groups, *found.kept, *found.rejects]
    rows = [row(shard[record.seed_id or ""], record).value for record in records]
    passed = Counter(("curate", "trajectory", shard[curated.seed_id]) for curated in found.kept)
    return sorted(((table, shard, json.loads(text)) for table, shard, text in rows), key=repr), dict(passed)


a_seed = st.tuples(
    st.integers(1, 30),
    st.none() | st.integers(0, 12),
    st.none() | st.integers(0, 12),
    st.integers(1, 30),
    st.integers(0, 2),
    st.lists(st.sampled_from(Behaviour), max_size=2).map(tuple),
    st.booleans(),
)


@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    st.lists(a_seed, max_size=40),
    st.sampled_from(
        [
            BalanceSettings(),
            BalanceSettings(total=5),
            BalanceSettings(shares={"direct": 0.4}, scarce="strict"),
            BalanceSettings(
                shares={"look": 0.5, "direct": 0.2},
                groups={"look": (Behaviour.GAZE, Behaviour.MIXED)},
                scarce="fill",
            ),
        ]
    ),
    st.integers(0, 3),
)
def test_by_groups_the_same_comes_out_as_in_one_place(
    drawn: list[Drawn], balance: BalanceSettings, run_seed: int
) -> None:
    items, asked = of_seeds(drawn), CurateSettings(balance, WIDE, run_seed)
    assert collected(items, CurateByGroups(asked)) == in_one_place(items, asked)


def test_together_is_in_one_place() -> None:
    drawn: list[Drawn] = [(n, n % 9, n % 4, n, n % 3, (Behaviour.GAZE,), n % 5 == 0) for n in range(1, 30)]
    items, asked = of_seeds(drawn), CurateSettings(BalanceSettings(total=10), WIDE, 1)
    assert collected(items, CurateTogether(asked)) == in_one_place(items, asked)


def test_all_that_enters_is_kept_or_rejected_and_each_seed_has_a_group() -> None:
    drawn: list[Drawn] = [
        (n, n % 9, None, n, n % 3, (Behaviour.GAZE, Behaviour.TEXT), n % 5 == 0) for n in range(1, 60)
    ]
    items = of_seeds(drawn)
    rows, passed = collected(items, CurateByGroups(CurateSettings(BalanceSettings(total=30), WIDE, 0)))
    by_table = {table: [data for name, _, data in rows if name == table] for table in ("groups", "curated", "rejects")}
    assert sorted(one["seed_id"] for one in by_table["groups"]) == sorted(item.seed.seed_id for item in items)
    out = [one["trajectory_id"] for one in by_table["curated"]] + [one["id"] for one in by_table["rejects"]]
    assert sorted(out) == sorted(one.trajectory_id for item in items for one in item.best)
    assert sum(passed.values()) == len(by_table["curated"]) > 10
    assert {unit for _, unit, _ in passed} == {Unit.TRAJECTORY.value}
    reasons = {one["reason"] for one in by_table["rejects"]}
    assert reasons == {"curate.reserved_for_rl", "curate.over_quota", "filter.size"}


@pytest.mark.parametrize("decide", [CurateByGroups, CurateTogether])
def test_a_hub_fails_the_job_and_is_named(decide: type[CurateByGroups | CurateTogether]) -> None:
    items = of_seeds([(n, 3 if n < 40 else None, None, n, 0, (), False) for n in range(1, 60)])
    with pytest.raises(Exception, match=r"39 of 59 seeds hang together .* \(39\) by the entity 'town 3'"):
        collected(items, decide(CurateSettings(BalanceSettings(), SplitSettings(), 0)))
