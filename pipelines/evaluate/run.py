"""Evaluate: a policy answers benchmarks under paradigms; every answer is kept, and a second run goes on.

LAKE/evals/NAME/manifest.json                        what was asked of whom; another question needs another name
LAKE/evals/NAME/answers/BENCH.SPLIT-PARADIGM.jsonl   an `Answered` a line
LAKE/evals/NAME/results.json                         the numbers, with every item's scores

An evaluation is no run: it has no shards and no tables. Its calls are booked in the store under `eval-NAME`.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import episode_of, policy_id
from gog.pipelines.connect.mcp_tools import with_pinned
from gog.pipelines.connect.services import begin, fetched_images, services_for
from gog.pipelines.evaluate.journal import Journal
from gog.pipelines.evaluate.window import in_window
from gog.pipelines.lake.lake import Lake, LakeError, write_atomic
from gog.pipelines.lake.lock import run_lock
from gog.schemas import SCHEMA_VERSION
from gog.schemas.errors import UserError
from gog.transforms.evaluate.answered import Answered, asked_of, missing_because, scored, stopped, with_image
from gog.transforms.evaluate.benchmark import BENCHMARKS, benchmark_named
from gog.transforms.evaluate.benchmarks import atlas
from gog.transforms.evaluate.items import BenchItem, BenchmarkError, Dropped
from gog.transforms.evaluate.loading import Loaded, load_benchmark
from gog.transforms.evaluate.paradigms import Paradigm, answer
from gog.transforms.evaluate.protocols.scores import Grade, MissingError, ProtocolError
from gog.transforms.evaluate.results import Digest
from gog.transforms.images import ImageError
from gog.transforms.nearby import did_you_mean
from gog.transforms.place import is_remote
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.protocols import ChatRequest, ServiceError
from gog.transforms.services.search.fetched_images import FetchedImages
from gog.transforms.services.store.records import Mode
from gog.transforms.sources.row_images import ReadImage
from gog.transforms.synthesize.judge import Heard, try_live
from gog.transforms.synthesize.services import Services

_FETCHING: Final = 16
"""Pictures that are fetched at once."""
_LONGEST_NAME: Final = 58
"""Characters of a name: `eval-NAME` is a run's in the store."""


class JudgeError(UserError):
    """The judge does not answer, or cannot tell a right answer from a wrong one."""


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
            _of_ones_own(name, path)
        splits = benchmark_named(name).splits
        if split and split not in splits:
            raise ConfigError(f"{name} has no split {split!r}: there are {', '.join(splits)}")
        return cls(name, path, split or splits[0])

    @property
    def bundled(self) -> bool:
        """Whether it comes with the engine."""
        return benchmark_named(self.name).bundled


