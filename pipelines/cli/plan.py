"""What a run would do and cost; nothing is called.

Ranges: from what `gog preview` asked for some seeds of this config, else from assumptions, which are named.
"""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gog.pipelines.cli.options import ConfigOption, JsonOption, LakeOption, RunOption, command_app, example, print_json
from gog.pipelines.cli.status import spell
from gog.pipelines.cli.targets import config_of

if TYPE_CHECKING:
    from gog.pipelines.rehearse.plan import Plan
    from gog.pipelines.rehearse.samples import Range

UNITS = {
    "hard seed": "seeds that need search",
    "rollout": "rollouts",
    "composed": "composed attempts",
    "try": "tries to label",
}

app = command_app()


@app.command(help=__doc__, epilog=example("gog plan -c fvqa.yaml", "gog plan -c fvqa.yaml --json"))
def plan(
    config: ConfigOption = None, lake: LakeOption = None, name: RunOption = None, as_json: JsonOption = False
) -> None:
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
