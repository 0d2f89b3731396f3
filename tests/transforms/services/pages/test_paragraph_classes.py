"""Classes of paragraphs are justext's own."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from justext.core import revise_paragraph_classification

from gog.transforms.services.pages.paragraph_classes import revise


@given(st.lists(st.sampled_from(["good", "bad", "neargood", "short"])))
def test_the_classes_of_paragraphs_are_those_of_justext(classes: list[str]) -> None:
    theirs, ours = ([SimpleNamespace(cf_class=one, heading=False) for one in classes] for _ in range(2))
    revise_paragraph_classification(theirs)
    revise(ours)
    assert [one.class_type for one in ours] == [one.class_type for one in theirs]
