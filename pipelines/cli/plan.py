"""Commands before a run: `init`, `doctor`, `plan`, `preview`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gog.pipelines.cli.common import (
    FELL_SHORT,
    OWN_CONFIG,
    ConfigOption,
    JsonOption,
    LakeOption,
    RunOption,
    UseError,
    config_of,
    example,
    print_json,
)
from gog.pipelines.cli.status import spell
from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from gog.pipelines.rehearse.plan import Plan
    from gog.pipelines.rehearse.samples import Range


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=example("gog init", "gog init fvqa.yaml", "gog init --atlas atlas.yaml"))(init)
    app.command(epilog=example("gog doctor", "gog doctor -c fvqa.yaml --json"))(doctor)
    app.command(epilog=example("gog plan -c fvqa.yaml", "gog plan -c fvqa.yaml --json"))(plan)
    app.command(epilog=example("gog preview -n 5 -c fvqa.yaml"))(preview)


def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE", show_default=True)] = Path(
        OWN_CONFIG
    ),
    atlas: Annotated[bool, typer.Option("--atlas", help="The config of the bundled world.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented config for your data."""
    from gog.pipelines.config.config import bundled_text
    from gog.pipelines.lake.lake import write_atomic

    if file.exists() and not force:
        raise UseError(f"{file} is there already: give another name, or --force to replace it")
    if not file.resolve().parent.is_dir():
        raise UseError(f"there is no folder {file.resolve().parent}")
    write_atomic(file, bundled_text("atlas" if atlas else "template").encode())
    print(f"{file}: edit it, then `gog doctor -c {file}` and `gog plan -c {file}`")


def plan(
    config: ConfigOption = None, lake: LakeOption = None, name: RunOption = None, as_json: JsonOption = False
) -> None:
    """What a run would do and cost; nothing is called.

    Ranges: from what `gog preview` asked for some seeds of this config, else from assumptions, which are named.
    """
    from gog.pipelines.rehearse.plan import plan as make_plan

    made = make_plan(config_of(config, lake, name))
    if as_json:
        plain = asdict(made)
        for key in ("units", "calls", "tokens", "seconds"):
            plain[key] = _ranges(plain[key])
        plain["cost"] = _cents(made.cost)
        plain["lines"] = [
            {key: line[key] for key in ("service", "kind", "purpose")}
            | {"sampled": line["sampled"] is not None, "cost": _cents(line["cost"])}
            | {key: _ranges(line[key]) for key in ("calls", "tokens", "seconds")}
            for line in plain["lines"]
        ]
        print_json(plain)
    else:
        _show_plan(made)


def _ranges(value: Any) -> Any:
    """Ranges as `{"low": ..., "high": ...}` of whole numbers."""
    if isinstance(value, dict):
        return {key: _ranges(item) for key, item in value.items()}
    return None if value is None else {"low": round(value[0]), "high": round(value[1])}


def _cents(value: "Range | None") -> dict[str, float] | None:
    """A range of dollars."""
    return None if value is None else {"low": round(value[0], 4), "high": round(value[1], 4)}


UNITS = {
    "hard seed": "seeds that need search",
    "rollout": "rollouts",
    "composed": "composed attempts",
    "try": "tries to label",
}


def _show_plan(made: "Plan") -> None:
    from gog.pipelines.views.summary import console_for, plain_table

    synthesized = made.done["synthesize"]
    state = f"{synthesized:,} of them done, {made.left:,} rows left" if synthesized else "none of them done yet"
    print(f"Run {made.run}: {made.rows:,} rows in {made.shards:,} shard{'s' * (made.shards != 1)}, {state}")
    if not made.lines:
        print("Nothing is left to ask: `gog run` finishes it from what is there")
        return
    units = {name: made.units[name].high for name in UNITS}
    print("At most " + ", ".join(f"{units[name]:,.0f} {said}" for name, said in UNITS.items() if units[name]))
    print()
    lines = []
    for line in made.lines:
        purpose = line.purpose + (" +" if line.sampled else "")
        money = "" if line.cost is None else _money(line.cost)
        lines.append((line.service, line.kind, purpose, _spread(line.calls), _spread(line.tokens), money))
    total = ("all", "", "", _spread(made.calls), _spread(made.tokens), _money(made.cost) if made.cost else "")
    table = plain_table("Calls", ("service", "kind", "purpose", ">calls", ">tokens", ">cost $"), lines, total)
    console_for(sys.stdout).print(table)
    if made.cost is None:
        print("Money  unknown: a service outside has no known price")
    elif not made.cost.high:
        print("Money  $0.00: every service is embedded and free")
    else:
        print(f"Money  ${_money(made.cost)}")
    print(f"Time   {spell(made.seconds.low)} to {spell(made.seconds.high)} of work")
    if made.store_bytes:
        print(f"Store  {made.store_bytes / 1e6:,.1f} MB: what it has answered before costs no call again")
    for note in made.notes:
        print(f"  {note}")


def _money(of: "Range") -> str:
    low, high = (f"{value:,.2f}" for value in of)
    return low if low == high else f"{low} - {high}"


def _spread(of: "Range") -> str:
    low, high = (_rounded(value) for value in of)
    return low if low == high else f"{low} - {high}"


def _rounded(value: float) -> str:
    """Two digits tell enough of an estimate."""
    whole = int(round(value, -max(0, len(str(int(value))) - 2)))
    return f"{whole:,}" if whole < 1_000_000 else f"{whole / 1e6:g} M"


def preview(
    count: Annotated[int, typer.Option("-n", min=1, metavar="NUMBER", help="How many seeds.")] = 5,
    config: ConfigOption = None,
    lake: LakeOption = None,
    name: RunOption = None,
) -> None:
    """A few seeds, every turn printed as it happens.

    What is asked is kept in the store, so that a run does not pay for it again; no table of the run is written. Each
    seed's best trajectory is drawn below LAKE/previews.
    """
    from gog.pipelines.rehearse.preview import preview as show_preview
    from gog.pipelines.rehearse.transcript import Teller
    from gog.pipelines.views.summary import console_for

    show_preview(config_of(config, lake, name), count, Teller(console_for(sys.stdout)))


def doctor(
    config: ConfigOption = None, lake: LakeOption = None, name: RunOption = None, as_json: JsonOption = False
) -> None:
    """What works and what does not: disk, services, GPU.

    Each service of the config gets one small call. Exit code 1 when there is a problem.
    """
    from gog.pipelines.rehearse.doctor import doctor as examine
    from gog.pipelines.views.summary import console_for

    checks = examine(config_of(config, lake, name))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        console = console_for(sys.stdout)
        styles = {"ok": "green", "warning": "yellow", "problem": "red"}
        for check in checks:
            state, name = f"{check.state:7}  ", f"{check.name:13}  "
            line = Text.assemble((state, styles[check.state]), (name, "bold"), one_line(check.found))
            console.print(line, soft_wrap=True)
            if check.advice:
                console.print(Text(f"{'':24}{check.advice}", style="dim"), soft_wrap=True)
    problems = sum(check.state == "problem" for check in checks)
    if problems:
        print(f"gog: {problems} problem{'s' * (problems > 1)}", file=sys.stderr)
        raise typer.Exit(FELL_SHORT)
