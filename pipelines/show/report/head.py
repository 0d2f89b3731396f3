"""The head of a report: what a run came to, when, how long it took, and which models made it."""

import duckdb

from gog.pipelines.lake.lake import Manifest
from gog.pipelines.show.settings import without_login
from gog.pipelines.show.web.text import moment
from gog.pipelines.show.words import spell


def facts(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Numbers, by name. The time is from the first call to the last; pauses between them count."""

    def one(sql: str) -> float:
        ((value,),) = connection.execute(sql).fetchall()
        return float(value or 0)

    calls, cost = one("SELECT sum(calls) FROM spend"), one("SELECT sum(cost) FROM spend")
    right = one("SELECT count(*) FROM overview WHERE outcome = 'correct'")
    attempts = one("SELECT count(*) FROM overview")
    ((began, ended),) = connection.execute("SELECT min(started), max(started + latency_s) FROM events").fetchall()
    return {
        "date": moment(began) or "-" if began is not None else "-",
        "time": spell(ended - began) if began is not None else "-",
        "seeds": f"{one('SELECT count(*) FROM seeds'):,.0f}",
        "trajectories": f"{attempts:,.0f}",
        "right": f"{right / attempts:.1%}" if attempts else "-",
        "kept": f"{one('SELECT count(*) FROM curated'):,.0f}",
        "labelled": f"{one('SELECT count(*) FROM complexity'):,.0f}",
        "calls": f"{calls:,.0f}",
        "cost": f"${cost:,.2f}",
    }


def models(manifest: Manifest) -> dict[str, str]:
    """Who made it, by role, as the config names them; none of a manifest without its config."""
    config = manifest.config
    panel = config.get("panel")
    named = {
        "teacher": [config.get("teacher")],
        "judge": [config.get("judge"), *(panel if isinstance(panel, list) else ())],
        "labeller": [config.get("labeller")],
    }
    words = {role: ", ".join(without_login(str(name)) for name in names if name) for role, names in named.items()}
    return {role: text for role, text in words.items() if text}