@dataclass(slots=True)
class Evaluated:
    """What came of one benchmark: its answers by paradigm, and the questions that were not asked, by reason."""

    bench: Bench
    version: str = ""
    answered: dict[Paradigm, dict[str, Digest]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Answers that a stop kept from being given: a ceiling of the budget, or a replay that misses an answer."""
    why: str = ""
    """Why an answer is missing, of the first one: what stopped, or else what failed."""

    @property
    def unsettled(self) -> int:
        """Answers that were not had, or that no judge could judge."""
        return sum(not row.settled for rows in self.answered.values() for row in rows.values())


class Evaluation:
    """One evaluation in a lake."""

    def __init__(self, config: Config, policy: str, name: str, *, judge_all: bool = False) -> None:
        """`policy` is a model's address, `name` the evaluation's folder in the lake.

        `judge_all` asks the judge of every answer, also of those that exact match settles: for its agreement.
        Raises `ConfigError` on an address that nobody fills, and on a name that is none.
        """
        self.name, self.lake, self.judge_all = name, eval_lake(config.lake), judge_all
        self.folder = eval_folder(self.lake, name)
        # Nobody else is opened, asked for a key or for a price.
        alone = {"labeller": policy, "teacher": policy, "detector": "", "run": f"eval-{name}"}
        # A policy that was trained writes boxes as it was taught.
        self.config = config.model_copy(update=alone | {"episode": episode_of(policy, with_pinned(config))})
        self.policy = policy_id(policy, self.config)
        self.judge = ", ".join(policy_id(judge, self.config) for judge in config.judges)
        self._judge_tried = False
        # As benchmarks are reported: greedy, and without hints.
        self.rollout = config.label.rollout.model_copy(update={"temperature": 0.0, "hints": False})

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Hold the evaluation's lock, its manifest written. Raises `ConfigError` where the one there asks otherwise."""
        with run_lock(self.folder):
            asked = self._manifest()
            path = self.folder / "manifest.json"
            if path.exists():
                before = _read_manifest(path)
                other = sorted(key for key in asked.keys() | before.keys() if before.get(key) != asked.get(key))
                if other:
                    raise ConfigError(f"{self.folder} was begun with another {', '.join(other)}: choose another --name")
            else:
                write_atomic(path, (json.dumps(asked, ensure_ascii=False, indent=1) + "\n").encode())
            begin(self.config)
            yield

    def _manifest(self) -> dict[str, object]:
        """What the answers follow from, but for the benchmarks."""
        config = self.config.model_dump(mode="json")
        searched = ("text_search", "image_search", "search", "pages", "reading", "episode", "crops")
        return {
            "schema_version": SCHEMA_VERSION,
            "policy": self.policy,
            "judge": self.judge,
            "judge_all": self.judge_all,
            "rollout": self.rollout.model_dump(mode="json"),
        } | {key: config[key] for key in searched}

    def check(self, bench: Bench, limit: int | None = None) -> int:
        """How many items there are to ask; nothing is asked, and no picture fetched but for one.

        Raises `BenchmarkError` where the files are not as published, `MissingError` where something that the
        benchmark's protocol needs is not installed.
        """
        if bench.bundled:
            return min(atlas.ROWS, limit or atlas.ROWS)
        next(self._load(bench, self._fetcher(bench, 1)), None)
        questions = self._load(bench, None, pictures=False)
        items = (item for item in questions if isinstance(item, BenchItem) and not _unscorable(item))
        count = sum(1 for _ in islice(items, limit))
        if not count and benchmark_named(bench.name).own:
            why = next((item for item in self._load(bench, None, pictures=False) if isinstance(item, Dropped)), None)
            raise BenchmarkError(
                f"{bench.name}: {bench.path} has no question that can be asked"
                + (f": {why.row_id}: {why.detail or why.reason}" if why else "")
            )
        return count

    def run(
        self,
        bench: Bench,
        paradigms: Iterable[Paradigm],
        *,
        limit: int | None = None,
        told: Callable[[int, int], None] = lambda done, failed: None,
    ) -> Evaluated:
        """Answer a benchmark, or what is left of it. `told` hears how many answers there are and how many failed.

        What stops the budget or a replay leaves the item for a later run, and goes on: the store may have others.
        Raises `JudgeError`, before the first is asked, where the judge cannot tell a right answer from a wrong one.
        """
        evaluated = Evaluated(bench)
        services = services_for(self.config.model_dump_json())
        with ExitStack() as stack:
            answers = self.folder / "answers" / f"{bench.name}.{bench.split}"
            journals = {each: stack.enter_context(Journal(Path(f"{answers}-{each}.jsonl"))) for each in paradigms}
            failed, stop, failure = 0, "", ""
            evaluated.answered = {paradigm: {} for paradigm in journals}
            units = self._units(evaluated, {each: self._kept(journal) for each, journal in journals.items()}, limit)
            first = list(islice(units, 1))
            if first:
                self._try_judge(services)
            for row in in_window(chain(first, units), lambda unit: self._one(services, *unit), self.config.window):
                if stopped(row):
                    evaluated.left += 1
                    stop = stop or row.detail
                    continue
                journals[row.paradigm].add(row)
                evaluated.answered[row.paradigm][row.item_id] = Digest.of(row, judge_all=self.judge_all)
                failed += bool(row.failure)
                failure = failure or missing_because(row)
                told(sum(map(len, evaluated.answered.values())), failed)
            evaluated.why = stop or failure
        return evaluated

    def _try_judge(self, services: Services) -> None:
        """Once in a process. Raises `JudgeError`."""
        if self._judge_tried or services.gateway.store.mode is Mode.REPLAY:
            return
        try:
            wrong = run_on_loop(try_live(services.judges.judges, self.config.retry))
        except ServiceError as error:
            raise JudgeError(f"the judge {self.judge} does not answer ({error}): start it, or name another") from error
        if wrong:
            raise JudgeError(
                f"the judge {self.judge}: {wrong}; see its chat template, thinking_tokens, or name another"
            )
        self._judge_tried = True

    def _kept(self, journal: Journal) -> dict[str, Digest]:
        rows = (Digest.of(row, judge_all=self.judge_all) for row in journal.rows())
        return {row.item.item_id: row for row in rows}

    def _units(
        self, evaluated: Evaluated, kept: dict[Paradigm, dict[str, Digest]], limit: int | None
    ) -> Iterator[tuple[BenchItem, Paradigm]]:
        """What is to be asked. What was answered before goes to `evaluated` as it is, and what cannot be asked too."""
        items = 0
        for item in self._load(evaluated.bench, self._fetcher(evaluated.bench, limit)):
            if isinstance(item, Dropped):
                evaluated.dropped[item.reason] += 1
                continue
            if item.image is None:
                evaluated.dropped["no_image"] += 1
                continue
            if _unscorable(item):
                evaluated.dropped["unscorable"] += 1
                continue
            evaluated.version = item.version
            asked = asked_of(item)
            for paradigm, rows in kept.items():
                row = rows.get(item.item_id)
                if row is not None and row.settled and row.asked == asked:
                    evaluated.answered[paradigm][item.item_id] = row
                else:
                    yield item, paradigm
            items += 1
            if items == limit:
                return

    def _load(self, bench: Bench, fetch: ReadImage | None, *, pictures: bool = True) -> Loaded:
        if benchmark_named(bench.name).own:
            from gog.pipelines.evaluate.own import own_items  # sources load Beam

            return own_items(self.config, bench.name, bench.path, bench.split, pictures=pictures)
        limits = self.config.ingest
        return load_benchmark(bench.name, bench.path, bench.split, pictures=pictures, fetch=fetch, limits=limits)

    def _fetcher(self, bench: Bench, limit: int | None) -> "_Ahead | None":
        """Fetches pictures that a benchmark has only addresses of; None for a benchmark that has files."""
        published = benchmark_named(bench.name).published
        if published is None or published.image_text != "url":
            return None
        questions = self._load(bench, None, pictures=False)
        urls = (item.image_url for item in questions if isinstance(item, BenchItem))
        return _Ahead(fetched_images(self.config), urls, limit)

    async def _one(self, services: Services, item: BenchItem, paradigm: Paradigm) -> Answered:
        seed = await asyncio.to_thread(with_image, item, services.images.put)
        policy = services.labeller
        assert policy is not None
        attempt = await answer(services, policy, seed, paradigm, self.rollout, self.config.episode)

        async def ask(request: ChatRequest, read: Callable[[str], Grade | None]) -> Heard[Grade]:
            return await services.judges.hear(request, read, "judge")

        return await scored(item, seed, paradigm, self.policy, attempt, ask, judge_all=self.judge_all)


class _Ahead:
    """Pictures at addresses, fetched before they are wanted, many at once; none is tried twice."""

    def __init__(self, images: FetchedImages, urls: Iterable[str], first: int | None) -> None:
        """`urls` are all that may be wanted, in order, and `first` how many are fetched with the first; None for all.

        Further ones are fetched where those could not be had.
        """
        self._images, self._urls, self._many = images, iter(urls), first
        self._tried: set[str] = set()
        self._failed: dict[str, ImageError] = {}

    def __call__(self, url: str) -> bytes:
        if url not in self._tried:
            wanted = dict.fromkeys([url, *islice(self._urls, self._many)])
            self._many = _FETCHING
            for _ in in_window((one for one in wanted if one not in self._tried), self._fetch, _FETCHING):
                pass
            self._tried.update(wanted)
        if url in self._failed:
            raise self._failed[url]
        return self._images(url)

    async def _fetch(self, url: str) -> None:
        try:
            await self._images.read(url)
        except ImageError as error:
            self._failed[url] = error


def _of_ones_own(name: str, path: str) -> None:
    """Raise `ConfigError` unless NAME=PATH can be a benchmark of one's own: a name of one of ours, misspelt, cannot."""
    meant = did_you_mean(name, BENCHMARKS)
    if meant or not path or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", name):
        hint = f" ({meant})" if meant else ""
        known = ", ".join(BENCHMARKS)
        raise ConfigError(f"{name!r} is no benchmark: there are {known}{hint}; mine=FILE is one of your own questions")


def _unscorable(item: BenchItem) -> bool:
    """Whether the official protocol cannot score the item. Raises `MissingError`: then it could score none."""
    try:
        benchmark_named(item.benchmark).official.score(item, "0")
    except MissingError:
        raise
    except ProtocolError:
        return True
    return False


def eval_lake(root: str, *, create: bool = True) -> Lake:
    """The lake of evaluations. Raises `ConfigError` where it is no folder, before anything is made."""
    if is_remote(root):
        raise ConfigError(f"lake: evaluations are kept in a folder, not in {root}: name one with --lake")
    return Lake(root, create=create)


def eval_folder(lake: Lake, name: str) -> Path:
    """Folder of an evaluation. Raises `ConfigError` on a name that is none."""
    try:
        lake.run_folder(name)  # the same rule for both names
        named = len(name) <= _LONGEST_NAME
    except LakeError:
        named = False
    if not named:
        allowed = f"letters, digits, dot, dash and underscore, at most {_LONGEST_NAME} of them"
        raise ConfigError(f"{name[:80]!r} is no name for an evaluation: {allowed}")
    return lake.root / "evals" / name


def _read_manifest(path: Path) -> dict[str, object]:
    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise ConfigError(f"{path} is damaged: remove its folder, or choose another --name")
    return manifest
