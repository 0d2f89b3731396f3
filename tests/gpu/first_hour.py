"""The first hour on a GPU, in ten minutes: `python tests/gpu/first_hour.py [--python PYTHON] [--out FILE] [--quick]`.

Models of random weights, which it makes, on exports of the bundled world: no hub, no key. SFT, GRPO by transformers'
generation and by vLLM, log-probabilities of what is sampled against what is trained on, bf16 against single precision,
memory against what `gog_train.check` says, tokens a second against TRL's plain script. It prints a table and writes
JSON; exit code 1 where a part failed or a figure is not as wanted. On a CPU it does what a CPU can, and says what it
left out.

It runs where `gog run` does (the extra `pipelines`); PYTHON is the interpreter of the environment that trains, which
may be another one. `--quick` takes fewer steps.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from gpu.sizes import BACKBONE

Json = dict[str, Any]
HERE: Final = Path(__file__).parent
LIMIT_S: Final = 600.0
SEEDS: Final = 48
"""Seeds of the bundled world that the exports are made of."""
FIRST_HALF: Final = ("sft", "plain", "grpo", "precision")


class Child(NamedTuple):
    """A process that measures, for some parts: what dies, or takes the memory of a GPU, does so alone."""

    size: str
    parts: tuple[str, ...]


def plan(device: Json) -> tuple[list[Child], dict[str, str]]:
    """What is measured on a device, in order, and what is left out, with the reason."""
    first = [Child("tiny", FIRST_HALF)]
    if not device["gpu"]:
        return first, {
            "memory against the estimate": "no GPU: a CPU's memory is that of all programs",
            "100M": "no GPU: a step would take minutes",
            "vllm, vllm-single": "no GPU: `make test-vllm` has vLLM's build for CPUs, and compares there",
        }
    children = [*first, Child("100M", FIRST_HALF)]
    if device["vllm"] is None:
        return children, {"vllm, vllm-single": "vLLM is not installed there"}
    return [*children, Child("tiny", ("vllm-single",)), Child("100M", ("vllm",))], {}


def prepare(folder: Path, device: Json) -> None:
    """A finished run of the bundled world, and its exports by the device's budget of pixels."""
    from gpu.measures import budget
    from runs import atlas
    from training import trl_export

    from gog.pipelines.connect.services import close_stores
    from gog.pipelines.steps.run import run
    from gog.transforms.dialect.backbones import qwen3_vl

    config = atlas(folder / "lake", run="first", count=SEEDS, shard_size=SEEDS)
    run(config)
    close_stores()
    backbone = budget(device["gpu"])
    plain, qwen3_vl.BACKBONE = qwen3_vl.BACKBONE, backbone
    try:
        for kind in ("sft", "rl"):
            trl_export(config, kind, backbone, folder)
    finally:
        qwen3_vl.BACKBONE = plain


def measure(folder: Path, child: Child, command: Sequence[str], left_s: float) -> str:
    """Run a child; returns why it failed, or nothing."""
    words = [*command, str(folder), child.size, *child.parts]
    log = folder / f"{child.size}-{child.parts[0]}.log"
    with log.open("w") as file:
        try:
            done = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, timeout=max(1.0, left_s), check=False)
        except subprocess.TimeoutExpired:
            return f"it did not end in {left_s:.0f} s"
    if done.returncode == 0:
        return ""
    said = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return f"it ended with {done.returncode}: {said[-1][:300] if said else 'it said nothing'}"


def figures(folder: Path) -> list[Json]:
    """What was measured so far."""
    with suppress(FileNotFoundError):
        return [json.loads(line) for line in (folder / "figures.jsonl").read_text("utf-8").splitlines()]
    return []


def table(record: Json) -> str:
    """The record for people."""
    head = ("size", "part", "figure", "found", "wanted", "")
    marks = {None: "", True: "ok", False: "NOT SO"}
    rows = [(*(one[key] for key in ("size", "part", "what", "found", "wanted")), marks[one["fine"]])
            for one in record["figures"]]  # fmt: skip
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
    told = [f"left out: {what}: {why}" for what, why in record["left_out"].items()]
    told += [f"FAILED: {what}: {why}" for what, why in record["failed"].items()]
    return "\n".join([f"{record['device']['name']}, {record['seconds']:.0f} s", "", *lines, "", *told])


def first_hour(folder: Path, python: str, quick: bool) -> Json:
    """Measure everything that can be measured here, in `folder`; returns the record."""
    began = time.monotonic()
    command = [python, str(HERE / "measures.py"), *(["--quick"] if quick else [])]
    asked = subprocess.run([*command, str(folder), "tiny"], stdout=subprocess.PIPE, text=True, check=True)
    device: Json = json.loads(asked.stdout.splitlines()[-1])
    prepare(folder, device)
    children, left_out = plan(device)
    failed = {}
    for child in children:
        before = len(figures(folder))
        why = measure(folder, child, command, LIMIT_S - (time.monotonic() - began))
        if why:
            there = {one["part"] for one in figures(folder)[before:]}
            missing = [part for part in child.parts if part not in there]
            failed[f"{child.size} {', '.join(missing)}"] = why
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device,
        "backbone": BACKBONE,
        "seconds": time.monotonic() - began,
        "figures": figures(folder),
        "left_out": left_out,
        "failed": failed,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment that trains")
    parser.add_argument("--out", type=Path, default=Path("first_hour.json"), help="where the JSON goes")
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = first_hour(Path(folder), options.python, options.quick)
    options.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(table(record))
    return int(bool(record["failed"]) or any(one["fine"] is False for one in record["figures"]))


if __name__ == "__main__":
    sys.exit(main())
