"""Tars of WebDataset and ZIM files, made here."""

import io
import tarfile
from pathlib import Path


def tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def article(title: str, text: str) -> str:
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"


def zim(path: Path, pages: list[tuple[str, str, str, str]], source: str = "en.wikipedia.org") -> Path:
    """A file with pages (path, title, content, mimetype), and a redirect to the first."""

    import libzim.writer as libzim_writer

    class Page(libzim_writer.Item):  # type: ignore[misc]
        def __init__(self, page: tuple[str, str, str, str]) -> None:
            super().__init__()
            self.page = page

        def get_path(self) -> str:
            return self.page[0]

        def get_title(self) -> str:
            return self.page[1]

        def get_mimetype(self) -> str:
            return self.page[3]

        def get_contentprovider(self) -> object:
            return libzim_writer.StringProvider(self.page[2])

        def get_hints(self) -> dict[object, bool]:
            return {libzim_writer.Hint.FRONT_ARTICLE: True}

    with libzim_writer.Creator(path) as out:
        for page in pages:
            out.add_item(Page(page))
        out.add_redirection("Other_name", "Other name", pages[0][0], {})
        out.add_metadata("Source", source)
    return path
