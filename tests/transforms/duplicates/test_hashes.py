"""Perceptual hashes by bands: what is near is what comparing all with all finds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.duplicates import hashes
from gog.transforms.duplicates.hashes import HashesByBand, band_masks, hamming

HASHES = st.integers(0, 2**64 - 1)


@given(st.integers(0, 20))
def test_bands_share_out_all_bits(distance: int) -> None:
    masks = band_masks(distance)
    assert len(masks) == distance + 1
    assert sum(masks) == 2**64 - 1


@pytest.mark.parametrize("distance", [-1, 64])
def test_impossible_distances_are_refused(distance: int) -> None:
    with pytest.raises(ValueError, match="distance"):
        band_masks(distance)


@given(st.lists(st.tuples(HASHES, st.lists(st.integers(0, 63), max_size=6)), max_size=30), st.integers(0, 6))
def test_what_is_near_is_found_the_nearest_first(drawn: list[tuple[int, list[int]]], distance: int) -> None:
    by_band, earlier = HashesByBand(distance), list[int]()
    for value, flipped in drawn:
        near = value
        for bit in flipped:
            near ^= 1 << bit
        for phash in (value, near):
            bits = [(hamming(phash, other), number) for number, other in enumerate(earlier)]
            assert by_band.near(phash) == [number for away, number in sorted(bits) if away <= distance]
            by_band.add(phash)
            earlier.append(phash)
    assert [by_band[number] for number in range(len(by_band))] == earlier


def test_of_a_crowded_band_the_first_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "CROWDED", 3)
    by_band = HashesByBand(0)
    for _ in range(5):
        by_band.add(7)
    assert by_band.near(7) == [0, 1, 2]


def test_many_that_share_bands_are_told_apart() -> None:
    draw = random.Random(1)
    by_band = HashesByBand()
    mask = band_masks(hashes.DISTANCE)[0]
    drawn = [draw.getrandbits(64) & ~mask for _ in range(2000)]
    for phash in drawn:
        by_band.add(phash)
    assert by_band.near(drawn[7]) == [7]
    assert by_band.near(drawn[7] ^ 0b1111) == [7]
    assert by_band.near(drawn[7] ^ 0b11111) == []
