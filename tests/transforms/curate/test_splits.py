import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Grouping
from gog.transforms.curate import splits
from gog.transforms.curate.splits import (
    HubError,
    LeakError,
    LightSeed,
    SplitSettings,
    check_no_leak,
    group,
    link_keys,
    page_key,
    place,
    split_seeds,
)

LOOSE = SplitSettings(hub_share=1.0)


def _seed(name: int, entity: str | None, page: str | None, picture: int) -> LightSeed:
    return LightSeed(f"seed-{name:04d}", entity, page, (f"{picture:064x}",), "x")


seeds_strategy = st.lists(
    st.tuples(
        st.sampled_from([None, "", "Kenya", "KENYA", "Uganda", "Togo"]),
        st.sampled_from([None, " ", "https://w.org/a", "http://www.w.org/a/", "https://w.org/b"]),
        st.sampled_from([0, 1, 2**250]) | st.integers(0, 2**256 - 1),
    ),
    max_size=20,
).map(lambda rows: [_seed(number, *row) for number, row in enumerate(rows)])


@given(seeds_strategy, st.integers(0, 3), st.randoms(use_true_random=False))
def test_no_entity_page_or_image_cluster_is_in_two_places(
    seeds: list[LightSeed], run: int, order: random.Random
) -> None:
    settings = SplitSettings(rl_share=0.5, validation_share=0.5, hub_share=1.0)
    rows = split_seeds(seeds, settings, run)
    assert [row.seed_id for row in rows] == [seed.seed_id for seed in seeds]
    where = {row.seed_id: (row.side, row.split) for row in rows}
    for a in seeds:
        for b in seeds:
            same_entity = a.entity and b.entity and a.entity.strip().lower() == b.entity.strip().lower()
            near = a.pictures == b.pictures
            if same_entity or near:
                assert where[a.seed_id] == where[b.seed_id]
    assert split_seeds(order.sample(seeds, len(seeds)), settings, run) == rows


def test_pages_link_in_any_writing_and_nothing_else_does() -> None:
    rows = split_seeds(
        [
            _seed(0, "Kenya", "https://en.m.wikipedia.org/wiki/Mount%20Kenya#Height", 0),
            _seed(1, "Mount Kenya", "http://en.wikipedia.org/wiki/Mount_Kenya", 2**255),
            _seed(2, "Uganda", "https://en.wikipedia.org/wiki/Uganda", 2**254),
        ],
        LOOSE,
    )
    assert rows[0].group == rows[1].group == "entity:kenya"
    assert rows[2].group == "entity:uganda"
    assert rows[0].cluster != rows[1].cluster


@pytest.mark.parametrize("url", ["http://[bad", "", "not a url", "atlas://country/KEN", "x" * 10_000, "http://h/?q=1"])
def test_any_page_has_a_key(url: str) -> None:
    assert page_key(url) == page_key(f" {url} ")
    assert all(len(key) <= 120 for key in link_keys(_seed(0, "e" * 5000, url, 0), "image:0"))


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://www.W.org/a/", "w.org/a"),
        ("http://m.w.org/a", "w.org/a"),
        ("https://en.m.w.org/a", "en.w.org/a"),
        ("https://en.m.w.m.org/a", "en.w.m.org/a"),
        ("https://w.org/Mount%20Kenya#Height", "w.org/Mount_Kenya"),
        ("https://w.org/a?q=1&p=2", "w.org/a?q=1&p=2"),
        (" http://[bad ", "http://[bad"),
        (" https:// ", "https://"),
        ("atlas://country/KEN", "country/KEN"),
    ],
)
def test_what_of_an_address_is_its_page(url: str, key: str) -> None:
    assert page_key(url) == key
    assert f"page:{key}" in link_keys(_seed(0, None, url, 0), "image:0")


def test_keys_are_cut_beyond_120_characters() -> None:
    for length, kept in ((113, 120), (114, 113), (5000, 113)):
        (key,) = (key for key in link_keys(_seed(0, "e" * length, None, 0), "image:0") if key.startswith("entity:"))
        assert len(key) == kept
    page = f"https://w.org/{chr(0xD800) * 200}"
    assert all(len(key) <= 120 for key in link_keys(_seed(0, None, page, 0), "image:0"))


def test_long_keys_stay_apart() -> None:
    one, other = (link_keys(_seed(0, "e" * 5000 + end, None, 0), "image:0") for end in "ab")
    assert one != other


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.frozensets(st.sampled_from("uvwxyz"), min_size=1)))
def test_groups_are_the_components_named_by_their_smallest_key(links: dict[str, frozenset[str]]) -> None:
    keys = {name: tuple(sorted(linked)) for name, linked in links.items()}
    groups = group(keys)
    for a in keys:
        reached = set(keys[a])
        before: set[str] = set()
        while reached != before:
            before = set(reached)
            for linked in keys.values():
                if reached & set(linked):
                    reached |= set(linked)
        assert groups[a] == min(reached)


