"""The command line in this process: what came of a command, and small runs to call it on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs import atlas, write_config


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of its error; progress, which begins with seconds, does not count."""
        lines = [line for line in self.err.splitlines() if line.strip() and " | " not in line]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("gog: ")
        return lines[0]


Gog = Callable[..., Done]


@dataclass(frozen=True)
class Place:
    """A lake with a run, and the config that made it."""

    lake: Path
    config: Path

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.lake / "runs" / "tiny"


SMALL: dict[str, Any] = {
    "label": {"k": 2},
    "screen": {"passes": 2},
    "curate": {"splits": {"validation_share": 0.3, "rl_share": 0.3}, "balance": {"shares": {"direct": 0.435}}},
}
"""A run of few calls, with seeds for RL."""


def place(folder: Path, count: int = 8, shard_size: int = 4, **changes: Any) -> Place:
    """A config of a small run of the bundled world, with its lake beside it; nothing is there yet."""
    config = atlas(folder / "lake", count=count, shard_size=shard_size, **(SMALL | changes))
    return Place(folder / "lake", write_config(config, folder / "tiny.yaml"))


def contents(run: Path) -> dict[str, bytes]:
    """The bytes of a run's tables and exports: what equal runs have in common."""
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.suffix in {".parquet", ".md"} and "events" not in path.parts
    }


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with size and time of its last change; what SQLite keeps beside a store left out."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
