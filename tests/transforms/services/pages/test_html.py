"""The text of an HTML document has the lines that a browser shows."""

import re
import time

import pytest
from websites import run

from gog.transforms.services.pages.html import (
    CHARACTERS_AN_ELEMENT,
    FEW_ELEMENTS,
    _bounded,
    html_text,
    main_text,
)


def lines(body: str) -> list[str]:
    return main_text(f"<html><head><title>T</title></head><body>{body}</body></html>")[0].splitlines()


def test_text_wrapped_in_its_source_is_one_line() -> None:
    body = "<h1>Towers</h1><p>The tower was\n   finished in\n\t1894, and is open\nto visitors.</p><p>It is tall.</p>"
    assert lines(body) == ["Towers", "The tower was finished in 1894, and is open to visitors.", "It is tall."]


def test_text_in_pre_stays_as_it_is_written() -> None:
    body = "<p>It is written\nin this way:</p><pre>first line\n  second line\nthird line</pre><p>It prints\nfour.</p>"
    assert lines(body) == [
        "It is written in this way:",
        "first line",
        "  second line",
        "third line",
        "It prints four.",
    ]


def test_code_and_marks_within_a_sentence_do_not_divide_it() -> None:
    body = (
        "<p>The size is read with\n<code>array.size</code> or\n<kbd>Ctrl\nS</kbd>, which\n"
        "<em>every</em> program <b>has</b>.</p>"
    )
    assert lines(body) == ["The size is read with array.size or Ctrl S, which every program has."]


def test_bare_text_with_marks_in_it_is_a_paragraph() -> None:
    body = (
        "<div>The command <b>strip</b> removes\n<i>symbols</i> of a file."
        "<p>It is old.</p>Some <a href='/x'>links</a> follow.</div>"
    )
    assert lines(body) == ["The command strip removes symbols of a file.", "It is old.", "Some links follow."]


@pytest.mark.parametrize(
    "body",
    [
        "<div>x<b>y</b></div>" * 5000,
        "<div>x<a>y</a></div>" * 5000,
        "<div>x<b>y</b>" * 7000,
        "<p>word\n" * 14_000,
        "<p>a" * 25_000,
        "<p>\0a" * 20_000,
        "a<br>" * 20_000,
        "<li>a" * 20_000,
        "<article>" + "<ul>a</ul>" * 10_000,
        "<table>a</table>" * 6000,
        "x<a>y</a>" * 10_000,
        "<pre>" * 200 + "x" * 99_000,
        "<code>x" * 14_000,
        "\n" * 100_000 + "x",
        "<p>" + " \n" * 50_000 + "</p>",
    ],
    ids=re.findall(
        r"[^,]+", "divs,links in divs,nested,paragraphs,short,nul,breaks,items,lists,tables,links,pre,code,empty,space"
    ),
)
def test_no_page_of_100_kb_costs_much(body: str) -> None:
    """Under one where nothing else runs, and as much for each further 100 kB."""
    kept, _ = _bounded(body)
    begun = time.process_time()
    main_text(f"<html>{kept}")
    assert time.process_time() - begun < 3


def test_a_page_of_2_mb_of_nothing_but_elements_is_read_in_part() -> None:
    begun = time.monotonic()
    text, cut = run(html_text("<p>a" * 500_000))
    assert cut == f"cut after {FEW_ELEMENTS + 2_000_000 // CHARACTERS_AN_ELEMENT:,} elements"
    assert text.startswith("a\na\n")
    assert time.monotonic() - begun < 30, "three seconds, where nothing else runs; its process may take ten"


def test_a_page_that_lies_too_deep_is_read_as_far_as_it_does_not() -> None:
    def nested(depth: int) -> str:
        return f"<html><body><p>A text before.</p>{'<div>' * depth}<p>A text within.</p>"

    assert run(html_text(nested(200))) == ("A text before.\nA text within.", "")
    assert run(html_text(nested(300))) == ("A text before.", "cut where elements lie more than 256 deep")
