"""Countries, look-alikes and partitions of the bundled world."""

import re
from importlib.resources import files

import pytest
from atlas_assets.lookalikes import ALIKE, clusters, distances, neighbours, partition, relations

from gog.transforms.atlas.facts import by_code, countries, flag, members, partitions
from gog.transforms.atlas.questions import facts_of, plain
from gog.transforms.atlas.rows import LICENCE

CODES = [country.code for country in countries()]


def test_about_two_hundred_countries_with_a_flag_each() -> None:
    assert 190 <= len(CODES) <= 210
    assert len(set(CODES)) == len(CODES)
    assert all(flag(code).size == (320, 240) and flag(code).mode == "RGB" for code in CODES)


def test_assets_stay_small_and_name_both_licences() -> None:
    assets = files("gog.transforms.atlas") / "assets"
    sizes = [len(p.read_bytes()) for p in (assets / "flags").iterdir()]
    assert len(sizes) == len(CODES)
    assert sum(sizes) < 1_500_000
    text = (assets / "LICENSES.md").read_text("utf-8")
    assert "The MIT License" in text
    assert "ODC Open Database License" in text
    assert LICENCE == "MIT AND ODbL-1.0"


def test_no_name_belongs_to_two_countries() -> None:
    owners: dict[str, set[str]] = {}
    for country in countries():
        for name in country.names:
            owners.setdefault(plain(name).casefold(), set()).add(country.code)
    assert {name: codes for name, codes in owners.items() if len(codes) > 1} == {}


def test_committed_relations_and_partitions_are_those_that_the_assets_measure() -> None:
    gaps = distances([flag(code) for code in CODES])
    twins, alike = relations(CODES, gaps)
    placed = partition(clusters(CODES, neighbours(CODES, gaps, 0, ALIKE)))
    for country in countries():
        assert (list(country.twins), list(country.lookalikes)) == (twins[country.code], alike[country.code])
        assert country.partition == placed[country.code]


def test_partitions_are_disjoint_and_keep_look_alikes_together() -> None:
    parts = [*partitions(), *partitions(held_out=True)]
    assert sorted(parts) == list(range(10))
    assert len(partitions(held_out=True)) == 2
    assert sorted(c.code for part in parts for c in members(part)) == sorted(CODES)
    assert all(len(members(part)) >= 15 for part in parts)
    for country in countries():
        near = (*country.twins, *country.lookalikes)
        assert {by_code()[code].partition for code in near} <= {country.partition}


def test_every_partition_can_set_traps() -> None:
    for part in (*partitions(), *partitions(held_out=True)):
        assert any(c.lookalikes and not c.twins for c in members(part))


@pytest.mark.parametrize(("one", "other"), [("TCD", "ROU"), ("IDN", "MCO")])
def test_twins_are_known_and_never_asked_for_facts(one: str, other: str) -> None:
    assert by_code()[one].twins == (other,)
    assert by_code()[other].twins == (one,)
    assert facts_of(by_code()[one]) == facts_of(by_code()[other]) == ()


def test_look_alikes_are_symmetric_and_apart_from_twins() -> None:
    for country in countries():
        assert not set(country.twins) & set(country.lookalikes)
        assert all(country.code in by_code()[code].lookalikes for code in country.lookalikes)
    assert "NZL" in by_code()["AUS"].lookalikes


def test_facts_with_several_or_disputed_answers_are_not_asked() -> None:
    assert "capital" not in facts_of(by_code()["ISR"])
    assert "currency" not in facts_of(by_code()["BTN"])
    assert "language" not in facts_of(by_code()["BEL"])
    assert "language" not in facts_of(by_code()["KEN"])
    assert set(facts_of(by_code()["KEN"])) >= {"capital", "currency", "subregion", "area", "landlocked"}


def test_codes_are_three_capitals() -> None:
    assert all(re.fullmatch("[A-Z]{3}", code) for code in CODES)
