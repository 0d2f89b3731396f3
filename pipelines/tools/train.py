"""Starts a training in its own environment: what it needs is looked at first, then the exact command is run.

gog_train is spoken to through its command lines alone: its environment has torch and no Beam, and may be another than
this one. The run card, `README.md` and `run.json` in the training's output folder, is written before and after.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from gog.pipelines.export.card import escaped
from gog.pipelines.lake.lake import write_atomic
from gog.pipelines.templates import templates
from gog.schemas.errors import UsageError
from gog.transforms.extras import install

Stage = Literal["sft", "grpo"]
Json = dict[str, Any]

CARD: Final = "run.json"
"""What a finished training writes; the launcher adds to it."""
README: Final = "README.md"
CHECK_S: Final = 600.0
"""Seconds that the look at everything may take: a model's config may have to be downloaded."""
_MOST_JSON: Final = 64 << 20


class LaunchError(UsageError, RuntimeError):
    """Training cannot be started; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A training to start: the stage, the arguments of its command line, and the environment's interpreter."""

    stage: Stage
    arguments: tuple[str, ...]
    python: str = ""
    """Empty for this interpreter."""
    processes: int | None = None
    """One a GPU unless given."""

    @property
    def interpreter(self) -> str:
        """The interpreter's path or name."""
        return self.python or sys.executable


def examine(launch: Launch) -> Json:
    """The report of `gog_train.check`, as JSON. Raises `LaunchError`."""
    command = [launch.interpreter, "-m", "gog_train.check", "--json"]
    command += ["--processes", str(launch.processes)] if launch.processes else []
    command += [launch.stage, *launch.arguments]
    try:
        done = subprocess.run(  # noqa: S603  # a list, and the interpreter is the user's own choice
            command, capture_output=True, text=True, timeout=CHECK_S, check=False
        )
    except OSError as error:
        advice = "name the training environment's interpreter with --python"
        raise LaunchError(f"{launch.interpreter}: {error.strerror}; {advice}") from None
    except subprocess.TimeoutExpired:
        raise LaunchError(f"the check was not done after {CHECK_S:g} s: is the model's name right?") from None
    lines = done.stdout.strip().splitlines()
    try:
        report = json.loads(lines[-1]) if lines else None
    except ValueError:
        report = None
    if not isinstance(report, dict) or "checks" not in report:
        why = " ".join((done.stderr.strip().splitlines() or ["nothing was said"])[-1].split())[:300]
        raise LaunchError(
            f"{launch.interpreter} cannot run gog_train ({why}): there, {install('train')}, or name "
            "another environment's interpreter with --python"
        )
    return report


def command_of(launch: Launch, processes: int) -> list[str]:
    """The command that trains: plain Python for one process, torchrun for several on this machine."""
    module = f"gog_train.{launch.stage}"
    if processes == 1:
        return [launch.interpreter, "-m", module, *launch.arguments]
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [launch.interpreter, *several, "-m", module, *launch.arguments]


def train(command: Sequence[str], report: Mapping[str, Any]) -> int:
    """Run the command, with a run card before and after; returns its exit code. Raises `LaunchError`."""
    facts = report["facts"]
    output = Path(facts["settings"]["output"])
    card: Json = {"stage": report["stage"], "state": "running", "command": list(command), **facts}
    card["times"] = {"started": _now()}
    far = _so_far(output)
    write_card(output, card)
    began = time.monotonic()
    code = _run(command)
    times = card["times"] | {"ended": _now(), "seconds": round(time.monotonic() - began, 1)}
    # Of several processes torchrun's own code says nothing of why.
    state = "done" if code == 0 else "stopped" if _so_far(output) != far else "failed"
    results = _written_by(output) if state == "done" else _so_far(output)
    write_card(output, {**card, **results, "state": state, "exit_code": code, "times": times})
    return code


def write_card(output: Path, card: Mapping[str, Any]) -> None:
    """`run.json` with everything, `README.md` for people."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_atomic(output / CARD, (json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        write_atomic(output / README, card_text(card).encode())
    except OSError as error:
        raise LaunchError(f"{output}: the run card cannot be written: {error.strerror}") from None


def card_text(card: Mapping[str, Any]) -> str:
    """The run card as Markdown, without what a clock has measured."""
    environment = templates(autoescape=False)
    environment.filters["shown"] = escaped
    measured = ("_runtime", "_per_second")
    card = {**card, "metrics": {k: v for k, v in card.get("metrics", {}).items() if not k.endswith(measured)}}
    shown = {"steps": None, "export": None, "git": None, "memory": None} | card
    return environment.get_template("run_card.md.j2").render(card=shown) + "\n"


def _written_by(output: Path) -> Json:
    """What the training itself has written of its results: steps, metrics, rows."""
    loaded = _read(output / CARD)
    return {
        key: loaded[key] for key in ("steps", "metrics", "rows", "questions", "versions", "device") if key in loaded
    }


def _so_far(output: Path) -> Json:
    """Steps and metrics of the last checkpoint, of a training that did not end."""
    states = [path for path in output.glob("checkpoint-*/trainer_state.json") if path.parent.name[11:].isdecimal()]
    if not states:
        return {}
    state = _read(max(states, key=lambda path: int(path.parent.name[11:])))
    history = state.get("log_history")
    metrics: dict[str, float] = {}
    for logged in history if isinstance(history, list) else []:
        metrics |= {key: value for key, value in logged.items() if isinstance(value, int | float)}
    return {"steps": state.get("global_step"), "metrics": dict(sorted(metrics.items()))}


def _read(path: Path) -> Json:
    """A JSON object of a file; empty where there is none."""
    try:
        if path.stat().st_size > _MOST_JSON:
            return {}
        loaded = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _run(command: Sequence[str]) -> int:
    """The command's exit code; what ends this process goes to the command, which ends in an orderly way."""
    try:
        child = subprocess.Popen(list(command))  # noqa: S603  # a list, and the interpreter is the user's own choice
    except OSError as error:
        raise LaunchError(f"{command[0]}: {error.strerror}") from None
    with _handed_on(child):
        return child.wait()


@contextmanager
def _handed_on(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ctrl-C reaches the whole group by itself; SIGTERM is handed on."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
