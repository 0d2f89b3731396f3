"""Evaluate: a policy answers benchmarks under paradigms; every answer is kept, and a second run goes on.

LAKE/evals/NAME/manifest.json               what was asked of whom; another question needs another name
LAKE/evals/NAME/answers/BENCH-PARADIGM.jsonl  an `Answered` a line
LAKE/evals/NAME/results.json                the numbers, with every item's scores
"""

import asyncio
import json
import queue
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from gog.pipelines.config import Config, ConfigError, fingerprint
from gog.pipelines.lake import Lake, write_atomic
from gog.pipelines.opening import policy_id, services_for
from gog.schemas import SCHEMA_VERSION, canonical_json
from gog.transforms.benchmarks.items import BenchItem, Dropped
from gog.transforms.benchmarks.loading import BENCHMARKS, load_benchmark
from gog.transforms.evaluate.answered import Answered, scored, stopped, with_image
from gog.transforms.evaluate.paradigms import Paradigm, answer
from gog.transforms.ingest import ReadImage
from gog.transforms.services.loop import process_loop
from gog.transforms.services.protocols import ChatRequest
from gog.transforms.stages.attempt import RolloutSettings
from gog.transforms.stages.services import Services

U = TypeVar("U")
R = TypeVar("R")

SETTINGS: Final = RolloutSettings(temperature=0.0, hints=False)
"""Greedy, as the benchmarks are reported."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark to be answered: a name, where it lies, and which split."""

    name: str
    path: str = ""
    split: str = ""

    @classmethod
    def parse(cls, text: str) -> "Bench":
        """`NAME[:SPLIT][=PATH]`. Raises `ConfigError`."""
        head, _, path = text.partition("=")
        name, _, split = head.partition(":")
        if name not in BENCHMARKS:
            raise ConfigError(f"{name!r} is no benchmark: there are {', '.join(BENCHMARKS)}")
        splits = BENCHMARKS[name].splits
        if split and split not in splits:
            raise ConfigError(f"{name} has no split {split!r}: there are {', '.join(splits)}")
        return cls(name, path, split or splits[0])


@dataclass(slots=True)
class Evaluated:
    """What came of one benchmark: its answers by paradigm, and the questions that were dropped, by reason."""

    bench: Bench
    version: str = ""
    answered: dict[Paradigm, dict[str, Answered]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    left: int = 0
    """Answers that a stop (budget, replay) kept from being given."""


class Evaluation:
    """One evaluation in a lake."""

    def __init__(self, config: Config, policy: str, name: str, *, judge_all: bool = False) -> None:
        """`policy` is a model's address, `name` the evaluation's folder in the lake. Raises `ConfigError`.

        `judge_all` asks the judge of every answer, also of those that exact match settles: for its agreement.
        """
        self.judge_all = judge_all
        self.config = config.model_copy(update={"labeller": policy, "run": f"eval-{name}"[:64]})
        self.name, self.lake = name, Lake(Path(config.lake))
        self.folder = eval_folder(self.lake, name)
        self.policy = policy_id(policy, self.config)
        self.judge = policy_id(config.judge, self.config)

    def begin(self) -> None:
        """Write the manifest, or see that the one that is there asks the same. Raises `ConfigError`."""
        asked = {
            "schema_version": SCHEMA_VERSION,
            "policy": self.policy,
            "judge": self.judge,
            "judge_all": self.judge_all,
            "episode": self.config.episode.model_dump(mode="json"),
            "text_search": self.config.text_search,
            "image_search": self.config.image_search,
            "crops": self.config.crops.model_dump(mode="json"),
            "config": fingerprint(self.config),
        }
        path = self.folder / "manifest.json"
        if path.exists():
            before = json.loads(path.read_text("utf-8"))
            other = sorted(key for key in asked if key != "config" and before.get(key) != asked[key])
            if other:
                raise ConfigError(f"{path.parent} was begun with another {', '.join(other)}: choose another --name")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, canonical_json(asked).encode() + b"\n")

    def run(
        self,
        bench: Bench,
        paradigms: Iterable[Paradigm],
        *,
        limit: int | None = None,
        fetch: ReadImage | None = None,
        told: Callable[[int, int], None] = lambda done, failed: None,
    ) -> Evaluated:
        """Answer a benchmark, or what is left of it. `told` hears how many answers there are and how many failed.

        Raises `BenchmarkError` before the first question where the files are not as published.
        """
        evaluated = Evaluated(bench)
        services = services_for(self.config.model_dump_json())
        journals = {paradigm: Journal(self.answers_path(bench, paradigm)) for paradigm in paradigms}
        for paradigm, journal in journals.items():
            evaluated.answered[paradigm] = {row.item_id: row for row in journal.rows() if row.settled}
        wanted: dict[str, None] = {}

        def units() -> Iterator[tuple[BenchItem, Paradigm]]:
            for item in load_benchmark(bench.name, bench.path, bench.split, fetch=fetch):
                if isinstance(item, Dropped):
                    evaluated.dropped[item.reason] = evaluated.dropped.get(item.reason, 0) + 1
                elif item.image is None:
                    evaluated.dropped["no_image"] = evaluated.dropped.get("no_image", 0) + 1
                else:
                    evaluated.version = item.version
                    wanted[item.item_id] = None
                    yield from (
                        (item, paradigm) for paradigm in journals if item.item_id not in evaluated.answered[paradigm]
                    )
                if limit is not None and len(wanted) >= limit:
                    return

        failed = 0
        try:
            for row in in_window(units(), lambda unit: self._one(services, *unit), self.config.window):
                if stopped(row):
                    evaluated.left += 1
                    continue
                journals[row.paradigm].add(row)
                evaluated.answered[row.paradigm][row.item_id] = row
                failed += bool(row.failure)
                told(sum(map(len, evaluated.answered.values())), failed)
        finally:
            for paradigm, journal in journals.items():
                journal.close(evaluated.answered[paradigm])
        for paradigm in journals:
            rows = evaluated.answered[paradigm]
            evaluated.answered[paradigm] = {key: rows[key] for key in wanted if key in rows}
        return evaluated

    def answers_path(self, bench: Bench, paradigm: Paradigm) -> Path:
        """Where the answers lie."""
        return self.folder / "answers" / f"{bench.name}.{bench.split}-{paradigm}.jsonl"

    async def _one(self, services: Services, item: BenchItem, paradigm: Paradigm) -> Answered:
        seed = await asyncio.to_thread(with_image, item, services.images.put)
        policy = services.labeller
        assert policy is not None
        attempt = await answer(services, policy, seed, paradigm, SETTINGS, self.config.episode)

        async def ask(request: ChatRequest) -> str:
            return (await services.outside.chat(services.judge, request, "judge")).message.text

        return await scored(
            item, seed, paradigm, self.policy, attempt, ask, services.judge.id, judge_all=self.judge_all
        )


