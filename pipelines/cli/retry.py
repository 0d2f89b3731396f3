"""Try again what was rejected for a reason.

Without --config and ./gog.yaml, the config that the run was made with.
"""

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

from gog.pipelines.cli.errors import FellShortError, UseError
from gog.pipelines.cli.options import JsonOption, LakeOption, OfConfig, OfRun, example, option, print_json
from gog.pipelines.cli.targets import config_of, one_run

if TYPE_CHECKING:
    from gog.pipelines.api import Run
    from gog.pipelines.config.config import Config

MORE = (
    "Shards that hold such rejects are done again; the store answers all that was answered before, so only what "
    'failed is paid for. Reasons: `gog inspect --sql "select * from reasons"`.'
)
EXAMPLES = example("gog retry --reason teacher.timeout", "gog retry --reason search.failed --run fvqa", more=MORE)


def retry(
    reason: Annotated[list[str], option("--reason", "CODE", "Code of a reason; may be given several times.")],
    config: OfConfig = None,
    lake: LakeOption = None,
    name: OfRun = None,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.cli.progress import Progress
    from gog.pipelines.steps.retry import STEPS_AGAIN, count_rejects
    from gog.pipelines.steps.run import run as run_engine

    wanted = frozenset(_checked(code) for code in reason)
    run = one_run(config, lake, name)
    loaded = _asking_anew(config_of(config, str(run.lake.root), run.name), wanted)
    before = count_rejects(run.lake, run.name, wanted)
    result, after, bought = None, before, 0.0
    if before.total():
        with Progress(loaded, sys.stderr) as progress:
            result = run_engine(loaded, retry=wanted, on_shard=progress.shard)
        after = count_rejects(run.lake, run.name, wanted, STEPS_AGAIN)
        bought = result.manifest.spend.get("calls", 0) - run.manifest.spend.get("calls", 0)
    if as_json:
        lines = [{"reason": code, "before": before[code], "left": after[code]} for code in sorted(wanted)]
        print_json({"run": run.name, "stopped": result.stopped if result else "", "reasons": lines})
    else:
        print(_told(before, after, run.name))
    if result and result.stopped:
        raise FellShortError(f"{result.stopped}; everything is kept, {result.advice}")
    if not bought and after == before:
        raise FellShortError(_instead(run, wanted, after.total()))


def _asking_anew(config: "Config", wanted: frozenset[str]) -> "Config":
    """The config, told to ask anew what failed outside, were it for good: the set-up may have been mended since."""
    from gog.schemas import FailureClass
    from gog.schemas.reasons import OUTSIDE

    if not wanted & OUTSIDE:
        return config
    none = dict.fromkeys((FailureClass.BAD_REQUEST, FailureClass.NOT_FOUND), 0.0)
    store = config.store.model_copy(update={"lifetimes": config.store.lifetimes | none})
    return config.model_copy(update={"store": store})


def _instead(run: "Run", wanted: frozenset[str], left: int) -> str:
    """What to type where nothing was asked."""
    from gog.pipelines.steps.retry import STEPS_AGAIN, count_rejects
    from gog.schemas.reasons import OUTSIDE

    said = "nothing was asked"
    if left:
        return (
            f"{said}: the answers behind what is left are kept; `gog run --run NAME --refresh chat` buys them anew "
            "under another name, which another teacher needs as well"
        )
    others = count_rejects(run.lake, run.name, OUTSIDE - wanted, STEPS_AGAIN)
    found = [f"--reason {code} ({count:,})" for code, count in others.most_common() if count]
    if found:
        return f"{said}: the run {run.name!r} has none such; type `gog retry` with {', '.join(found)}"
    return (
        f"{said}: the run {run.name!r} has nothing that failed outside; `gog status --run {run.name}` shows what left"
    )


def _checked(code: str) -> str:
    from gog.schemas import REASONS
    from gog.schemas.reasons import is_reason

    if not is_reason(code):
        close = get_close_matches(code, REASONS, 3, 0.4)
        hint = (
            f"did you mean {' or '.join(close)}" if close else '`gog inspect --sql "select * from reasons"` lists them'
        )
        raise UseError(f"{code!r} is no reason; {hint}")
    if code.partition(".")[0] in {"curate", "export", "filter"}:
        raise UseError(f"{code} is a decision over what there is, not a failure: change the config's part for it")
    return code


def _told(before: Mapping[str, int], after: Mapping[str, int], run: str) -> str:
    lines = []
    for code in sorted(before):
        if not before[code]:
            lines.append(f"{code}: the run {run!r} has none")
            continue
        line = f"{code}: {before[code]:,} before, {after[code]:,} left"
        if after[code]:
            line += "; " + _why(code)
        lines.append(line)
    return "\n".join(lines)


def _why(code: str) -> str:
    """Why rejects of this reason may come again."""
    match code.partition(".")[0]:
        case "verify" | "episode" | "screen" | "compose" if code not in {"verify.unknown", "screen.teacher_failed"}:
            return "the store keeps the answers behind them, so they come out the same"
        case "ingest":
            return "their rows are as they were"
        case "budget":
            return "the ceiling holds: raise it in the config"
        case "store":
            return "replay calls nobody: set store.mode to record"
        case "judge":
            return "the judge still gives no verdicts: `gog doctor` asks it"
        case _ if code == "verify.unknown":
            return (
                "what had no verdict was asked anew; `gog doctor` asks the judge, another one is named in another --run"
            )
        case _ if code == "teacher.refused":
            return "the store keeps refusals, so that nobody pays for them twice"
        case _:
            return "they were asked anew and failed again: `gog doctor` asks each service"
