"""The text of PDFs by their layout, each made here: paragraphs, divided words, columns, contents, heads of pages."""

import asyncio
import io

from pdfs import Line, pdf_of
from PIL import Image
from websites import refused

from gog.transforms.services.pages import pdf
from gog.transforms.services.pages.pdf import paragraphs, pdf_text


def read(pages: list[list[Line]]) -> tuple[list[str], str]:
    text, cut = asyncio.run(pdf_text(pdf_of(pages)))
    return text.splitlines(), cut


def down(x: int, top: int, lines: list[str]) -> list[Line]:
    return [(x, top - 13 * number, line) for number, line in enumerate(lines)]


def test_lines_of_a_paragraph_are_one_and_divided_words_whole() -> None:
    first = ["The lighthouse was finished in the year 1894 by a com-", "pany of the town, and is open to visitors."]
    second = ["It is forty metres high, and its light is seen from afar."]
    assert read([[*down(72, 720, first), *down(72, 660, second)]]) == (
        [
            "The lighthouse was finished in the year 1894 by a company of the town, and is open to visitors.",
            "It is forty metres high, and its light is seen from afar.",
        ],
        "",
    )


def test_columns_are_read_one_after_the_other() -> None:
    left = ["The left column tells", "of lighthouses and of the", "people who live in them."]
    right = ["Ships are what the right", "column is about, and of", "harbours where they lie."]
    found, _ = read([[*down(72, 720, left), *down(330, 720, right)]])
    assert " ".join(found) == " ".join([*left, *right])


def test_a_paragraph_goes_on_over_pages_and_their_heads_are_no_text_of_it() -> None:
    pages = [
        [(72, 760, f"Of Lighthouses {number}"), *down(72, 700, [f"On page {number} a sentence begins that", text])]
        for number, text in enumerate(["goes on after the end of", "is over at once.", "is short.", "is last."], 1)
    ]
    pages[1] = [pages[1][0], *down(72, 700, ["the page, where it ends."])]
    found, _ = read(pages)
    assert found[0] == "On page 1 a sentence begins that goes on after the end of the page, where it ends."
    assert not any("Of Lighthouses" in line for line in found)


def test_contents_with_dots_are_left_out() -> None:
    dots = " . . . . . . . . . . . . . . . . . "
    contents = [f"1.{number} Lamps{dots}{number}" for number in range(1, 5)]
    found, _ = read([[*down(72, 720, contents), *down(72, 600, ["A lamp gives light."])]])
    assert found == ["A lamp gives light."]


def test_what_is_cut_says_so() -> None:
    found, cut = read([down(72, 720, [f"This is page number {number}."]) for number in range(pdf.MAX_PAGES + 3)])
    assert found[-1] == f"This is page number {pdf.MAX_PAGES - 1}."
    assert cut == "cut after 50 of 53 pages"


def test_a_scan_says_that_it_has_no_text() -> None:
    out = io.BytesIO()
    Image.new("RGB", (300, 400), "white").save(out, "PDF")
    assert refused(pdf_text(out.getvalue())) == "the PDF has no text: it is a scan, or drawn"


def test_hyphens_that_divide_no_word_stay() -> None:
    assert paragraphs([[["It costs 20-", "30 Euro."], ["Anglo-", "Saxon"]]]) == [
        "It costs 20- 30 Euro.",
        "Anglo- Saxon",
    ]
