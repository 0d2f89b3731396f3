"""Train on an export: SFT, then GRPO.

Looks at versions, GPUs, memory, disk and the export's hashes, prints the exact command and runs it. The output
folder gets a run card: settings, hashes of the data, revision, versions, device, and the final metrics.
"""

import shlex
import sys
from typing import Annotated, Any

import typer

from gog.pipelines.cli.errors import UseError
from gog.pipelines.cli.options import JsonOption, example, option, print_json

Settings = Annotated[
    list[str] | None,
    typer.Argument(help="Settings of the stage, after `--`; each replaces a key.", metavar="-- SETTINGS"),
]
STAGES = ("sft", "grpo")
WHERE = (
    "Training runs in an environment with torch, which may be another than this one: --python names its interpreter. "
    "The settings are those of `python -m gog_train.sft --help`."
)
EXAMPLES = example(
    "gog train sft -c sft_qwen2_5_vl -- --export EXPORT --output OUT",
    "gog train grpo -c my.yaml --python /opt/train/bin/python",
    "gog train sft -c my.yaml --dry-run",
    more=WHERE,
)


def train(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="sft or grpo.")],
    config: Annotated[
        str | None, option("--config -c", "FILE", "The stage's settings: YAML, or a bundled name.")
    ] = None,
    python: Annotated[str, option("--python", "PATH", "Interpreter of the training environment; this one's.")] = "",
    processes: Annotated[int | None, option("--processes", "NUMBER", "Processes; one a GPU.", min=1, max=1024)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and print; start nothing.")] = False,
    settings: Settings = None,
    as_json: JsonOption = False,
) -> None:
    from gog.pipelines.tools.train import Launch, command_of, examine
    from gog.pipelines.tools.train import train as run_training

    if stage not in STAGES:
        raise typer.BadParameter("there are two stages: sft and grpo", param_hint="STAGE")
    arguments = ["--config", config] if config else []
    launch = Launch("sft" if stage == "sft" else "grpo", (*arguments, *(settings or ())), python, processes)
    report = examine(launch)
    command = command_of(launch, report["processes"])
    if as_json:
        print_json(report | {"command": command})
    else:
        _print(report, command)
    if not report["fit"]:
        raise UseError(f"training was not started: {_problem(report)}")
    if dry_run:
        return
    sys.stdout.flush()
    if code := run_training(command, report):
        # Of several processes torchrun's code says nothing; wrong settings were told before.
        raise typer.Exit(code if code in (1, 2) else 1)


def _print(report: dict[str, Any], command: list[str]) -> None:
    for check in report["checks"]:
        mark = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}[check["state"]]
        print(f"{mark} {check['name']}: {check['found']}")
        if check["advice"] and check["state"] != "ok":
            print(f"         {check['advice']}")
    print(f"\n{shlex.join(command)}\n")


def _problem(report: dict[str, Any]) -> str:
    first = next(check for check in report["checks"] if check["state"] == "problem")
    return f"{first['name']}: {first['found']}" + (f"; {first['advice']}" if first["advice"] else "")
