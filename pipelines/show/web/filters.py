"""What a list of trajectories is asked for: read from a URL, turned into SQL, and written into URLs again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

LONGEST_SQL: Final = 2000
"""Characters of a condition or a query in SQL."""
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
    Facet("agreed", "Rule and judge agree"),
    Facet("reason", "Reason", many=True),
    Facet("teacher", "Teacher"),
    Facet("provider", "Search", many=True),
)
_FACETS: Final = {facet.name: facet for facet in FACETS}

REVIEWS: Final = {
    "todo": "not decided by you",
    "second": "decided by one other, not by you",
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
    "doubt": ("doubt", "-doubt"),
    "random": ("chance", "dice"),
}
"""How a list can be sorted: the word for it, and the key in SQL. Ties go by seed, then attempt."""


QUEUE: Final = {"kept": "yes", "review": "todo", "sort": "doubt"}
"""What a queue for review asks for unless it is told otherwise."""
MOST_SAMPLED: Final = 100_000


class FilterError(ValueError):
    """Something is asked for that a list does not know; the message is one line."""


class SqlError(FilterError):
    """The SQL of a filter cannot be answered."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted, and in which order."""

    text: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    review: str = ""
    seed: str = ""
    """Attempts at one seed."""
    sql: str = ""
    """A condition on columns of the list, or a query with a column of ids."""
    sample: int = 0
    """So many, drawn by chance from all with these facets, the same ones for everybody; 0: all."""
    sort: str = "seed"
    down: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filter":
        """From a URL's query. Raises `FilterError` on a name or a word that it does not know."""
        if unknown := [name for name in query if name not in _NAMES]:
            raise FilterError(f"there is nothing to filter by called {unknown[0][:50]!r}; known: {', '.join(_NAMES)}")
        facets = {f.name: query[f.name][:LONGEST_TEXT] for f in FACETS if query.get(f.name)}
        return cls(
            text=query.get("q", "").strip()[:LONGEST_TEXT],
            facets=facets,
            review=_word(query, "review", REVIEWS),
            seed=query.get("seed", "")[:LONGEST_TEXT],
            sql=_sql(query.get("sql", "")),
            sample=_sampled(query.get("sample", "")),
            sort=_word(query, "sort", SORTS) or "seed",
            down=_word(query, "down", ("1",)) == "1",
        )

    @property
    def empty(self) -> bool:
        """Whether everything is wanted."""
        return not (self.text or self.facets or self.review or self.seed or self.sql or self.sample)

    @property
    def queue(self) -> bool:
        """Whether what is decided leaves the list."""
        return self.review in ("todo", "second")

    def query(self, **more: object) -> str:
        """As a URL's query, with a question mark; `more` on top, where an empty value takes one away."""
        values: dict[str, object] = {"q": self.text, **self.facets, "review": self.review, "seed": self.seed}
        values |= {
            "sql": self.sql,
            "sample": self.sample or "",
            "sort": "" if self.sort == "seed" else self.sort,
            "down": "1" if self.down else "",
        }
        given = {name: value for name, value in (values | more).items() if value not in ("", None)}
        return f"?{urlencode(given)}" if given else ""

    def where(self, reviewer: str) -> tuple[str, list[Any]]:
        """The condition in SQL over `listed l`, `reviewed r` and `asked`, with its values."""
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
        if self.sql:
            conditions.append("l.place IN (SELECT place FROM asked WHERE sql = ?)")
            values.append(self.sql)
        if self.sample:
            within, chosen = replace(self, sample=0, review="").where(reviewer)
            inner = f"SELECT l.place FROM listed l WHERE {within} ORDER BY dice, l.place LIMIT {self.sample:d}"
            conditions.append(f"l.place IN ({inner})")
            values += chosen
        if self.queue:
            conditions.append("NOT coalesce(list_contains(r.deciders, ?), false)")
            values.append(reviewer)
            if self.review == "second":
                conditions.append("len(r.deciders) = 1")
        elif self.review:
            conditions.append("coalesce(r.state, 'unreviewed') = ?")
            values.append(self.review)
        return " AND ".join(conditions), values


_NAMES: Final = ("q", *_FACETS, "review", "seed", "sql", "sample", "sort", "down", "page")


def _word(query: Mapping[str, str], name: str, known: Collection[str]) -> str:
    word = query.get(name, "")
    if word and word not in known:
        raise FilterError(f"{name} is one of {', '.join(known)}, not {word[:50]!r}")
    return word


def _sql(text: str) -> str:
    if len(text) > LONGEST_SQL:
        raise FilterError(f"sql has {len(text):,} characters, more than {LONGEST_SQL:,}")
    return text.strip()


def _sampled(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= MOST_SAMPLED):
        raise FilterError(f"sample is a number from 1 to {MOST_SAMPLED:,}, not {text[:50]!r}")
    return int(text)


def _chosen(facet: Facet, value: str) -> tuple[str, list[str]]:
    if facet.many:
        if value == NOTHING:
            return f"len({facet.name}s) = 0", []
        return f"list_contains({facet.name}s, ?)", [value]
    return f"{facet.name} = ?", ["" if value == NOTHING else value]
