"""The numbers of an evaluation: made from answers, written as JSON, read back for comparison."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from gog.pipelines.config.config import ConfigError
from gog.pipelines.connect.services import open_store
from gog.pipelines.connect.stores import prices_of
from gog.pipelines.evaluate.run import Evaluated, Evaluation, eval_folder, eval_lake
from gog.pipelines.lake.lake import LakeError, write_atomic
from gog.schemas import SCHEMA_VERSION
from gog.transforms.evaluate.compare import Comparison, compare
from gog.transforms.evaluate.paradigms import Paradigm
from gog.transforms.evaluate.protocols.agreement import Agreement, agreement
from gog.transforms.evaluate.protocols.scores import ProtocolError
from gog.transforms.evaluate.results import BenchResults, ParadigmResults, Results, averages, paradigm_results
from gog.transforms.evaluate.spending import used
from gog.transforms.services.gateway.prices import Price, find_price

PROTOCOLS: Final = ("official", "judged")


class Place(NamedTuple):
    """Results that were read, and which paradigm of them is meant; all where it is None."""

    results: Results
    paradigm: Paradigm | None


def results_of(evaluation: Evaluation, parts: Iterable[Evaluated]) -> Results:
    """The results, with what earlier sessions of the evaluation found of other benchmarks and paradigms."""
    before = _before(evaluation)
    benchmarks = dict(before.benchmarks) if before is not None else {}
    prices = prices_of(evaluation.config)
    for part in parts:
        results = _bench_results(part, evaluation.policy, prices)
        benchmarks[part.bench.name] = results.on_top_of(benchmarks.get(part.bench.name))
    benchmarks = dict(sorted(benchmarks.items()))
    store = open_store(evaluation.config)
    store.flush()
    return Results(
        schema_version=SCHEMA_VERSION,
        name=evaluation.name,
        policy=evaluation.policy,
        judge=evaluation.judge,
        benchmarks=benchmarks,
        average=averages(benchmarks),
        used=used(store.events(evaluation.config.run)),
    )


def _bench_results(part: Evaluated, policy: str, prices: Mapping[str, Price]) -> BenchResults:
    by_paradigm: dict[Paradigm, ParadigmResults] = {}
    for paradigm, rows in part.answered.items():
        if rows:
            courses = [row.course for row in rows.values() if row.course is not None]
            providers = {provider for course in courses for provider, _ in course.searches}
            searches = {provider: find_price(provider, prices) for provider in providers}
            by_paradigm[paradigm] = paradigm_results(rows.values(), find_price(policy, prices), searches)
    return BenchResults(
        split=part.bench.split,
        version=part.version,
        dropped=dict(sorted(part.dropped.items())),
        left=part.left,
        paradigms=by_paradigm,
    )


def _before(evaluation: Evaluation) -> Results | None:
    """What an earlier session found; None where nothing, or nothing that can be read, is there: answers are kept."""
    try:
        return read_file(evaluation.folder / "results.json")
    except ConfigError:
        return None


def write_results(evaluation: Evaluation, results: Results) -> Path:
    """Write `results.json` and return where it is."""
    path = evaluation.folder / "results.json"
    write_atomic(path, results.to_json().encode() + b"\n")
    return path


def read_file(path: Path) -> Results:
    """The results in a file. Raises `ConfigError`."""
    try:
        return Results.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError:
        raise ConfigError(f"{path} holds no results of an evaluation, or those of another version") from None


def read_place(lake: str, place: str) -> Place:
    """The results at `PLACE[/PARADIGM]`, where a place is a file or the name of an evaluation in the lake.

    Raises `ConfigError`.
    """
    head, _, last = place.rpartition("/")
    named: list[tuple[str, Paradigm | None]] = [(place, None)]
    if head and last in set(Paradigm):
        named.append((head, Paradigm(last)))
    for name, paradigm in named:
        path = Path(name)
        if not path.is_file():
            try:
                path = eval_folder(eval_lake(lake, create=False), name) / "results.json"
            except (ConfigError, LakeError):
                continue
        if path.is_file():
            return Place(read_file(path), paradigm)
    raise ConfigError(f"there is no evaluation {place!r}: name one of {lake}/evals, or a results.json")


class Compared(NamedTuple):
    """What is compared: `paradigm` is `direct`, or `direct > policy`."""

    benchmark: str
    paradigm: str
    protocol: str
    comparison: Comparison


def comparisons(a: Place, b: Place) -> list[Compared]:
    """B against A, for each benchmark, paradigm and protocol; the paradigms that both have unless one is named.

    Raises `ConfigError` when they have nothing in common.
    """
    rows = []
    for benchmark, first, second in _pairs(a, b):
        ours, theirs = (p.results.benchmarks[benchmark].paradigms[q] for p, q in ((a, first), (b, second)))
        name = str(first) if first == second else f"{first} > {second}"
        for protocol in PROTOCOLS:
            try:
                compared = compare(ours.scores(protocol), theirs.scores(protocol))
            except ProtocolError as error:
                raise ConfigError(f"{benchmark}, {name}: {error}") from None
            rows.append(Compared(benchmark, name, protocol, compared))
    return rows


def _pairs(a: Place, b: Place) -> list[tuple[str, Paradigm, Paradigm]]:
    """Benchmark, paradigm of A and paradigm of B of all that can be held against each other. Raises `ConfigError`."""
    named = [] if a.paradigm is None and b.paradigm is None else [(a.paradigm or b.paradigm, b.paradigm or a.paradigm)]
    pairs = [
        (benchmark, first, second)
        for benchmark, part in a.results.benchmarks.items()
        if benchmark in b.results.benchmarks
        for first, second in named or [(each, each) for each in Paradigm]
        if first in part.paradigms and second in b.results.benchmarks[benchmark].paradigms
    ]
    if not pairs:
        raise ConfigError("the two evaluations have no benchmark and paradigm in common")
    return pairs


class JudgesAgree(NamedTuple):
    """How far two judges agree; `other_answers` are items left out because what they judged was not the same."""

    benchmark: str
    paradigm: str
    other_answers: int
    agreement: Agreement


def agreements(a: Place, b: Place) -> list[JudgesAgree]:
    """How far the judge of A agrees with that of B on the same answers to the same items.

    Raises `ConfigError` when they have nothing in common.
    """
    agreed = []
    for benchmark, first, second in _pairs(a, b):
        if first is not second:
            continue
        both = (place.results.benchmarks[benchmark].paradigms[first].answers for place in (a, b))
        ours, theirs = ({item.item_id: item for item in answers} for answers in both)
        differing = {key for key in ours.keys() & theirs.keys() if ours[key].prediction != theirs[key].prediction}
        labels = [
            {key: item.opinion.value for key, item in side.items() if key not in differing and item.prediction.strip()}
            for side in (ours, theirs)
        ]
        agreed.append(JudgesAgree(benchmark, first, len(differing), agreement(*labels)))
    if not agreed:
        raise ConfigError("the two evaluations have no benchmark and paradigm in common")
    return agreed
