"""What a filter is, and how one is found and called.

A filter is a function that says why something should leave, in words, or None to keep it: of `(seed)` after ingest
and screen, of `(seed, trajectory, verdict)` after verify and curate. It decides the same each time it is called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, model_validator

from gog.schemas import Seed, Trajectory, Verdict
from gog.schemas.errors import UserError
from gog.transforms.open_set import OpenSet, UnknownMemberError

Place = Literal["ingest", "screen", "verify", "curate"]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter with the stage after which it runs unless the config says otherwise."""

    name: str
    after: Place
    function: Callable[..., str | None]


FILTERS: OpenSet[Filter | Callable[..., str | None]] = OpenSet(
    "filter", "gog.filters", "gog.transforms.filters", "FILTER"
)


class FilterError(UserError):
    """A filter raised, or returned neither None nor a text; the message names it."""


class FilterUse(BaseModel):
    """A filter in the config: its name or dotted path alone, or with the stage after which it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: str
    """Name of a filter, ours or of an installed package, or a dotted path."""
    after: Place | None = None
    """Stage whose records it sees; by default the filter's own, and `ingest` for a function."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value

    @property
    def filter(self) -> Filter:
        """The filter. Raises `UnknownMemberError`."""
        member = FILTERS[self.use]
        if isinstance(member, Filter):
            return Filter(member.name, self.after or member.after, member.function)
        if not callable(member):
            raise UnknownMemberError(f"filter {self.use!r} is no function")
        return Filter(self.use.replace(":", ".").rpartition(".")[2].replace("-", "_"), self.after or "ingest", member)

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, stage and origin: what records depend on. Raises `UnknownMemberError`."""
        return self.filter.name, self.filter.after, str(FILTERS.origin(self.use))


@cache
def filters_after(place: Place, uses: tuple[FilterUse, ...]) -> tuple[Filter, ...]:
    """Those that run after a stage, in order. Raises `UnknownMemberError`, also where two have one name."""
    filters = [use.filter for use in uses]
    for name in {one.name for one in filters}:
        if sum(one.name == name for one in filters) > 1:
            raise UnknownMemberError(f"two filters are called {name!r}: rejects could not tell them apart")
    return tuple(one for one in filters if one.after == place)


class Refusal(NamedTuple):
    """The reason code of what leaves, and the filter's words."""

    reason: str
    detail: str


def refusal(filters: Sequence[Filter], seed: Seed, *rest: Trajectory | Verdict) -> Refusal | None:
    """What the first filter that objects says. Raises `FilterError`: nothing leaves because a filter is broken."""
    for one in filters:
        try:
            words = one.function(seed, *rest)
        except Exception as error:
            message = f"the filter {one.name!r} failed on {seed.seed_id}: {type(error).__name__}: {error}"
            raise FilterError(message) from error
        if words is not None and not isinstance(words, str):
            raise FilterError(f"the filter {one.name!r} must return None or a text, not {type(words).__name__}")
        if words is not None:
            return Refusal(f"filter.{one.name}", words)
    return None
