"""The list of a run's trajectories: a small table in memory, made from the Parquet parts, asked by filters.

Columns that the list needs are a hundredth of what a run holds, so that 100,000 trajectories filter in milliseconds.
What a page of one trajectory shows is read from the parts when it is asked for (`gog.pipelines.show.web.records`).
"""

import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.reviews import ByReviewer, state_of
from gog.pipelines.show.web.asked import find
from gog.pipelines.show.web.filters import FACETS, NOTHING, SORTS, Filter, FilterError
from gog.pipelines.show.web.listed import DOUBTS, LISTED, parts_of, signature
from gog.pipelines.show.web.records import Place
from gog.pipelines.views.database import open_lake, quoted, rows_of
from gog.schemas import Review
from gog.transforms.place import place

MEMORY: Final = "256MB"
"""What the database of one run may hold in memory."""
_ASKABLE: Final = "* EXCLUDE (filename, boxes, on_images, words, dice, place)"
"""Columns of the list that SQL may name; the others serve its pages alone."""
MOST_ASKED: Final = 8
"""Filters in SQL whose finds are kept, the latest ones."""
ASKED_S: Final = 30.0
"""How long they are, at least; longer where asking takes long."""
MOST_OPTIONS: Final = 200
"""Values of a facet to choose from, the most frequent ones."""
_COLUMNS: Final = (
    "l.* EXCLUDE (words), coalesce(r.state, 'unreviewed') AS review, coalesce(r.names, []) AS reviewers, "
    "coalesce(list_contains(r.deciders, ?), false) AS own"
)
"""Of a row of a list; the value is who asks."""
MOST_ATTEMPTS: Final = 100

_FROM: Final = "FROM listed l LEFT JOIN reviewed r ON r.trajectory_id = l.trajectory_id"


class Progress(NamedTuple):
    """How far the review of what a filter finds has come, whatever its review state: all, by one person, by anybody."""

    total: int
    own: int
    all: int


class Option(NamedTuple):
    """A value of a facet, and how many trajectories have it."""

    value: str
    trajectories: int


class Listing(NamedTuple):
    """A page of the list: its rows as dictionaries, and how many there are on all pages."""

    rows: list[dict[str, Any]]
    total: int


class SeedListing(NamedTuple):
    """A page of the list by seeds: the rows of each, and how many seeds and trajectories there are on all pages."""

    groups: list[list[dict[str, Any]]]
    seeds: int
    total: int


class Neighbours(NamedTuple):
    """Where a trajectory is in a list: the ids beside it, its place from 1 on (0: not in it), how many there are."""

    before: str | None
    after: str | None
    place: int
    total: int


