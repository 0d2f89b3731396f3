"""vLLM's own environment, and how it is started on a CPU.

`make test-vllm` installs its build for CPUs into the environment that GOG_VLLM names, and runs the tests of this
folder.
"""

import os
import subprocess
from pathlib import Path

from gog.transforms.dialect.backbones import BACKBONES

HOME = Path(os.environ.get("GOG_VLLM", "none"))
EXECUTABLE = str(HOME / "bin" / "vllm")
PYTHON = str(HOME / "bin" / "python")
HERE = Path(__file__).parent
BACKBONE = BACKBONES["qwen3-vl"]
SERVED = (
    "--enforce-eager",
    "--no-enable-chunked-prefill",  # with it a request that has a seed ends the build for CPUs
    *("--max-num-batched-tokens", "16384"),
    *("--max-model-len", "16384"),
    *("--dtype", "float32"),
)
"""Arguments of `vllm serve`."""
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def helped(*words: object, python: str = PYTHON) -> "subprocess.CompletedProcess[str]":
    """A Python program in that environment, which has to end well."""
    env = os.environ | CPU | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run([python, *map(str, words)], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def taught_model(export: Path, folder: Path, python: str = PYTHON) -> Path:
    """A tiny model that gazes three times and answers with a number, taught on TRL's export of questions."""
    helped(HERE / "tiny.py", folder / "tiny", python=python)
    helped(HERE / "taught.py", folder / "tiny", export, folder, python=python)
    return folder / "model"
