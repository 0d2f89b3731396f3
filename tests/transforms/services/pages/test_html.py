"""The text of an HTML document has the lines that a browser shows."""

import time

import pytest

from gog.transforms.services.pages.html import html_text


def lines(body: str) -> list[str]:
    return html_text(f"<html><head><title>T</title></head><body>{body}</body></html>").splitlines()


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
        "x<a>y</a>" * 10_000,
        "<pre>" * 20_000,
        "<code>x" * 14_000,
        "\n" * 100_000 + "x",
        "<p>" + " \n" * 50_000 + "</p>",
    ],
    ids=["divs", "links in divs", "nested", "paragraphs", "links", "pre", "code", "empty", "space"],
)
def test_no_page_of_100_kb_costs_much(body: str) -> None:
    begun = time.process_time()
    html_text(body)
    assert time.process_time() - begun < 3, "under one, where nothing else runs"
