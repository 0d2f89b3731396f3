"""What MkDocs runs while it builds: links to files beside the docs, and what the search puts first."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name files of the repository that are not in the site; one that does not exist fails the build."""
    if page.file.src_uri.startswith("reference/"):
        page.meta["search"] = {"boost": 0.5}  # it names every word there is: pages that explain come first
    root = Path(config.docs_dir).parent
    here = (Path(config.docs_dir) / page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        if target.is_relative_to(Path(config.docs_dir).resolve()):
            return link[0]
        if not target.exists() or not target.is_relative_to(root.resolve()):
            raise PluginError(f"{page.file.src_uri}: there is no {link[2]}")
        path = target.relative_to(root.resolve()).as_posix()
        return f"`{path}`" if link[1].strip("`") in {path, target.name} else f"{link[1]} (`{path}`)"

    return _OUTSIDE.sub(named, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the theme's search dialog a name, which screen readers say."""
    return _named_search(output)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page that is not there."""
    return _named_search(output_content)


def _named_search(html: str) -> str:
    unnamed = 'data-md-component="search" role="dialog">'
    return html.replace(unnamed, f'{unnamed[:-1]} aria-label="Search">')
