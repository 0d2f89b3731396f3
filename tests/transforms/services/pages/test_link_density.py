"""Links are as long as readability has them, and a page scores as without us."""

from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from trafilatura.readability_lxml import Document

from gog.transforms.services.pages.link_density import LinkLengths, links_in_one_pass

WORDS = st.sampled_from(["", "A few words, ", "and some more of them, so that it counts as text. "])
PARTS = st.recursive(
    WORDS,
    lambda parts: st.builds(
        "<{0}>{1}</{0}>".format, st.sampled_from(["div", "p", "a", "td", "b"]), st.lists(parts, max_size=3).map("".join)
    ),
    max_leaves=30,
)


@given(st.lists(PARTS, min_size=1, max_size=5).map("".join))
def test_a_page_scores_as_by_readability_alone(page: str) -> None:
    ours, theirs = (html.document_fromstring(f"<html><body>{page}</body></html>") for _ in range(2))
    density = Document(theirs).get_link_density
    lengths = LinkLengths(ours)
    for one, other in zip(ours.iter("*"), theirs.iter("*"), strict=True):
        assert lengths.within(one) / (len(" ".join(one.text_content().split())) or 1) == density(other)
    with links_in_one_pass():
        scored = Document(ours).score_paragraphs()
    assert [one.score for one in scored.values()] == [one.score for one in Document(theirs).score_paragraphs().values()]
    assert Document.get_link_density(Document(theirs), theirs) == density(theirs), "it is theirs again"
