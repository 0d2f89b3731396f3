"""Makes a small run's exports and has each trainer's own code read them: `make test-trainers`.

    python run.py verl=PYTHON ms-swift=PYTHON llama-factory=PYTHON

Each PYTHON is of an environment with that trainer.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from families import FAMILIES
from lakes import small_run, source_of

from gog.pipelines.export.formats import FORMATS
from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl, export_sft
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target

ROOT = Path(__file__).parents[2]


def make_exports(folder: Path) -> Path:
    """All exports for trainers of a small run; returns their folder."""
    run = source_of(small_run(folder / "lake"))
    for form in FORMATS:
        for backbone in map(BACKBONES.__getitem__, FAMILIES) if form != "parquet" else ():
            request = ExportRequest(target=Target(form, backbone))
            if "sft" in FORMATS[form].kinds:
                export_sft(run, request)
            if "rl" in FORMATS[form].kinds:
                export_rl(run, request)
    return run.folder / "exports"


def arguments(trainer: str, backbone: str, exports: Path) -> list[Path | str]:
    made, trl = exports / f"{trainer}-{backbone}", exports / f"trl-{backbone}" / "sft"
    match trainer:
        case "verl":
            return [made / "rl", backbone]
        case "ms-swift":
            return [made, backbone, trl]
        case _:
            return [made / "sft", backbone, trl]


def main(pythons: dict[str, str]) -> int:
    paths = os.pathsep.join(str(ROOT / name) for name in (".dev", "tests"))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        exports = make_exports(Path(folder))
        home = {"HOME": folder, "HF_HOME": f"{folder}/hf", "MODELSCOPE_CACHE": f"{folder}/ms", "HF_HUB_OFFLINE": "1"}
        for trainer, python in pythons.items():
            script = ROOT / "tests" / "trainers" / f"check_{trainer.replace('-', '_')}.py"
            for backbone in FAMILIES:
                command = [python, script, *arguments(trainer, backbone, exports)]
                env = os.environ | home | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                print(done.stdout.strip().splitlines()[-1] if done.returncode == 0 else done.stderr[-3000:], flush=True)
                failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main({name: python for name, _, python in (each.partition("=") for each in sys.argv[1:])}))
