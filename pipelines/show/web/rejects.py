"""What left a run, as a list to read: rows, seeds and attempts, of which the list of trajectories knows nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gog.pipelines.lake.lake import Lake
from gog.pipelines.show.web.filters import LONGEST_TEXT, FilterError
from gog.pipelines.show.web.opened import opened
from gog.pipelines.views.database import rows_of
from gog.pipelines.views.queries import STAGES
from gog.schemas import Unit
from gog.schemas.reasons import is_reason

PAGE: Final = 50
PAYLOAD: Final = 2000
"""Characters shown of what left."""
_NAMES: Final = ("stage", "unit", "reason", "seed")


@dataclass(frozen=True, slots=True)
class Left:
    """What is asked for; empty words ask for everything."""

    stage: str = ""
    unit: str = ""
    reason: str = ""
    seed: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Left":
        """From a URL's query. Raises `FilterError` on a name or a word that it does not know."""
        if unknown := [name for name in query if name not in (*_NAMES, "page")]:
            raise FilterError(f"there is nothing to filter by called {unknown[0][:50]!r}; known: {', '.join(_NAMES)}")
        asked = cls(**{name: query.get(name, "")[:LONGEST_TEXT] for name in _NAMES})
        for name, value, known in (("stage", asked.stage, STAGES), ("unit", asked.unit, [*Unit])):
            if value and value not in known:
                raise FilterError(f"{name} is one of {', '.join(known)}, not {value[:50]!r}")
        if asked.reason and not is_reason(asked.reason):
            raise FilterError(f"there is no reason {asked.reason[:50]!r}; the run's summary names those that it has")
        return asked

    @property
    def chosen(self) -> dict[str, str]:
        """The words that are not empty, by name."""
        return {name: value for name in _NAMES if (value := getattr(self, name))}


def left_of(lake: Lake, run: str, asked: Left, start: int) -> tuple[list[dict[str, Any]], int]:
    """A page of what left from `start` on, and how many there are in all. Raises `duckdb.Error` on damaged parts.

    `question` is the seed's, where it has one; `tried` says whether it has trajectories.
    """
    chosen = asked.chosen
    where = " AND ".join(["true", *(f"r.{'seed_id' if name == 'seed' else name} = ?" for name in chosen)])
    values = [*chosen.values()]
    with opened(lake, run) as views:
        ((total,),) = views.execute(f"SELECT count(*) FROM rejects r WHERE {where}", values).fetchall()
        sql = f"""
        SELECT r.*, s.question, s.seed_id IS NOT NULL AND r.seed_id IN (SELECT seed_id FROM trajectories) AS tried
        FROM (
            SELECT stage, unit, id, CASE WHEN unit = 'seed' AND seed_id = '' THEN id ELSE seed_id END AS seed_id,
                reason, detail, left(payload, {PAYLOAD}) AS payload
            FROM rejects r WHERE {where} ORDER BY stage, reason, seed_id, id LIMIT {PAGE} OFFSET {int(start)}
        ) r
        LEFT JOIN (SELECT seed_id, any_value(question) AS question FROM seeds GROUP BY seed_id) s
            ON s.seed_id = r.seed_id
        ORDER BY r.stage, r.reason, r.seed_id, r.id
        """
        return rows_of(views.execute(sql, values)), total
