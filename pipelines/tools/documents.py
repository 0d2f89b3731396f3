"""Documents of one's own as pages: their title, and their text with one line a paragraph."""

import re
from pathlib import Path
from typing import Final

from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.pages.html import html_text
from gog.transforms.services.public_web import text_of
from gog.transforms.services.search.index_folder import clean

DOCUMENTS: Final = frozenset({".md", ".markdown", ".txt", ".html", ".htm"})
MAX_BYTES: Final = 4 << 20
"""Of a document that are read."""
_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n.{0,20000}?\n(?:---|\.\.\.)[ \t]*\r?\n", re.DOTALL)
_FRONT_TITLE: Final = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE)
_HTML_TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)


def document(path: Path) -> tuple[str, str, str]:
    """Title of a document (empty where there is none), its text, and why that is not all of it.

    Raises `OSError`, and `ServiceError` as `html_text`.
    """
    with path.open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    source = text_of(data[:MAX_BYTES]).replace("\r\n", "\n")
    cut = f"cut at {MAX_BYTES:,} bytes" if len(data) > MAX_BYTES else ""
    ending = path.suffix.lower()
    if ending in {".html", ".htm"}:
        text, short = run_on_loop(html_text(source))
        return _titled(source), text, short or cut
    if ending == ".txt":
        paragraphs = (" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", source) if part.strip())
        return "", "\n\n".join(paragraphs), cut
    return *_markdown(source), cut


def _markdown(source: str) -> tuple[str, str]:
    from markdown_it import MarkdownIt

    front = _FRONT.match(source)
    named = _FRONT_TITLE.search(front[0]) if front else None
    title, lines = clean(named[1], 300).strip("\"'") if named else "", list[str]()
    heading = False
    for token in MarkdownIt("commonmark").enable("table").parse(source[front.end() if front else 0 :]):
        if token.type == "inline":
            said = "".join(
                child.content if child.type in {"text", "code_inline", "image"} else " "
                for child in token.children or ()
                if child.type in {"text", "code_inline", "image", "softbreak", "hardbreak"}
            )
            lines.append(clean(said, len(said)))
            title = title or (lines[-1] if heading else "")
        elif token.type in {"fence", "code_block"}:
            lines.append(token.content.strip("\n"))
        elif token.type == "html_block":
            said = re.sub(r"<[^<>]{0,1000}>", " ", token.content)
            lines.append(clean(said, len(said)))
        heading = token.type == "heading_open"
    return title, "\n\n".join(line for line in lines if line)


def _titled(source: str) -> str:
    import html

    found = _HTML_TITLE.search(source[:100_000])
    return clean(html.unescape(found[1]), 300) if found else ""
