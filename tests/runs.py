"""Whole runs of the engine for the end-to-end tests: small ones of the bundled world, and what holds of any."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from gog.pipelines.config.config import Config, bundled, parse_config
from gog.pipelines.steps.run import run
from gog.pipelines.views.database import check_funnel, open_lake
from gog.schemas.reasons import REASONS

VARYING = ("manifest.json", "lock", "lake.duckdb", "report.html", "events/*")
"""What differs between equal runs, below a run's folder: spend, processes, times."""

Rows = list[dict[str, Any]]


def atlas(lake: Path | str, *, run: str = "tiny", count: int = 48, shard_size: int = 24, **changes: Any) -> Config:
    """The run of `make demo` over fewer seeds, and with much held out for validation, so that each split has rows."""
    values = bundled("atlas").model_dump(mode="json")
    values |= {"run": run, "lake": str(lake), "shard_size": shard_size}
    values["source"]["count"] = count
    values["curate"]["splits"]["validation_share"] = 0.3
    return parse_config(values | changes)


def shared_run(config: Config, factory: pytest.TempPathFactory) -> Config:
    """The run, finished, in a lake that all workers of a test session share: the first makes it, the others wait.

    The config's lake is a name. Nobody writes to such a run.
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    config = config.model_copy(update={"lake": str(base / "shared" / config.lake)})
    done = base / "shared" / f"{config.run}.done"
    done.parent.mkdir(exist_ok=True)
    with done.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            run(config)
            done.touch()
    return config


def write_config(config: Config, path: Path) -> Path:
    """The config as a file."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    return path


def run_folder(config: Config) -> Path:
    """Where the run is."""
    return Path(config.lake) / "runs" / config.run


def hashes(folder: Path, *, but: Iterable[str] = ()) -> dict[str, str]:
    """Hash of every file below a folder, by relative path; `but` are patterns of paths to leave out."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files(folder, but).items()}


def files(folder: Path, but: Iterable[str] = ()) -> dict[str, Path]:
    """Every file below a folder, by relative path."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    left_out = list(but)
    return {name: path for name, path in found.items() if not any(fnmatch(name, pattern) for pattern in left_out)}


def records(config: Config) -> dict[str, str]:
    """Hashes of all tables and exports: what equal runs have in common, byte for byte."""
    return hashes(run_folder(config), but=VARYING)


def select(config: Config, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query over the run."""
    with open_lake(run_folder(config)) as views:
        return views.execute(sql).fetchall()


def number(config: Config, sql: str) -> int:
    """The one number of a query over the run."""
    ((found,),) = select(config, sql)
    return int(found)


def calls(config: Config) -> tuple[int, int]:
    """Requests that the run made, and those that the store answered, by its events."""
    ((made, kept),) = select(config, "SELECT coalesce(sum(attempts), 0), count(*) FILTER (from_store) FROM events")
    return int(made), int(kept)


def exported(config: Config, kind: str, split: str = "*") -> Rows:
    """Rows of an export, all columns."""
    folder = run_folder(config) / "exports" / kind
    return [row for path in sorted(folder.glob(f"data/{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]


def messages_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chat of an exported row."""
    found: list[dict[str, Any]] = json.loads(row.get("messages") or row["prompt"])
    return found


def said_in(message: Mapping[str, Any]) -> str:
    """All that a message says: content, reasoning, calls."""
    content = message["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    calls_made = json.dumps(message.get("tool_calls", ""), ensure_ascii=False)
    return f"{text}\n{message.get('reasoning_content', '')}\n{calls_made}"


def check_nothing_lost(config: Config, rows: int) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Count a finished run anew from its tables and compare with its funnel; `rows` is how many the source has.

    Returns the funnel: (stage, unit) to (entered, passed, rejected).
    """
    attempts = config.synthesize.attempts
    with open_lake(run_folder(config)) as views:

        def one(sql: str) -> int:
            return int(views.execute(sql).fetchall()[0][0])

        assert check_funnel(views) == []
        lines = views.execute("SELECT stage, unit, entered, passed, rejected, balanced FROM funnel").fetchall()
        assert all(balanced for *_, balanced in lines)
        funnel = {(stage, unit): (entered, passed, rejected) for stage, unit, entered, passed, rejected, _ in lines}
        seeds, easy = one("SELECT count(*) FROM seeds"), one("SELECT count(*) FROM screenings WHERE easy")
        hard = one("SELECT count(*) FROM screenings WHERE NOT easy")
        tried = one("SELECT count(*) FROM trajectories")
        verified = one("SELECT count(*) FROM verdicts WHERE reasons = '[]'")
        kept = one("SELECT count(*) FROM curated")
        pool = one("SELECT count(*) FROM screenings WHERE NOT easy AND seed_id NOT IN (SELECT seed_id FROM curated)")
        labelled = one("SELECT count(*) FROM complexity")
        rejected = Counter(views.execute("SELECT stage, unit FROM rejects").fetchall())
        wanted = {
            ("ingest", "row"): (rows, seeds),
            ("screen", "seed"): (seeds, hard),
            ("propose", "seed"): (hard, hard),
            ("synthesize", "attempt"): (attempts * hard + easy, tried),
            ("verify", "trajectory"): (tried, verified),
            ("curate", "trajectory"): (verified, kept),
            ("export_sft", "trajectory"): (kept, len(exported(config, "sft"))),
            ("label", "seed"): (pool, labelled),
            ("export_rl", "seed"): (labelled, len(exported(config, "rl"))),
        }
        for key, (entered, passed) in wanted.items():
            assert funnel.get(key, (0, 0, 0)) == (entered, passed, rejected[key]), key
            assert entered == passed + rejected[key], key
        assert set(funnel) <= set(wanted)
        assert sum(rejected.values()) == sum(count for *_, count in funnel.values())
        bad = views.execute("SELECT reject_id, reason, id FROM rejects").fetchall()
        assert all(reason in REASONS and name for _, reason, name in bad)
        assert len({reject_id for reject_id, *_ in bad}) == len(bad), "a reject stands twice"
    return funnel


def gog(*args: str, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "gog.pipelines.cli.main", *args]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, cwd=cwd, env=os.environ | environment, check=False
    )


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a failed command says; progress, which begins with seconds, does not count."""
    lines = [line for line in done.stderr.splitlines() if line.strip() and " | " not in line]
    assert len(lines) == 1, done.stderr
    return lines[0]