def test_new_seeds_move_nothing_that_they_do_not_touch() -> None:
    old = [_seed(n, f"Country {n}", None, random.Random(n).getrandbits(256)) for n in range(200)]
    new = [_seed(n, f"Country {n % 230}", None, random.Random(n).getrandbits(256)) for n in range(200, 400)]
    before = {row.seed_id: (row.side, row.split) for row in split_seeds(old, LOOSE, 7)}
    after = {row.seed_id: (row.side, row.split) for row in split_seeds(old + new, LOOSE, 7)}
    assert {seed_id: after[seed_id] for seed_id in before} == before


def test_shares_are_met_in_expectation_and_the_run_seed_draws_anew() -> None:
    settings = SplitSettings(rl_share=0.3, validation_share=0.1)
    places = [place(f"entity:{n}", settings) for n in range(5000)]
    assert sum(side == "rl" for side, _ in places) / 5000 == pytest.approx(0.3, abs=0.03)
    assert sum(split == "validation" for _, split in places) / 5000 == pytest.approx(0.1, abs=0.02)
    held_rl = sum(side == "rl" for side, split in places if split == "validation")
    assert held_rl / sum(split == "validation" for _, split in places) == pytest.approx(0.3, abs=0.08)
    assert [place(f"entity:{n}", settings, 1) for n in range(5000)] != places


def test_a_group_of_any_name_has_a_place() -> None:
    assert place(f"page:{chr(0xD800)}", SplitSettings(rl_share=1.0))[0] == "rl"


def test_extreme_shares_are_kept_to() -> None:
    nothing, everything = (SplitSettings(rl_share=share, validation_share=share) for share in (0.0, 1.0))
    assert {place(str(n), nothing) for n in range(50)} == {("sft", "train")}
    assert {place(str(n), everything) for n in range(50)} == {("rl", "validation")}


def _world(hub: int, others: int) -> list[LightSeed]:
    draw = random.Random(3)
    return [_seed(n, "Kenya" if n < hub else f"Country {n}", None, draw.getrandbits(256)) for n in range(hub + others)]


def test_a_hub_stops_the_splits_and_is_named() -> None:
    with pytest.raises(HubError, match=r"30 of 330 seeds hang together .* entity 'kenya'"):
        split_seeds(_world(30, 300), SplitSettings())


def test_the_hub_that_is_named_is_the_largest_group_and_what_holds_it_together() -> None:
    draw = random.Random(5)
    names = [*["Togo"] * 14, *["Kenya"] * 15, *["Uganda"] * 19, *(f"Country {n}" for n in range(300))]
    seeds = [_seed(n, name, None, draw.getrandbits(256)) for n, name in enumerate(names)]
    page = "https://w.org/both"
    seeds = [seed._replace(gold_page=page) if n in (0, 14) else seed for n, seed in enumerate(seeds)]
    with pytest.raises(HubError, match=r"29 of 348 seeds hang together .* \(15\) by the entity 'kenya'"):
        split_seeds(seeds, SplitSettings())


def test_of_equal_hubs_and_of_what_holds_one_equally_the_first_by_name_is_named() -> None:
    draw = random.Random(5)
    names = [*["Uganda"] * 30, *["Kenya"] * 30, *(f"Country {n}" for n in range(300))]
    pages = [f"https://w.org/{name}" for name in names]
    seeds = [_seed(n, *both, draw.getrandbits(256)) for n, both in enumerate(zip(names, pages, strict=True))]
    with pytest.raises(HubError, match=r"30 of 360 .* \(30\) by the entity 'kenya'"):
        split_seeds(seeds, SplitSettings())


def test_splits_that_would_leak_are_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "group", lambda keys: {seed_id: seed_id for seed_id in keys})
    with pytest.raises(LeakError, match="entity:kenya is in "):
        split_seeds([_seed(n, "Kenya", None, n) for n in range(20)], SplitSettings(rl_share=0.5, hub_share=1.0))


def test_a_small_group_or_a_small_share_is_no_hub() -> None:
    assert len(split_seeds(_world(20, 10), SplitSettings())) == 30
    assert len(split_seeds(_world(30, 1000), SplitSettings())) == 1030
    assert len(split_seeds(_world(30, 300), SplitSettings(hub_share=0.1))) == 330


def test_a_leak_is_found_and_named() -> None:
    keys = {"a": ("entity:kenya", "image:0"), "b": ("entity:kenya", "image:1"), "c": ("image:2",)}
    check_no_leak(keys, {"a": "sft/train", "b": "sft/train", "c": "rl/train"})
    check_no_leak(keys, {"a": "sft/train"})
    with pytest.raises(LeakError, match="entity:kenya is in rl/train and sft/train"):
        check_no_leak(keys, {"a": "sft/train", "b": "rl/train"})


def test_no_seeds_make_no_rows() -> None:
    nothing: tuple[Grouping, ...] = split_seeds([], SplitSettings())
    assert nothing == ()


def test_alike_pictures_and_what_is_like_those_share_a_cluster() -> None:
    a, b, c, d = (f"{number:x}" * 64 for number in (4, 3, 2, 1))
    pictures = [(a,), (b, a), (c, b), (d,)]
    rows = split_seeds([LightSeed(f"seed-{n}", None, None, names, "x") for n, names in enumerate(pictures)], LOOSE)
    assert [row.cluster for row in rows] == [f"image:{'2' * 16}"] * 3 + [f"image:{'1' * 16}"]
