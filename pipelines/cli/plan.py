"""What a run would do and cost; nothing is called.

Ranges: from what `gog preview` asked for some seeds of this config, else from assumptions, which are named.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gog.pipelines.cli.options import ConfigOption, DemoOption, JsonOption, LakeOption, RunOption, example, print_json
from gog.pipelines.cli.targets import config_of
from gog.pipelines.show.words import spell

if TYPE_CHECKING:
    from gog.pipelines.rehearse.plan import Plan
    from gog.pipelines.rehearse.samples import Range

UNITS = {
    "hard seed": "seeds that need search",
    "rollout": "rollouts",
    "composed": "composed attempts",
    "try": "tries to label",
}
EXAMPLES = example("gog plan -c fvqa.yaml", "gog plan -c fvqa.yaml --json")


def plan(
    config: ConfigOption = None,
    demo: DemoOption = False,
    lake: LakeOption = None,
    name: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.rehearse.plan import plan as make_plan

    planned = make_plan(config_of(config, lake, name, demo=demo))
    if as_json:
        plain = asdict(planned)
        for key in ("units", "calls", "tokens", "seconds"):
            plain[key] = _ranges(plain[key])
        plain["cost"], plain["kept"] = _ranges(plain["cost"], 4), _ranges(plain["kept"])
        plain["lines"] = [
            {key: line[key] for key in ("service", "kind", "purpose")}
            | {"sampled": line["sampled"] is not None, "cost": _ranges(line["cost"], 4)}
            | {key: _ranges(line[key]) for key in ("calls", "tokens", "seconds")}
            for line in plain["lines"]
        ]
        print_json(plain)
    else:
        _show_plan(planned)


def _ranges(value: Any, digits: int | None = None) -> Any:
    """Ranges as `{"low": ..., "high": ...}`, of whole numbers unless `digits` says how many stand behind the point."""
    if isinstance(value, dict):
        return {key: _ranges(item) for key, item in value.items()}
    return None if value is None else {"low": round(value[0], digits), "high": round(value[1], digits)}


def _show_plan(planned: "Plan") -> None:
    from rich.padding import Padding
    from rich.text import Text

    from gog.pipelines.views.summary import console_for, plain_table

    synthesized = planned.done["synthesize"]
    state = f"{synthesized:,} of them done, {planned.left:,} rows left" if synthesized else "none of them done yet"
    print(f"Run {planned.run}: {planned.rows:,} rows in {planned.shards:,} shard{'s' * (planned.shards != 1)}, {state}")
    if not planned.lines:
        print("Nothing is left to ask: `gog run` finishes it from what is there")
        return
    units = {name: planned.units[name].high for name in UNITS}
    most = ", ".join(f"{units[name]:,.0f} {unit}" for name, unit in UNITS.items() if units[name])
    console = console_for(sys.stdout)
    console.print(f"At most {most}", markup=False)
    if planned.kept is not None:
        console.print(f"It will keep {planned.kept.low:,.0f} to {planned.kept.high:,.0f} trajectories", markup=False)
    print()
    lines, names = [], _short_names(line.service for line in planned.lines)
    for line in planned.lines:
        purpose = line.purpose + (" +" if line.sampled else "")
        money = "" if line.cost is None else _money(line.cost)
        lines.append((names[line.service], line.kind, purpose, _spread(line.calls), _spread(line.tokens), money))
    total = (
        "all",
        "",
        "",
        _spread(planned.calls),
        _spread(planned.tokens),
        _money(planned.cost) if planned.cost else "",
    )
    table = plain_table("Calls", ("service", "=kind", "=purpose", ">calls", ">tokens", ">cost $"), lines, total)
    console.print(table)
    if planned.cost is None:
        print("Money  unknown: a service outside has no known price")
    elif not planned.cost.high:
        print(f"Money  $0.00: {_free(planned)}")
    else:
        print(f"Money  ${_money(planned.cost)}")
    print(f"Time   {spell(planned.seconds.low)} to {spell(planned.seconds.high)} of work")
    if planned.store_bytes:
        print(f"Store  {planned.store_bytes / 1e6:,.1f} MB: what it has answered before costs no call again")
    for note in planned.notes:
        console.print(Padding(Text(note), (0, 0, 0, 2), expand=False))


def _short_names(services: Iterable[str]) -> dict[str, str]:
    """Services as a table has room for them: a model without the address of its endpoint, if that tells them apart."""
    addresses = set(services)
    short = {address: address.partition("#")[2] or address for address in addresses}
    counts = Counter(short.values())
    return {address: name if counts[name] == 1 else address for address, name in short.items()}


def _free(planned: "Plan") -> str:
    """Why nothing costs money."""
    from gog.transforms.services.providers import embedded

    outside = sorted({line.service.rstrip(":") for line in planned.lines if not embedded(line.service)})
    if not outside:
        return "every service is embedded and free"
    return f"{', '.join(outside)} {'cost' if len(outside) > 1 else 'costs'} nothing by its price; the rest is embedded"


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
