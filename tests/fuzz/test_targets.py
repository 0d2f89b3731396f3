"""Each target over its corpus and over inputs drawn from it: `make fuzz` looks further."""

from typing import Final

import pytest
from fuzz.targets import CORPUS, LONG, TARGETS, Target, lengthened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLACK: Final = 3
"""For a machine that has other work."""
PART: Final = 5
"""Of `LONG`, or the test would take a minute: what grows with the square of its length is still far over."""
MOST_BYTES: Final = 300_000
"""Of the whole corpus."""

targets = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
_PLACE = st.integers(0, 1 << 16)


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed of the corpus with some of it replaced, left out, repeated or taken from another."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(_PLACE) % (len(data) + 1)
        stop = min(len(data), start + draw(st.sampled_from([0, 1, 2, 4, 16, 256])))
        other = draw(st.sampled_from(seeds))
        at = draw(_PLACE) % (len(other) + 1)
        part = draw(st.binary(max_size=8) | st.just(other[at : at + 32]) | st.just(data[start:stop] * 50))
        data = data[:start] + part + data[stop:]
    return data[:LONG]


def cheap(target: Target, data: bytes, seconds: float) -> bool:
    """Whether the bytes cost less; a machine that does much else is asked again."""
    return any(target.seconds_of(data) < seconds for _ in range(3))


@targets
def test_what_was_found_is_read_or_refused_and_costs_little(target: Target) -> None:
    for data in target.seeds():
        assert cheap(target, data, SLACK * target.seconds)
        if target.text and data:
            assert cheap(target, lengthened(data, LONG // PART), SLACK * target.seconds / PART), data[:200]


@targets
def test_what_is_drawn_is_read_or_refused(target: Target) -> None:
    seeds = [b"", *target.seeds()]

    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(changed(seeds) | st.binary(max_size=300))
    def look(data: bytes) -> None:
        assert cheap(target, data, SLACK * target.seconds)

    look()


def test_the_corpus_is_small_and_all_of_it_is_used() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < MOST_BYTES
