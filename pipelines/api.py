"""What `import gog` offers beyond names that stand elsewhere: a run to be read, and an evaluation and an export by one
call each.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb
import pyarrow as pa

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.lake.lake import Lake, LakeError, Manifest
from gog.pipelines.views import database
from gog.schemas import TABLES
from gog.schemas.base import Row
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target

if TYPE_CHECKING:
    from gog.transforms.evaluate.results import Results

R = TypeVar("R", bound=Row)

_TABLE_OF = {record: table for table, record in TABLES.items()}


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a lake, to be read."""

    lake: Lake
    name: str

    @property
    def folder(self) -> Path:
        """Where its tables and exports are."""
        return self.lake.run_folder(self.name)

    @property
    def manifest(self) -> Manifest:
        """What the run is and how far it came."""
        manifest = self.lake.read_manifest(self.name)
        if manifest is None:
            known = ", ".join(self.lake.runs()) or "none yet"
            raise LakeError(f"there is no run {self.name!r} in {self.lake.root}: there are {known}")
        return manifest

    def records(self, record: type[R]) -> Iterator[R]:
        """The records of a table, which its class names: `records(Trajectory)`. `SchemaError` on a row that is none."""
        return self.lake.read_table(self.name, _TABLE_OF[record], record)

    def arrow(self, table: str) -> pa.Table:
        """A table or view as Arrow: `arrow("trajectories")`, `arrow("overview")`; what is nested is JSON."""
        with self.connect() as views:
            return views.table(table).to_arrow_table()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """DuckDB over the run: tables, views and macros; to be closed."""
        return database.open_lake(self.folder)


def open_lake(folder: Path | str = "lake") -> Lake:
    """The lake in a folder. Raises `LakeError` when there is none."""
    return Lake(str(folder), create=False)


def open_run(folder: Path | str = "lake", name: str | None = None) -> Run:
    """A run of the lake in a folder; the only one where none is named. Raises `LakeError`."""
    lake = open_lake(folder)
    if name is None:
        if len(lake.runs()) != 1:
            raise LakeError(f"name a run of {lake.root}: it has {', '.join(lake.runs()) or 'none yet'}")
        (name,) = lake.runs()
    run = Run(lake, name)
    _ = run.manifest
    return run


def export(config: Config, kind: str, form: str = "parquet", backbone: str | None = None) -> Path:
    """Write the splits `sft` or `rl` of a run, or those for a trainer beside them; returns their folder.

    `form` and `backbone` are what `gog export` takes as --format and --backbone. Raises `ConfigError`, `LakeError`.
    """
    from gog.pipelines.export.formats import FORMATS
    from gog.pipelines.steps.export import export_for
    from gog.pipelines.steps.run import run

    try:
        known, target = FORMATS[form], Target(form, BACKBONES[backbone] if backbone else None)
    except ValueError as error:
        raise ConfigError(f"no such export: {error}") from None
    if kind not in known.kinds:
        raise ConfigError(f"{form} does not train {kind!r}: it has {', '.join(known.kinds)}")
    folder = open_run(config.lake, config.run).folder / "exports" / kind
    run(config, steps=(f"export_{kind}",))
    return folder if target.backbone is None else export_for(config, kind, target).folder


def evaluate(
    config: Config,
    benchmarks: Iterable[str],
    *,
    policy: str | None = None,
    paradigms: Iterable[str] = ("direct", "prompted", "full-search", "policy"),
    limit: int | None = None,
    name: str = "eval",
    judge_all: bool = False,
) -> "Results":
    """Answer benchmarks (`NAME[:SPLIT][=PATH]`) and score the answers; they are kept in LAKE/evals/NAME.

    `policy` is a model's address, the config's labeller unless given; `limit` the first so many items of each. The
    same call goes on where one stopped. Raises `ConfigError`, `BenchmarkError`, `LakeError`.
    """
    from gog.pipelines.evaluate.results import results_of, write_results
    from gog.pipelines.evaluate.run import Bench, Evaluation
    from gog.transforms.evaluate.paradigms import Paradigm

    asked = [Paradigm(one) for one in paradigms]
    evaluation = Evaluation(config, policy or config.labeller, name, judge_all=judge_all)
    with evaluation.begun():
        benches = [Bench.parse(text) for text in benchmarks]
        for bench in benches:  # all of them, before the first costs anything
            evaluation.check(bench, limit)
        results = results_of(evaluation, [evaluation.run(bench, asked, limit=limit) for bench in benches])
        write_results(evaluation, results)
    return results