class RunIndex:
    """The list of one run as it was when this was made. May be asked from several threads."""

    def __init__(self, lake: Lake, run: str) -> None:
        """Reads the run: a second or two for 100,000 trajectories. Raises `duckdb.Error` on damaged parts."""
        self.run = run
        self.signature = signature(lake, run)
        self.known: Mapping[str, ByReviewer] | None = None
        """The reviews that are in the list."""
        self._folder = lake.run_folder(run)
        self._asking = threading.Lock()
        self._good_until: dict[str, float] = {}
        self._spill = spill = Path(tempfile.mkdtemp(prefix="gog-view-"))
        self._clear = weakref.finalize(self, shutil.rmtree, spill, ignore_errors=True)
        self._connection = open_lake(lake.run_folder(run), memory_limit=MEMORY, spill=spill)
        try:
            self._connection.execute("SET preserve_insertion_order = true")
            self._connection.execute(f"CREATE TEMP VIEW parts AS {parts_of(lake, run)}")
            self._connection.execute(LISTED)
            self._connection.execute(
                "CREATE TABLE reviewed (trajectory_id VARCHAR, state VARCHAR, deciders VARCHAR[], names VARCHAR[])"
            )
            self._connection.execute("CREATE TABLE asked (sql VARCHAR, place BIGINT)")
            self.options = {facet.name: self._options(facet.name, facet.many) for facet in FACETS}
            ((self.total,),) = self._connection.execute("SELECT count(*) FROM listed").fetchall()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()
        self._clear()

    def set_reviews(self, latest: Mapping[str, ByReviewer], changed: str | None = None) -> None:
        """Know these reviews, and no others. Not while others set some.

        `changed` is the one trajectory in which they differ from those known before; any may where it is None.
        """
        rows = [_review_row(name, latest[name]) for name in (latest if changed is None else [changed])]
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("DELETE FROM reviewed WHERE $1 IS NULL OR trajectory_id = $1", [changed])
            if values := [list(column) for column in zip(*rows, strict=True)]:
                cursor.execute("INSERT INTO reviewed SELECT unnest(?), unnest(?), unnest(?), unnest(?)", values)
            cursor.execute("COMMIT")
        self.known = latest

    def page(self, wanted: Filter, reviewer: str, start: int, count: int) -> Listing:
        """`count` rows from `start` on, and how many there are in all."""
        where, values = self._where(wanted, reviewer)
        key, direction = SORTS[wanted.sort][1], "DESC" if wanted.down else "ASC"
        with self._connection.cursor() as cursor:
            ((total,),) = cursor.execute(f"SELECT count(*) {_FROM} WHERE {where}", values).fetchall()
            # Only places are sorted; the columns of a page are looked up by them.
            order = f"ORDER BY {key} {direction}, place {direction} LIMIT {int(count)} OFFSET {int(start)}"
            places = [p for (p,) in cursor.execute(f"SELECT place {_FROM} WHERE {where} {order}", values).fetchall()]
            sql = f"SELECT {_COLUMNS} {_FROM} WHERE list_contains(?, place)"
            rows = rows_of(cursor.execute(sql, [reviewer, places]))
        by_place = {row["place"]: row for row in rows}
        return Listing([by_place[place] for place in places], total)

    def seeds_page(self, wanted: Filter, reviewer: str, start: int, count: int) -> SeedListing:
        """The rows of `count` seeds from `start` on, with those attempts that are wanted, at most 100 a seed.

        A seed stands where the first of its attempts in this order would.
        """
        where, values = self._where(wanted, reviewer)
        key, direction = SORTS[wanted.sort][1], "DESC" if wanted.down else "ASC"
        of_seed = f"{'max' if wanted.down else 'min'}({key})"
        with self._connection.cursor() as cursor:
            ((total, seeds),) = cursor.execute(
                f"SELECT count(*), count(DISTINCT seed_id) {_FROM} WHERE {where}", values
            ).fetchall()
            order = f"ORDER BY {of_seed} {direction}, min(place) {direction} LIMIT {int(count)} OFFSET {int(start)}"
            chosen = f"SELECT seed_id {_FROM} WHERE {where} GROUP BY seed_id {order}"
            ids = [name for (name,) in cursor.execute(chosen, values).fetchall()]
            sql = f"SELECT {_COLUMNS} {_FROM} WHERE {where} AND list_contains(?, seed_id) ORDER BY place"
            rows = rows_of(cursor.execute(sql, [reviewer, *values, ids]))
        by_seed: dict[str, list[dict[str, Any]]] = {name: [] for name in ids}
        for row in rows:
            by_seed[row["seed_id"]].append(row)
        return SeedListing([attempts[:MOST_ATTEMPTS] for attempts in by_seed.values()], seeds, total)

    def neighbours(self, trajectory_id: str, wanted: Filter, reviewer: str) -> Neighbours:
        """What stands before and after a trajectory in a list, also one that it is not in (any more)."""
        where, values = self._where(wanted, reviewer)
        key = SORTS[wanted.sort][1]
        with self._connection.cursor() as cursor:
            here = cursor.execute(
                f"SELECT {key}, place {_FROM} WHERE l.trajectory_id = ? LIMIT 1", [trajectory_id]
            ).fetchall()
            if not here:
                return Neighbours(None, None, 0, 0)
            at = list(here[0])
            ends = []
            for sign, direction in (("<", "DESC"), (">", "ASC")):
                ends.append(
                    cursor.execute(
                        f"SELECT l.trajectory_id {_FROM} WHERE {where} AND ({key}, place) {sign} (?, ?) "
                        f"ORDER BY {key} {direction}, place {direction} LIMIT 1",
                        [*values, *at],
                    ).fetchone()
                )
            ((total, up_to, is_in),) = cursor.execute(
                f"SELECT count(*), count(*) FILTER (({key}, place) <= (?, ?)), "
                f"count(*) FILTER (place = ?) {_FROM} WHERE {where}",
                [*at, at[1], *values],
            ).fetchall()
        before, after = (end[0] if end else None for end in ends)
        if wanted.down:
            before, after, up_to = after, before, total - up_to + 1
        return Neighbours(before, after, up_to if is_in else 0, total)

    def first(self, wanted: Filter, reviewer: str) -> str | None:
        """The first trajectory of a list."""
        rows = self.page(wanted, reviewer, 0, 1).rows
        return str(rows[0]["trajectory_id"]) if rows else None

    def progress(self, wanted: Filter, reviewer: str) -> Progress:
        """How far the review of these has come."""
        where, values = self._where(replace(wanted, review=""), reviewer)
        with self._connection.cursor() as cursor:
            row = cursor.execute(
                f"SELECT count(*), count(*) FILTER (list_contains(r.deciders, ?)), "
                f"count(*) FILTER (len(r.deciders) > 0) {_FROM} WHERE {where}",
                [reviewer, *values],
            ).fetchone()
        return Progress(*row) if row else Progress(0, 0, 0)

    def check(self, wanted: Filter) -> None:
        """Raise `FilterError` where a value is chosen that no trajectory of the run has, or SQL has no answer."""
        for name, value in wanted.facets.items():
            known = [option.value or NOTHING for option in self.options[name]]
            if value not in known and not self._has(Filter(facets={name: value})):
                words = f"known: {', '.join(known[:20])}" if known else "it has none at all"
                raise FilterError(f"no trajectory of this run has the {name} {value[:50]!r}; {words}")
        self._where(wanted, "")

    def doubts(self, trajectory_id: str) -> list[str]:
        """Why a trajectory is worth a look before others, in words."""
        with self._connection.cursor() as cursor:
            sql = "SELECT doubts FROM listed WHERE trajectory_id = ? LIMIT 1"
            row = cursor.execute(sql, [trajectory_id]).fetchone()
        return [DOUBTS[doubt] for doubt in row[0]] if row else []

    def drawn(self, *, agreed: bool) -> list[tuple[str, str]]:
        """Ids of trajectories and seeds of what was kept, in an order of chance that is the same for everybody.

        `agreed`: only those that a rule calls right and on which nothing speaks against it.
        """
        with self._connection.cursor() as cursor:
            where = "kept = 'yes' AND agreed = 'yes'" if agreed else "kept = 'yes'"
            return cursor.execute(
                f"SELECT trajectory_id, seed_id FROM listed WHERE {where} ORDER BY dice, place"
            ).fetchall()

    @property
    def columns(self) -> list[str]:
        """What a condition in SQL may name."""
        with self._connection.cursor() as cursor:
            names = cursor.execute(f"SELECT {_ASKABLE} FROM listed LIMIT 0").description
        return [name for name, *_ in names or ()]

    def _where(self, wanted: Filter, reviewer: str) -> tuple[str, list[Any]]:
        """The condition of a filter, once its SQL is answered. Raises `FilterError`."""
        if wanted.sql:
            self._ask(wanted.sql)
        return wanted.where(reviewer)

    def _ask(self, sql: str) -> None:
        """Keep what SQL finds, for as long as asking again would be dear."""
        with self._asking:
            if time.monotonic() < self._good_until.get(sql, 0.0):
                return
            began = time.monotonic()
            listed = self._spill / "listed.parquet"
            if not listed.exists():
                with self._connection.cursor() as cursor:
                    cursor.execute(f"COPY (SELECT {_ASKABLE} FROM listed) TO {quoted(str(listed))}")
            found = find(self._folder, listed, sql)
            self._good_until.pop(sql, None)
            old = [sql, *list(self._good_until)[: max(0, len(self._good_until) - MOST_ASKED + 1)]]
            with self._connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("DELETE FROM asked WHERE list_contains(?, sql)", [old])
                cursor.execute(
                    f"INSERT INTO asked SELECT ?, place FROM listed WHERE {found.column} IN (SELECT unnest(?))",
                    [sql, found.ids],
                )
                cursor.execute("COMMIT")
            for name in old[1:]:
                del self._good_until[name]
            ended = time.monotonic()
            self._good_until[sql] = ended + max(ASKED_S, 20 * (ended - began))

    def _has(self, wanted: Filter) -> bool:
        where, values = wanted.where("")
        with self._connection.cursor() as cursor:
            return cursor.execute(f"SELECT 1 FROM listed l WHERE {where} LIMIT 1", values).fetchone() is not None

    def attempts(self, seed_id: str) -> list[dict[str, Any]]:
        """All trajectories of a seed, in the order of the attempts."""
        with self._connection.cursor() as cursor:
            sql = f"SELECT {_COLUMNS} {_FROM} WHERE seed_id = ? ORDER BY place"
            return rows_of(cursor.execute(sql, ["", seed_id]))[:MOST_ATTEMPTS]

    def place_of(self, trajectory_id: str) -> Place | None:
        """Where a trajectory is; None when the run has none of this id."""
        with self._connection.cursor() as cursor:
            sql = "SELECT filename, kept = 'yes', len(reasons) > 0 FROM listed WHERE trajectory_id = ? LIMIT 1"
            row = cursor.execute(sql, [trajectory_id]).fetchone()
        return Place(place(row[0]), row[1], row[2]) if row else None

    def _options(self, name: str, many: bool) -> list[Option]:
        values = f"unnest({name}s)" if many else name
        order = "value" if name == "level" else "count DESC, value"
        sql = f"""SELECT value, count(*) AS count FROM (SELECT {values} AS value FROM listed)
            GROUP BY value ORDER BY {order} LIMIT {MOST_OPTIONS}"""
        options = [Option(*row) for row in self._connection.execute(sql).fetchall()]
        if many:
            ((without,),) = self._connection.execute(f"SELECT count(*) FROM listed WHERE len({name}s) = 0").fetchall()
            options += [Option("", without)] if without else []
        return options


def _review_row(trajectory_id: str, reviews: Mapping[str, Review]) -> tuple[str, str, list[str], list[str]]:
    deciders = [name for name, review in reviews.items() if review.decision is not None]
    return trajectory_id, state_of(reviews).value, deciders, list(reviews)
