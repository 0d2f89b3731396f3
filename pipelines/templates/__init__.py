"""The pages and recipes that the engine writes, as Jinja templates."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates(package: str = "gog.pipelines", *, autoescape: bool, **settings: Any) -> Environment:
    """The templates of a package, with Jinja's further settings; without `autoescape` whoever renders must escape."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=autoescape,  # noqa: S701 - see above
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **settings,
    )
