"""What a ZIM file of Kiwix holds, read by libzim in a process of its own: the side of the child (`zim_pages`).

A question is a JSON object: `path` of the file, `first` entry and at `most` how many, `titles` (whether they alone are
asked for). An answer has the entries from there on, as many as are little: `pages` (path, title, HTML, whether that is
cut), `next`, `count` of all entries, and how many were `redirects`, and `others` than pages.
"""

import json
from typing import Any, Final

MAX_PAGE: Final = 4 << 20
"""Bytes of a page that are read."""
_BATCH: Final = 2 << 20
MOST: Final = 500
"""Entries that are asked for at once."""
_open: dict[str, Any] = {}


def entries(question: bytes) -> bytes:
    """The answer. Raises `RefusedError`."""
    from gog.transforms.services.limited_child import RefusedError

    asked = json.loads(question)
    try:
        archive = _archive(asked["path"])
        count, at, size = archive.all_entry_count, asked["first"], 0
        pages: list[tuple[str, str, str, bool]] = []
        redirects = others = 0
        until = min(count, at + asked["most"])
        while at < until and size < _BATCH:
            entry = archive._get_entry_by_id(at)
            at += 1
            if entry.is_redirect:
                redirects += 1
                continue
            item = entry.get_item()
            if not item.mimetype.lower().startswith("text/html"):
                others += 1
                continue
            html = b"" if asked["titles"] else bytes(item.content[:MAX_PAGE])
            size += len(html) + len(entry.path)
            pages.append((entry.path, entry.title, html.decode("utf-8", "replace"), item.size > MAX_PAGE))
    except (RuntimeError, ValueError, IndexError, KeyError, OSError) as error:
        raise RefusedError(f"cannot be read: {' '.join(str(error).split())[:300]}") from None
    told: dict[str, Any] = {"pages": pages, "next": at, "count": count, "redirects": redirects, "others": others}
    if not asked["first"]:
        told |= {"source": _metadata(archive, "Source"), "spaced": not archive.has_new_namespace_scheme}
    return json.dumps(told).encode()


def _archive(path: str) -> Any:
    from libzim.reader import Archive

    if path not in _open:
        _open.clear()
        _open[path] = Archive(path)
    return _open[path]


def _metadata(archive: Any, name: str) -> str:
    if name not in archive.metadata_keys:
        return ""
    return bytes(archive.get_metadata(name)[:1000]).decode("utf-8", "replace")


if __name__ == "__main__":
    from gog.transforms.services.limited_child import serve

    serve(entries)
