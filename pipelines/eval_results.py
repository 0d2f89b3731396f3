"""The numbers of an evaluation: made from answers, written as JSON, read back for comparison."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gog.pipelines.config import ConfigError
from gog.pipelines.evaluate import Evaluated, Evaluation, eval_folder
from gog.pipelines.lake import Lake, LakeError, write_atomic
from gog.schemas import SCHEMA_VERSION
from gog.transforms.evaluate.answered import Answered
from gog.transforms.evaluate.behaviour import behaviours
from gog.transforms.protocols.agreement import Agreement, agreement, labels_of, rules_and_judge
from gog.transforms.protocols.compare import Comparison, compare
from gog.transforms.protocols.scores import ProtocolError, Score
from gog.transforms.protocols.summary import summarise

PROTOCOLS = ("official", "judged")

_SCORES: TypeAdapter[list[Score]] = TypeAdapter(list[Score])


def results_of(evaluation: Evaluation, parts: Iterable[Evaluated]) -> dict[str, Any]:
    """The results as JSON values: for each benchmark and paradigm the protocols' summaries, behaviours and scores."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": evaluation.name,
        "policy": evaluation.policy,
        "judge": evaluation.judge,
        "benchmarks": {
            part.bench.name: {
                "split": part.bench.split,
                "version": part.version,
                "dropped": dict(sorted(part.dropped.items())),
                "left": part.left,
                "paradigms": {
                    str(paradigm): _numbers(list(rows.values())) for paradigm, rows in part.answered.items() if rows
                },
            }
            for part in parts
        },
    }


def _numbers(rows: list[Answered]) -> dict[str, Any]:
    rows = sorted(rows, key=lambda row: row.item_id)
    scores = {"official": [row.official for row in rows], "judged": [row.judged for row in rows]}
    numbers: dict[str, Any] = {
        "items": len(rows),
        "failed": sum(bool(row.failure) for row in rows),
        "failures": _counted(row.failure for row in rows if row.failure),
        "behaviours": asdict(behaviours(rows)),
    }
    judged = {row.item_id: row.judged.grade.value for row in rows if row.judged.method == "judge"}
    numbers["rules_and_judge"] = asdict(rules_and_judge({row.item_id: row.ruled.value for row in rows}, judged))
    for protocol, of_all in scores.items():
        numbers[protocol] = asdict(summarise(of_all))
        numbers[protocol]["scores"] = [_without_reply(score) for score in of_all]
    return numbers


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in sorted(reasons):
        counts[reason] = counts.get(reason, 0) + 1
    return counts


def _without_reply(score: Score) -> dict[str, Any]:
    return {key: value for key, value in asdict(score).items() if key != "reply"}


def write_results(evaluation: Evaluation, results: Mapping[str, Any]) -> Path:
    """Write `results.json` and return where it is."""
    path = evaluation.folder / "results.json"
    write_atomic(path, (json.dumps(results, ensure_ascii=False, indent=1) + "\n").encode())
    return path


def read_results(lake: str, place: str) -> tuple[dict[str, Any], str]:
    """The results at `PLACE[/PARADIGM]`, and the paradigm (empty when none is named).

    A place is a file or the name of an evaluation in the lake. Raises `ConfigError`.
    """
    head, _, paradigm = place.rpartition("/")
    for name, wanted in ((place, ""), (head, paradigm)):
        path = Path(name)
        if name and not path.is_file():
            try:
                path = eval_folder(Lake(Path(lake), create=False), name) / "results.json"
            except LakeError:
                continue
        if name and path.is_file():
            try:
                found = json.loads(path.read_text("utf-8"))
                assert isinstance(found["benchmarks"], dict)
            except (ValueError, KeyError, TypeError, AssertionError, OSError):
                raise ConfigError(f"{path} holds no results of an evaluation") from None
            return found, wanted
    raise ConfigError(f"there is no evaluation {place!r}: name one of {lake}/evals, or a results.json")


def scores_of(results: Mapping[str, Any], benchmark: str, paradigm: str, protocol: str) -> list[Score]:
    """Scores of the items. Raises `ConfigError` where the file does not hold them."""
    try:
        return _SCORES.validate_python(results["benchmarks"][benchmark]["paradigms"][paradigm][protocol]["scores"])
    except (KeyError, TypeError, ValidationError):
        raise ConfigError(f"the results hold no {protocol} scores of {benchmark} under {paradigm}") from None


def comparisons(
    a: tuple[Mapping[str, Any], str], b: tuple[Mapping[str, Any], str]
) -> list[tuple[str, str, str, Comparison]]:
    """Benchmark, what is compared (`direct`, or `direct > policy`), protocol, and B against A.

    Without a paradigm named, those that both have. Raises `ConfigError` when they have nothing in common.
    """
    (ours, mine), (theirs, yours) = a, b
    found = []
    for benchmark in ours["benchmarks"]:
        if benchmark not in theirs["benchmarks"]:
            continue
        have = [list(side["benchmarks"][benchmark]["paradigms"]) for side in (ours, theirs)]
        pairs = [(mine or yours, yours or mine)] if mine or yours else [(p, p) for p in have[0] if p in have[1]]
        for first, second in pairs:
            name = first if first == second else f"{first} > {second}"
            for protocol in PROTOCOLS:
                scores = scores_of(ours, benchmark, first, protocol), scores_of(theirs, benchmark, second, protocol)
                try:
                    found.append((benchmark, name, protocol, compare(*scores)))
                except ProtocolError as error:
                    raise ConfigError(f"{benchmark}, {name}: {error}") from None
    if not found:
        raise ConfigError("the two evaluations have no benchmark and paradigm in common")
    return found


def agreements(a: tuple[Mapping[str, Any], str], b: tuple[Mapping[str, Any], str]) -> list[tuple[str, str, Agreement]]:
    """Benchmark, paradigm, and how far the judge of A agrees with that of B on the same items and answers.

    Raises `ConfigError` when they have nothing in common.
    """
    found = []
    for benchmark, part in a[0]["benchmarks"].items():
        others = b[0]["benchmarks"].get(benchmark, {}).get("paradigms", {})
        for paradigm in part["paradigms"]:
            if paradigm in others and a[1] in ("", paradigm) and b[1] in ("", paradigm):
                labels = [labels_of(_by_judge(scores_of(side[0], benchmark, paradigm, "judged"))) for side in (a, b)]
                found.append((benchmark, paradigm, agreement(*labels)))
    if not found:
        raise ConfigError("the two evaluations have no benchmark and paradigm in common")
    return found


def _by_judge(scores: Iterable[Score]) -> list[Score]:
    return [score for score in scores if score.method in ("judge", "none")]
