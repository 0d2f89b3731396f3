"""Rankings are fused by page; a page's passage is the one that both like."""

import pytest

from gog.transforms.services.search.fusion import fuse

PAGES = [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("rankings", "expected"),
    [
        ([[4, 2], [4, 0]], [(2, 4), (0, 0), (1, 2)]),
        ([[0, 1, 2], [2, 1, 0]], [(0, 0), (1, 2)]),
        ([[0, 2], [3, 2]], [(1, 2), (0, 0)]),
        ([[], [3]], [(1, 3)]),
        ([[], []], []),
    ],
)
def test_pages_and_their_passages(rankings: list[list[int]], expected: list[tuple[int, int]]) -> None:
    found = fuse(rankings, PAGES)
    assert [(one.page, one.passage) for one in found] == expected
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_first_in_all_rankings_is_one_and_first_in_one_of_two_a_half() -> None:
    assert [one.score for one in fuse([[4], [4]], PAGES)] == [1.0]
    assert [one.score for one in fuse([[4], []], PAGES)] == [0.5]


def test_what_is_first_in_one_ranking_is_before_what_is_in_the_middle_of_both() -> None:
    words, meanings = [0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 5]
    assert [one.page for one in fuse([words, meanings], range(20))][:2] == [0, 10]
