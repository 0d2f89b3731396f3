"""The state of runs as OpenMetrics text, for whoever scrapes (https://prometheus.io/docs/specs/om/open_metrics_spec/)."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gog.pipelines.views.status import Status


class _Family(NamedTuple):
    """A metric: its type and unit in the words of OpenMetrics, and what it is."""

    kind: str
    unit: str
    what: str


class _Sample(NamedTuple):
    family: str
    labels: dict[str, str]
    value: float


_FAMILIES: Final = {
    "gog_run_state": _Family("gauge", "", "1 at the state that a run is in"),
    "gog_step_shards": _Family("gauge", "", "shards that a step has, and has done"),
    "gog_units": _Family("counter", "", "units that a stage let pass or rejected"),
    "gog_rejects": _Family("counter", "", "units that left, by reason"),
    "gog_kept": _Family("gauge", "", "trajectories that curation keeps"),
    "gog_calls": _Family("counter", "", "calls that were made"),
    "gog_store_answers": _Family("counter", "", "questions that the store answered"),
    "gog_failures": _Family("counter", "", "questions that nobody answered"),
    "gog_tokens": _Family("counter", "", "tokens of the calls that were made"),
    "gog_cost_dollars": _Family("counter", "dollars", "what the calls cost"),
    "gog_work_seconds": _Family("counter", "seconds", "time that the run's processes have worked"),
    "gog_questions_per_minute": _Family("gauge", "", "questions of the last minute, of a live run"),
    "gog_eta_seconds": _Family("gauge", "seconds", "time to the end of the step at work, by its pace"),
    "gog_provider_calls": _Family("counter", "", "questions to a provider, once their events are written"),
    "gog_provider_tokens": _Family("counter", "", "tokens of a provider's calls"),
    "gog_provider_cost_dollars": _Family("counter", "dollars", "what a provider's calls cost"),
    "gog_provider_latency_seconds": _Family("summary", "seconds", "what an answer took"),
}
CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def openmetrics(statuses: Sequence[Status]) -> str:
    """All samples of all runs, by family, with the closing `# EOF`."""
    by_family = defaultdict[str, list[_Sample]](list)
    for status in statuses:
        for sample in _samples(status):
            by_family[sample.family].append(sample)
    lines = []
    for name, family in _FAMILIES.items():
        if name in by_family:
            lines.append(f"# TYPE {name} {family.kind}")
            lines += [f"# UNIT {name} {family.unit}"] if family.unit else []
            lines.append(f"# HELP {name} {family.what}")
            suffix = "_total" if family.kind == "counter" else ""
            lines += [f"{name}{suffix}{_labels(one.labels)} {_number(one.value)}" for one in by_family[name]]
    return "\n".join([*lines, "# EOF\n"])


def _samples(status: Status) -> Iterator[_Sample]:
    run = {"run": status.run}
    yield _Sample("gog_run_state", run | {"state": status.state}, 1)
    for step in status.steps:
        yield _Sample("gog_step_shards", run | {"step": step.step, "of": "all"}, step.of)
        yield _Sample("gog_step_shards", run | {"step": step.step, "of": "done"}, step.done)
    for line in status.summary["funnel"]:
        stage = run | {"stage": line["stage"], "unit": line["unit"]}
        for outcome in ("passed", "rejected"):
            yield _Sample("gog_units", stage | {"outcome": outcome}, line[outcome])
    for line in status.summary["reasons"]:
        yield _Sample("gog_rejects", run | {name: line[name] for name in ("stage", "unit", "reason")}, line["rejects"])
    yield _Sample("gog_kept", run, status.kept)
    yield _Sample("gog_calls", run, status.calls)
    yield _Sample("gog_store_answers", run, status.from_store)
    yield _Sample("gog_failures", run, status.failed)
    yield _Sample("gog_tokens", run, status.tokens)
    yield _Sample("gog_cost_dollars", run, status.cost)
    yield _Sample("gog_work_seconds", run, status.hours * 3600)
    if status.per_minute is not None:
        yield _Sample("gog_questions_per_minute", run, status.per_minute)
    if status.eta_s is not None:
        yield _Sample("gog_eta_seconds", run | {"step": status.step}, status.eta_s)
    for line in status.summary["spend"]:
        asked = run | {name: line[name] for name in ("provider", "kind", "purpose")}
        made = line["calls"] - line["from_store"] - line["failed"]
        for answered, count in (("call", made), ("store", line["from_store"]), ("nobody", line["failed"])):
            yield _Sample("gog_provider_calls", asked | {"answered": answered}, count)
        for of in ("prompt", "completion"):
            yield _Sample("gog_provider_tokens", asked | {"of": of}, line[f"{of}_tokens"])
        yield _Sample("gog_provider_cost_dollars", asked, line["cost"])
    for line in status.summary["providers"]:
        for quantile, value in (("0.5", line["median_s"]), ("0.95", line["p95_s"])):
            if value is not None:
                asked = run | {"provider": line["provider"], "kind": line["kind"], "quantile": quantile}
                yield _Sample("gog_provider_latency_seconds", asked, value)


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if math.isfinite(value) else "NaN"
