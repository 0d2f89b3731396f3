"""Calls of a run over the time at which it was at work, pauses cut out."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gog.pipelines.show.web.charts import Column
from gog.transforms.services.store.rows import ASKED

MOST_COLUMNS: Final = 80
PAUSE_S: Final = 300.0
"""A gap between calls that is longer is a pause of the run; of a run with very many of them, only longer ones are."""
MOST_SESSIONS: Final = 20
LONG_S: Final = 10 * 86400
"""A run of more seconds is counted by minutes: by steps of 5 s it would be hundreds of thousands of rows."""
_WIDTHS: Final = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600, 86400)
"""Seconds of a step of time."""

TIMES: Final = f"""
SELECT floor(started / wide) * wide AS began, wide::DOUBLE AS width,
    count(*) FILTER (NOT from_store) AS made, count(*) FILTER (from_store) AS from_store,
    count(*) FILTER (failure IS NOT NULL) AS failed
FROM events, (
    SELECT CASE WHEN max(started) - min(started) < {MOST_COLUMNS} THEN 1
        WHEN max(started) - min(started) < {LONG_S} THEN 5 ELSE 60 END AS wide FROM events
)
WHERE {ASKED} GROUP BY ALL ORDER BY began
"""
"""Calls in short steps of time, in order, as a query over a run."""


class Pace(NamedTuple):
    """Calls over the time at which the run was at work."""

    columns: list[Column]
    """Calls a minute."""
    width_s: float
    worked_s: float
    pauses: int = 0
    pause_s: float = PAUSE_S
    """How long a gap is at least that was cut out as a pause."""


def pace_of_calls(times: Sequence[Mapping[str, float]]) -> Pace | None:
    """The calls of short steps of time, in order, put into fewer; where a run paused, what follows begins anew."""
    if not times:
        return None
    short, pause = times[0]["width"], PAUSE_S
    while len(sessions := _sessions(times, pause)) > MOST_SESSIONS:
        pause *= 2
    worked = math.fsum(lines[-1]["began"] - lines[0]["began"] + short for lines in sessions)
    width = next((w for w in _WIDTHS if w >= short and worked / w <= MOST_COLUMNS), _WIDTHS[-1])
    columns: list[Column] = []
    for number, lines in enumerate(sessions):
        began = lines[0]["began"]
        count = int((lines[-1]["began"] - began) // width) + 1
        sums = [[0.0] * 3 for _ in range(count)]
        for line in lines:
            into = sums[int((line["began"] - began) // width)]
            for place, name in enumerate(("made", "from_store", "failed")):
                into[place] += line[name] * 60 / width
        columns += [
            Column(made, stored, failed, number > 0 and at == 0) for at, (made, stored, failed) in enumerate(sums)
        ]
    return Pace(columns, width, worked, len(sessions) - 1, pause)


def _sessions(times: Sequence[Mapping[str, float]], pause: float) -> list[list[Mapping[str, float]]]:
    sessions: list[list[Mapping[str, float]]] = []
    for line in times:
        if not sessions or line["began"] - sessions[-1][-1]["began"] > pause:
            sessions.append([])
        sessions[-1].append(line)
    return sessions
