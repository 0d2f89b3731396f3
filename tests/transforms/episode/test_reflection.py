"""Reflection is said in so many words, or it is not there."""

import pytest

from gog.schemas import Reflection
from gog.transforms.episode.reflection import reflection_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Evidence: useful. It names Kenya.", Reflection.USEFUL),
        ("Evidence: off target. That is Malawi.", Reflection.OFF_TARGET),
        ("evidence : OFF-TARGET", Reflection.OFF_TARGET),
        ("Evidence：useful。", Reflection.USEFUL),
        ("Evidence: off_target", Reflection.OFF_TARGET),
        ("Evidence: ambiguous, two flags", Reflection.AMBIGUOUS),
        ("**Evidence:** useful", Reflection.USEFUL),
        ("**Evidence: off target.**", Reflection.OFF_TARGET),
        ('Evidence: "ambiguous"', Reflection.AMBIGUOUS),
        ("Hm.\nEvidence: useful. Or is the evidence: ambiguous?", Reflection.USEFUL),
        ("Evidence: not useful", None),
        ("Evidence: usefulness is low", None),
        ("Evidence: useful_", Reflection.USEFUL),
        ("counterevidence: useful", None),
        ("The evidence is useful.", None),
        ("useful", None),
        ("", None),
    ],
)
def test_what_counts(text: str, expected: Reflection | None) -> None:
    assert reflection_of(text) == expected
