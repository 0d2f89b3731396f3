"""What a list of trajectories is asked for: read from a URL, turned into SQL, and written into URLs again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

LONGEST_TEXT: Final = 200
"""Characters of a search for text, and of a facet's value."""
NOTHING: Final = "-"
"""Stands in a URL for the value that is not there."""


class Facet(NamedTuple):
    """A column to choose a value of; `many` where a trajectory has several."""

    name: str
    label: str
    many: bool = False


FACETS: Final = (
    Facet("dataset", "Dataset"),
    Facet("category", "Kind"),
    Facet("behaviour", "Behaviour"),
    Facet("origin", "Made by"),
    Facet("reflective", "Reflective"),
    Facet("level", "Level", many=True),
    Facet("outcome", "Verdict"),
    Facet("method", "Settled by"),
    Facet("kept", "Kept"),
    Facet("reason", "Reason", many=True),
    Facet("teacher", "Teacher"),
    Facet("provider", "Search", many=True),
)
_FACETS: Final = {facet.name: facet for facet in FACETS}

REVIEWS: Final = {
    "todo": "not decided by you",
    "unreviewed": "not reviewed",
    "accepted": "accepted",
    "rejected": "rejected",
    "disputed": "disputed",
    "noted": "only noted",
}
"""Review states to choose from, and how they read."""

SORTS: Final = {
    "seed": ("seed", "place"),
    "question": ("question", "lower(question)"),
    "turns": ("turns", "turns"),
    "gazes": ("gazes", "gazes"),
    "tokens": ("tokens", "tokens"),
    "rate": ("pass rate", "coalesce(pass_rate, -1)"),
    "verdict": ("verdict", "outcome"),
    "review": ("review", "coalesce(r.state, 'unreviewed')"),
}
"""How a list can be sorted: the word for it, and the key in SQL. Ties go by seed, then attempt."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted, and in which order."""

    text: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    review: str = ""
    seed: str = ""
    """Attempts at one seed."""
    sort: str = "seed"
    down: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filter":
        """From a URL's query; what is unknown there is as if it were not."""
        facets = {f.name: query[f.name][:LONGEST_TEXT] for f in FACETS if query.get(f.name)}
        review, sort = query.get("review", ""), query.get("sort", "")
        return cls(
            text=query.get("q", "").strip()[:LONGEST_TEXT],
            facets=facets,
            review=review if review in REVIEWS else "",
            seed=query.get("seed", "")[:LONGEST_TEXT],
            sort=sort if sort in SORTS else "seed",
            down=query.get("down") == "1",
        )

    @property
    def empty(self) -> bool:
        """Whether everything is wanted."""
        return not (self.text or self.facets or self.review or self.seed)

    def query(self, **more: object) -> str:
        """As a URL's query, with a question mark; `more` on top, where an empty value takes one away."""
        values: dict[str, object] = {"q": self.text, **self.facets, "review": self.review, "seed": self.seed}
        values |= {"sort": "" if self.sort == "seed" else self.sort, "down": "1" if self.down else ""}
        given = {name: value for name, value in (values | more).items() if value not in ("", None)}
        return f"?{urlencode(given)}" if given else ""

    def sorted_by(self, sort: str) -> str:
        """The query of the same list sorted otherwise; downwards where it is sorted so already."""
        again = sort == self.sort and not self.down
        return self.query(sort="" if sort == "seed" else sort, down="1" if again else "")

    def where(self, reviewer: str) -> tuple[str, list[Any]]:
        """The condition in SQL over `listed l` and `reviewed r`, with its values."""
        conditions, values = ["true"], list[Any]()
        if words := self.text.lower().split():
            every = " AND ".join(["contains(words, ?)"] * len(words))
            conditions.append(f"(({every}) OR starts_with(l.trajectory_id, ?) OR starts_with(seed_id, ?))")
            values += [*words, self.text, self.text]
        for name, value in self.facets.items():
            condition, chosen = _chosen(_FACETS[name], value)
            conditions.append(condition)
            values += chosen
        if self.seed:
            conditions.append("seed_id = ?")
            values.append(self.seed)
        if self.review == "todo":
            conditions.append("NOT coalesce(list_contains(r.deciders, ?), false)")
            values.append(reviewer)
        elif self.review:
            conditions.append("coalesce(r.state, 'unreviewed') = ?")
            values.append(self.review)
        return " AND ".join(conditions), values


def _chosen(facet: Facet, value: str) -> tuple[str, list[str]]:
    if facet.many:
        if value == NOTHING:
            return f"len({facet.name}s) = 0", []
        return f"list_contains({facet.name}s, ?)", [value]
    return f"{facet.name} = ?", ["" if value == NOTHING else value]
