"""Start verl on an export, and end it when a worker says so: `python -m gog_train.verl.start`, as in `launch.sh`.

verl hands the recipe's environment to Ray's workers as it is written, `${oc.env:GOG_EXPORT}` and all. So the recipe
that verl reads is a copy in which the environment is written out.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from gog_train.settings import TrainingError
from gog_train.verl.check import main as check
from gog_train.verl.stop import FILE, reason_to_stop

HANDED_ON: Final = (
    "GOG_EXPORT",
    "GOG_CALLS",
    "GOG_TEXT_SEARCH",
    "GOG_IMAGE_SEARCH",
    "GOG_PAGES",
    "GOG_JUDGE",
    "GOG_JUDGE_KEY_ENV",
    "GOG_UNSETTLED",
    "GOG_CHAT_TEMPLATE",
    "MODEL",
    "GPUS",
)
"""Variables that the recipe, the tools and the reward read in Ray's workers. The key of a judge is not among them: verl
prints them all. Workers on this machine inherit it; on others it has to be set."""

ATTENTION: Final = "actor_rollout_ref.model.override_config.attn_implementation"
"""`flash_attention_2`, verl's default, needs the package flash-attn."""
TRAINER: Final = ("-m", "verl.trainer.main_ppo")
LOOK: Final = 1.0
"""Seconds between two looks for a reason to stop."""
PATIENCE: Final = 60.0
"""Seconds that verl has to end, once it is asked to."""


def recipe_for(recipe: str, environment: Mapping[str, str]) -> str:
    """The recipe, with the workers' environment written out. Raises `TrainingError`."""
    config = yaml.safe_load(recipe)
    handed = {name: environment[name] for name in HANDED_ON if name in environment}
    for name, value in handed.items():
        if "${" in value:
            raise TrainingError(f"{name} holds ${{, which verl takes for a reference: use a name without it")
    config["ray_kwargs"]["ray_init"]["runtime_env"]["env_vars"] = handed
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=1000)


def watched(command: Sequence[str], calls: Path, look: float = LOOK) -> int:
    """Run verl to its end, or until a worker gives a reason to stop; returns the exit code, then 1."""
    with subprocess.Popen(command) as process:  # noqa: S603 (our own interpreter, no shell)
        try:
            while process.poll() is None:
                try:
                    process.wait(look)
                except subprocess.TimeoutExpired:
                    if reason_to_stop(calls):
                        _end(process)
        except KeyboardInterrupt:
            _end(process)
            return 130
    if why := reason_to_stop(calls):
        print(f"error: training stopped: {why}", file=sys.stderr)
        return 1
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def curves(calls: Path) -> Path:
    """The file of this start's curves; verl empties one that is there."""
    return calls / f"curves-{len(list(calls.glob('curves-*.jsonl'))) + 1}.jsonl"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def main(words: Sequence[str]) -> int:
    """The command line: `words` are verl's overrides."""
    if code := check(words):
        return code
    calls = Path(os.environ["GOG_CALLS"])
    calls.mkdir(parents=True, exist_ok=True)
    (calls / FILE).unlink(missing_ok=True)
    made = calls / "recipe"
    made.mkdir(exist_ok=True)
    recipe = Path(os.environ["GOG_EXPORT"], "grpo.yaml").read_text("utf-8")
    try:
        (made / "grpo.yaml").write_text(recipe_for(recipe, os.environ), "utf-8")
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    attention = [] if any(ATTENTION in word for word in words) else [f"+{ATTENTION}=sdpa"]
    os.environ.setdefault("VERL_FILE_LOGGER_PATH", str(curves(calls.resolve())))
    recipe_of = [f"--config-path={made.resolve()}", "--config-name=grpo"]
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    return watched([sys.executable, *TRAINER, *recipe_of, *attention, *words], calls)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
