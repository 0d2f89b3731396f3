"""A growing table of numbers by key: the same as a dict of lists, whatever is sorted away when."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.duplicates import key_table
from gog.transforms.duplicates.key_table import KeyTable, key_of

NUMBERS = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(st.integers(0, 20) | NUMBERS, NUMBERS), max_size=200), st.integers(1, 50))
def test_it_is_a_dict_of_lists(pairs: list[tuple[int, int]], fresh: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_table, "_FRESH", fresh)
        table, known = KeyTable(), defaultdict[int, list[int]](list)
        for key, number in pairs:
            table.add(key, number)
            known[key].append(number)
            assert sorted(table.find(key)) == sorted(known[key])
        assert len(table) == len(pairs)
        assert all(sorted(table.find(key)) == sorted(numbers) for key, numbers in known.items())
        assert table.find(key_of(b"no such key")) == []


def test_keys_follow_every_part() -> None:
    keys = [key_of(1, 2, b"a"), key_of(2, 1, b"a"), key_of(1, 2, b"b"), key_of(1, 2)]
    assert len(set(keys)) == 4
    assert key_of(1, 2, b"a") == keys[0]
