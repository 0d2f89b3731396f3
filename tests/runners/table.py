"""One run of the bundled world wherever it can run here: are the bytes equal, which calls were repeated, how long?

`PYTHONPATH=tests python -m runners.table [--seeds N] [--only WAY]...` prints a line as each run ends. Those ways that
are not local need `GOG_RUNNERS` (see `engines.py`), moto, and the programs of PostgreSQL. Seconds include what else the
machine does; processor seconds are those of the command, with its workers where they are its own.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.endpoint import Endpoint, listening
from chaos.scene import small
from object_stores import BUCKET, s3_server
from postgres_server import serving
from runners.engines import Programs, flink, flink_job_server, prism, programs, spark
from runners.test_engines import LOOPBACK, calls_repeated, fetched, finish, on, start, tables_of

from gog.pipelines.config.config import Config, parse_config

PROCESSES: Final = ("--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2")


@dataclass(frozen=True)
class Way:
    """Where a run works, and where its lake and its store are."""

    engine: Callable[[Programs], tuple[str, ...]] = lambda made: ()
    """Starts it; the options for Beam."""
    bucket: bool = False
    database: bool = False


def _flink(made: Programs) -> tuple[str, ...]:
    return on(flink_job_server(made, f"127.0.0.1:{flink(made).rest}"), "--parallelism=2", LOOPBACK)


WAYS: Final = {
    "local": Way(),
    "processes": Way(lambda made: PROCESSES),
    "prism": Way(lambda made: on(prism(made))),
    "flink": Way(_flink),
    "spark": Way(lambda made: on(spark(made))),
    "bucket": Way(bucket=True),
    "database": Way(database=True),
    "processes-bucket-database": Way(lambda made: PROCESSES, bucket=True, database=True),
}
"""The first is what the others are compared with."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    tables: dict[str, str]
    """Hashes of tables and exports."""
    calls: int
    repeated: int
    seconds: float
    cpu_s: float


def run(way: Way, seeds: int, folder: Path, endpoint: Endpoint) -> Outcome:
    """Run it to its end, in a folder of its own. Raises `AssertionError` where it fails."""
    with programs(folder) as made, _places(way, folder) as (lake, store):
        config = _config(folder / "lake", seeds, endpoint).model_copy(update={"lake": lake})
        config = config.model_copy(update={"store": config.store.model_validate(store)})
        beam = way.engine(made)
        endpoint.asked.clear()
        began, used = time.monotonic(), _cpu_s()
        done = finish(start(config, *beam, folder=folder))
        seconds, cpu_s = time.monotonic() - began, _cpu_s() - used
        assert done.code == 0, done.said
        copy = fetched(config, folder / "copy") if way.bucket else config
        return Outcome(tables_of(copy), len(endpoint.asked), calls_repeated(endpoint), seconds, cpu_s)


def _config(lake: Path, seeds: int, endpoint: Endpoint) -> Config:
    several = {"export": {"rows_per_file": max(2, seeds // 12)}}  # so that workers write exports, too
    return parse_config(small(lake, 7, seeds, endpoint.models, "r").model_dump(mode="json") | several)


@contextmanager
def _places(way: Way, folder: Path) -> Iterator[tuple[str, str]]:
    """Addresses of an empty lake and an empty store."""
    lake, store = str(folder / "lake"), str(folder / "store")
    if way.bucket:
        with s3_server(folder) as server:
            before = dict(os.environ)
            os.environ |= server.environment
            try:
                with _places(Way(database=way.database), folder) as (_, store):
                    yield f"s3://{BUCKET}/lake", store
            finally:
                os.environ.clear()
                os.environ |= before
    elif way.database:
        with serving() as server:
            yield lake, server.address()
    else:
        yield lake, store


def _cpu_s() -> float:
    """Processor seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run all that are named, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[*WAYS], help="beside the first; all unless named")
    parser.add_argument("--seeds", type=int, default=600)
    options = parser.parse_args()
    first, *others = WAYS
    print("| | seeds | tables and exports | calls | repeated | seconds | processor seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with listening() as endpoint, tempfile.TemporaryDirectory(prefix="gog-table-") as folder:
        expected: dict[str, str] = {}
        for name in [first, *(name for name in options.only or others if name != first)]:
            own = Path(folder) / name
            own.mkdir()
            found = run(WAYS[name], options.seeds, own, endpoint)
            expected = expected or found.tables
            equal = len(expected.items() & found.tables.items())
            same = f"{equal} of {len(expected.keys() | found.tables.keys())} equal"
            times = f"{found.seconds:.0f} | {found.cpu_s:.0f}"
            print(f"| {name} | {options.seeds} | {same} | {found.calls} | {found.repeated} | {times} |", flush=True)


if __name__ == "__main__":
    main()
