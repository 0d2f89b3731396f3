import pytest

from gog.pipelines.steps.context import causes_of


def test_causes_come_from_the_last_to_the_first() -> None:
    first, second = ValueError("first"), KeyError("second")
    second.__cause__ = first
    assert list(causes_of(second)) == [second, first]


@pytest.mark.timeout(5)
def test_a_cause_that_leads_back_to_itself_is_told_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert list(causes_of(one)) == [one, other]
