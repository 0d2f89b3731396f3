import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.duplicates.near import (
    NearDuplicates,
    band_masks,
    hamming,
    image_clusters,
    minhash_bands,
    shingles,
    similarity,
)

hashes = st.integers(0, 2**64 - 1)
close = st.lists(st.integers(0, 63), max_size=8, unique=True)


def _flip(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


@given(st.integers(0, 20))
def test_bands_share_out_all_bits(distance: int) -> None:
    masks = band_masks(distance)
    assert len(masks) == distance + 1
    assert sum(masks) == 2**64 - 1


@pytest.mark.parametrize("distance", [-1, 64])
def test_impossible_distances_are_refused(distance: int) -> None:
    with pytest.raises(ValueError, match="distance"):
        band_masks(distance)


@given(hashes, close)
def test_near_images_are_found_exactly(value: int, bits: list[int]) -> None:
    index = NearDuplicates()
    assert index.add_or_find("a", f"{value:016x}", "What is this?") is None
    other = _flip(value, bits)
    found = index.add_or_find("b", f"{other:016x}", "what is THIS")
    assert found == ("a" if hamming(value, other) <= 4 else None)


@given(st.lists(st.tuples(st.integers(0, 3), close, st.sampled_from(["q one", "q two", ""])), max_size=12))
def test_the_index_agrees_with_comparing_everything(items: list[tuple[int, list[int], str]]) -> None:
    index = NearDuplicates()
    kept: list[tuple[str, int, str]] = []
    for number, (base, bits, question) in enumerate(items):
        value = _flip(base * 0x1111111111111111, bits)
        expected = next((name for name, other, asked in kept if hamming(value, other) <= 4 and asked == question), None)
        assert index.add_or_find(str(number), f"{value:016x}", question) == expected
        if expected is None:
            kept.append((str(number), value, question))


def test_image_and_question_both_have_to_be_near() -> None:
    index = NearDuplicates()
    question = "Which country does the flag at the top right of the picture belong to?"
    assert index.add_or_find("a", "0" * 16, question) is None
    assert index.add_or_find("b", "0" * 16, question.replace("right", "left")) is None
    assert index.add_or_find("c", "f" * 16, question) is None
    assert index.add_or_find("d", "0" * 15 + "7", f"  {question.upper()}!") == "a"
    assert index.add_or_find("e", "0" * 16, "") is None
    assert index.add_or_find("f", "0" * 16, " ") == "e"


def test_questions_in_scripts_without_spaces_are_told_apart() -> None:
    index = NearDuplicates()
    assert index.add_or_find("a", "0" * 16, "右上角的国旗属于哪个国家?") is None
    assert index.add_or_find("b", "0" * 16, "左下角的国旗属于哪个国家?") is None
    assert index.add_or_find("c", "0" * 16, "右上角的国旗属于哪个国家") == "a"


@given(st.sets(st.integers(0, 10**6), min_size=20, max_size=60))
def test_very_similar_questions_share_a_minhash_band(numbers: set[int]) -> None:
    words = [f"w{number}" for number in sorted(numbers)]
    one, other = shingles(" ".join(words)), shingles(" ".join(words[:-1]))
    if similarity(one, other) >= 0.9:
        assert set(enumerate(minhash_bands(one))) & set(enumerate(minhash_bands(other)))


@given(st.lists(st.tuples(st.integers(0, 5), close), max_size=14), st.randoms(use_true_random=False))
def test_clusters_are_the_components_of_near_images(made: list[tuple[int, list[int]]], order: random.Random) -> None:
    values = {str(n): _flip(base * 0x0F0F0F0F0F0F0F0F, bits) for n, (base, bits) in enumerate(made)}
    clusters = image_clusters((name, f"{value:016x}") for name, value in values.items())
    expected = {name: name for name in values}
    for _ in values:
        for a in values:
            for b in values:
                if hamming(values[a], values[b]) <= 4:
                    expected[a] = expected[b] = min(expected[a], expected[b])
    for a in values:
        for b in values:
            assert (clusters[a] == clusters[b]) == (expected[a] == expected[b])
    shuffled = order.sample(sorted(values), len(values))
    assert image_clusters((name, f"{values[name]:016x}") for name in shuffled) == clusters


def test_a_cluster_is_named_by_its_smallest_hash() -> None:
    assert image_clusters([("a", "00000000000000ff"), ("b", "000000000000007f")]) == {
        "a": "image:000000000000007f",
        "b": "image:000000000000007f",
    }
    assert image_clusters([]) == {}


def test_twenty_thousand_items_take_no_double_loop() -> None:
    draw = random.Random(1)
    pairs = [(str(n), f"{draw.getrandbits(64):016x}") for n in range(20_000)]
    index = NearDuplicates()
    started = time.process_time()
    assert sum(index.add_or_find(name, value, "What is this?") is not None for name, value in pairs) == 0
    assert len(set(image_clusters(pairs).values())) == 20_000
    # A comparison of all pairs would take minutes.
    assert time.process_time() - started < 15
