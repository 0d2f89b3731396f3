"""The countries of the bundled world: flags and facts, as `tests/atlas_assets/draw.py` made them.

Facts are those of world-countries 5.1.0, flags those of flag-icons 7.5.0; the engine takes both as they are.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from PIL import Image

_ASSETS = files("gog.transforms.atlas") / "assets"

PARTITIONS = 10
HELD_OUT = (8, 9)
"""Partitions that no training scene draws from."""

WITH_ARTICLE = frozenset(
    ("ARE", "BHS", "CAF", "COD", "COG", "COK", "COM", "DOM", "GBR", "GMB", "MDV", "MHL", "NLD", "PHL", "SLB")
) | {"SYC", "USA"}


class Country(NamedTuple):
    """A country: its names and its facts. `area` is in square kilometres; codes are ISO 3166 alpha-3.

    `twins` have the same flag for all that a picture shows; `lookalikes` are easily confused, nearest first.
    """

    code: str
    name: str
    official: str
    aliases: tuple[str, ...]
    capitals: tuple[str, ...]
    capital_asked: bool
    currencies: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    continent: str
    subregion: str
    area: float
    landlocked: bool
    borders: tuple[str, ...]
    demonym: str
    twins: tuple[str, ...]
    lookalikes: tuple[str, ...]
    partition: int

    @property
    def page(self) -> str:
        """Address of the country's article."""
        return f"atlas://country/{self.code}"

    @property
    def in_text(self) -> str:
        """The name as it stands within a sentence."""
        return f"the {self.name}" if self.code in WITH_ARTICLE else self.name

    @property
    def names(self) -> tuple[str, ...]:
        """Every accepted name, the usual one first."""
        return (self.name, *self.aliases)


@cache
def countries() -> tuple[Country, ...]:
    """All countries, by code."""
    rows = json.loads((_ASSETS / "countries.json").read_text("utf-8"))
    return tuple(Country(**{key: _frozen(value) for key, value in row.items()}) for row in rows)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


@cache
def by_code() -> dict[str, Country]:
    """Countries by their code."""
    return {country.code: country for country in countries()}


@cache
def members(partition: int) -> tuple[Country, ...]:
    """Countries of a partition."""
    return tuple(country for country in countries() if country.partition == partition)


def partitions(held_out: bool = False) -> tuple[int, ...]:
    """Numbers of the partitions for training, or of those held out."""
    return tuple(p for p in range(PARTITIONS) if (p in HELD_OUT) == held_out)


@cache
def flag(code: str) -> Image.Image:
    """The flag, RGB, 320x240. Shared: copy before drawing on it."""
    with (_ASSETS / "flags" / f"{code}.png").open("rb") as handle:
        return Image.open(handle).convert("RGB")
