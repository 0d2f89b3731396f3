"""Places by name."""

from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.sources.offsets import Offsets, Place

PLACES = st.builds(Place, st.integers(0, 1000), st.integers(0, 2**60), st.integers(0, 2**40))


@given(st.dictionaries(st.text(max_size=12), PLACES, max_size=40), st.text(max_size=12))
def test_every_name_is_found_and_no_other(places: dict[str, Place], other: str) -> None:
    table = Offsets(places.items())
    assert len(table) == len(places)
    assert all(table.find(name) == place for name, place in places.items())
    if other not in places:
        assert table.find(other) is None


def test_of_a_name_given_twice_the_first_counts() -> None:
    assert Offsets([("a", Place(0, 1, 1)), ("b", Place(0, 2, 1)), ("a", Place(0, 3, 1))]).find("a") == Place(0, 1, 1)