class Journal:
    """Answers of one benchmark and paradigm as they come; what a kill cut off in the last line is not there."""

    def __init__(self, path: Path) -> None:
        """Nothing is written before the first answer."""
        self._path = path
        self._file: Any = None

    def rows(self) -> Iterator[Answered]:
        """What is kept, the last of several answers to an item last. A line that a kill cut off is answered again."""
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with suppress(ValidationError):
                    yield Answered.model_validate_json(line)

    def add(self, row: Answered) -> None:
        """Keep one."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = not self._path.exists() or self._path.read_bytes()[-1:] in (b"", b"\n")
            self._file = self._path.open("a", encoding="utf-8")
            self._file.write("" if whole else "\n")
        self._file.write(row.model_dump_json(exclude_defaults=True) + "\n")
        self._file.flush()

    def close(self, rows: Mapping[str, Answered]) -> None:
        """Leave the file with one line an item, in order, where something was added."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        lines = [rows[key].model_dump_json(exclude_defaults=True) + "\n" for key in sorted(rows)]
        write_atomic(self._path, "".join(lines).encode())


def eval_folder(lake: Lake, name: str) -> Path:
    """Folder of an evaluation; `LakeError` on a name that is none."""
    lake.run_folder(name)  # the same rule for both names
    return lake.root / "evals" / name


def in_window(units: Iterable[U], work: Callable[[U], Coroutine[Any, Any, R]], width: int) -> Iterator[R]:
    """Results of `work` (a coroutine function, run on the process's loop) as they finish, at most `width` in flight.

    The units are drawn as places come free. An error, or Ctrl-C, ends what is in flight.
    """
    finished: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
    flying: set[Future[R]] = set()
    source = iter(units)
    try:
        exhausted = False
        while True:
            while not exhausted and len(flying) < width:
                unit = next(source, None)
                if unit is None:
                    exhausted = True
                    break
                future = asyncio.run_coroutine_threadsafe(work(unit), process_loop())
                flying.add(future)
                future.add_done_callback(finished.put)
            if not flying:
                return
            future = finished.get()
            flying.discard(future)
            yield future.result()
    finally:
        for future in flying:
            future.cancel()
