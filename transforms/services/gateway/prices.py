"""What services cost: a dated table of list prices (`prices.json`), and a user's own on top of it.

Open-weight models and page readers that charge by the token of a page are not in the table: what they cost depends on
who runs them, so a run with a money ceiling asks for their price.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class Price(BaseModel):
    """What a service costs, in US dollars: per million tokens read, per million written, and per call."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prompt_per_million: float = Field(default=0.0, ge=0)
    """US dollars for a million tokens read."""
    completion_per_million: float = Field(default=0.0, ge=0)
    """US dollars for a million tokens written."""
    per_call: float = Field(default=0.0, ge=0)
    """US dollars a call."""

    def cost(self, prompt_tokens: float = 0, completion_tokens: float = 0, calls: float = 1) -> float:
        """Cost of one call with so many tokens, or of several that take so many together."""
        tokens = prompt_tokens * self.prompt_per_million + completion_tokens * self.completion_per_million
        return calls * self.per_call + tokens / 1e6


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the table: whose price it is, as of which month (`2026-03`), where it stands, and a remark."""

    id: str
    price: Price
    as_of: str
    source: str
    note: str = ""


FREE: Final = Price()
_SETTINGS: Final = re.compile(r"\+[0-9a-f]{8}$")
"""What a model's id says of settings that differ from the defaults."""


@cache
def list_prices() -> Mapping[str, Listed]:
    """The table, by id."""
    found = {}
    for line in json.loads(files("gog.transforms.services").joinpath("prices.json").read_text("utf-8"))["prices"]:
        words = {name: line.pop(name, "") for name in ("id", "as_of", "source", "note")}
        found[words["id"]] = Listed(price=Price(**line), **words)
    return found


def find_price(provider: str, own: Mapping[str, Price]) -> Price | None:
    """Price of a service by its id: the user's own, else the list's, else None.

    Looked up by the whole id, then without settings (`+1234abcd`) and revision (`@...`), then without what stands
    behind its last colon, and so on: `serper` is the price of `serper:us-en` where no other is given.
    """
    for name in _names(provider):
        if name in own:
            return own[name]
    return next((list_prices()[name].price for name in _names(provider) if name in list_prices()), None)


def _names(provider: str) -> Iterator[str]:
    yield provider
    name = _SETTINGS.sub("", provider)
    yield name
    name = name.partition("@")[0]
    yield name
    while ":" in name:
        name = name.rpartition(":")[0]
        yield name
