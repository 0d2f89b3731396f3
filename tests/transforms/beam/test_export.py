"""Rows of shards to the files of splits: where each begins, and what crosses a shuffle."""

from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.beam.export import _begins, _in_file, row_of, text_of
from gog.transforms.export.rows import RlRow, SftRow


@given(st.lists(st.sets(st.text(max_size=4), max_size=9), max_size=5), st.integers(1, 7))
def test_files_hold_the_rows_that_one_process_would_put_into_them(shards: list[set[str]], rows_per_file: int) -> None:
    names = sorted(set[str]().union(*shards))
    batches = [sorted(some - set().union(*shards[:number]), reverse=True) for number, some in enumerate(shards)]
    split, begins = _begins(("train", batches), rows_per_file) if names else ("train", [])
    found: dict[int, list[str]] = {}
    for name in names:
        (_, number, of), (same, _) = _in_file((split, name, "row"), {split: begins})
        assert (same, of) == (name, -(-len(names) // rows_per_file))
        found.setdefault(number, []).append(name)
    assert found == {
        n: names[n * rows_per_file : (n + 1) * rows_per_file] for n in range(-(-len(names) // rows_per_file))
    }


numbers = st.none() | st.floats(allow_nan=False)


@given(st.builds(RlRow, answer_low=numbers, answer_high=numbers) | st.from_type(SftRow))
def test_a_row_crosses_a_shuffle_as_it_is(row: RlRow | SftRow) -> None:
    again = row_of(type(row), text_of(row))
    assert again == row or repr(again) == repr(row)  # NaN is not itself
    assert type(again) is type(row)
