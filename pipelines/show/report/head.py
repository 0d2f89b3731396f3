"""The head of a report: what a run came to, when, and how long it took."""

import duckdb

from gog.pipelines.show.web.text import moment
from gog.pipelines.show.words import spell


def facts(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Numbers, by name. The time is from the first call to the last; pauses between them count."""

    def one(sql: str) -> float:
        ((value,),) = connection.execute(sql).fetchall()
        return float(value or 0)

    calls, cost = one("SELECT sum(calls - from_store) FROM spend"), one("SELECT sum(cost) FROM spend")
    right = one("SELECT count(*) FROM overview WHERE outcome = 'correct'")
    settled = one("SELECT count(*) FROM overview WHERE outcome IN ('correct', 'wrong')")
    ((began, ended),) = connection.execute("SELECT min(started), max(started + latency_s) FROM events").fetchall()
    return {
        "date": moment(began) or "-" if began is not None else "-",
        "time": spell(ended - began) if began is not None else "-",
        "seeds": f"{one('SELECT count(*) FROM seeds'):,.0f}",
        "trajectories": f"{one('SELECT count(*) FROM overview'):,.0f}",
        "right, of those settled": f"{right / settled:.1%}" if settled else "-",
        "kept": f"{one('SELECT count(*) FROM curated'):,.0f}",
        "labelled": f"{one('SELECT count(*) FROM complexity'):,.0f}",
        "calls made": f"{calls:,.0f}",
        "cost": f"${cost:,.2f}",
    }
