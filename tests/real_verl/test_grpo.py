"""The export's own `launch.sh` over a real verl: GRPO with crops, validation, a kill, a resume, a merged model.

`make test-verl` installs verl and vLLM's build for CPUs into the environment that GOG_VERL names. The model is taught
to gaze three times and to answer with a number, so that there are crops and rewards of several sizes.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from runs import atlas, run_folder, shared_run, write_config
from training import trl_export

from gog.pipelines.cli.main import call
from gog.pipelines.config.config import Config
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.write import export_rl
from gog.pipelines.lake.lake import Lake
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.export.target import Target

pytestmark = [pytest.mark.verl, pytest.mark.timeout(7200)]
HOME = Path(os.environ.get("GOG_VERL", "none"))
HERE = Path(__file__).parent
BACKBONE = BACKBONES["qwen3-vl"]
STEPS = 3
ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
SETTINGS = {
    "data.train_batch_size": 2,
    "data.max_response_length": 3072,
    "data.dataloader_num_workers": 0,
    f"{ACTOR}.ppo_mini_batch_size": 2,
    f"{ACTOR}.optim.lr": 1e-4,
    f"{ACTOR}.strategy": "fsdp2",
    f"{ACTOR}.fsdp_config.use_torch_compile": False,
    "actor_rollout_ref.ref.strategy": "fsdp2",
    "actor_rollout_ref.ref.fsdp_config.use_torch_compile": False,
    f"{ROLLOUT}.n": 4,
    f"{ROLLOUT}.tensor_model_parallel_size": 1,
    f"{ROLLOUT}.dtype": "float32",
    f"{ROLLOUT}.enforce_eager": True,
    f"{ROLLOUT}.free_cache_engine": False,
    f"+{ROLLOUT}.enable_sleep_mode": False,
    f"{ROLLOUT}.agent.num_workers": 1,
    f"{ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes": 64,
    "reward.num_workers": 1,
    "algorithm.filter_groups.enable": False,
    "trainer.n_gpus_per_node": 1,
    "trainer.total_training_steps": STEPS,
    "trainer.save_freq": 1,
    "trainer.test_freq": STEPS,
    "trainer.val_before_train": False,
    "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
    "++ray_kwargs.ray_init.num_cpus": 32,
    "++ray_kwargs.ray_init.num_gpus": 1,
    "++ray_kwargs.ray_init.include_dashboard": False,
}
"""What makes it small and a CPU's."""
CPU = {
    "VERL_PLATFORM": "cpu",
    "VERL_USE_EXTERNAL_MODULES": "cpu_verl",
    "VERL_ENGINE_DEVICE": "cuda",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "HYDRA_FULL_ERROR": "1",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return shared_run(atlas("tiny"), tmp_path_factory)


@pytest.fixture(scope="module")
def export(run: Config) -> Path:
    """The run's questions for verl."""
    source = SourceRun(run_folder(run), Lake(Path(run.lake)).images, run.episode)
    return export_rl(source, ExportRequest(run.export, Target("verl", BACKBONE))).folder


@pytest.fixture(scope="module")
def taught(run: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As in the tests over vLLM."""
    if made := os.environ.get("GOG_TAUGHT"):
        return Path(made)
    folder, others = tmp_path_factory.mktemp("taught"), HERE.parent / "real_vllm"
    for words in (
        [others / "tiny.py", folder / "tiny"],
        [others / "taught.py", folder / "tiny", trl_export(run, "rl", BACKBONE, folder), folder],
    ):
        env = os.environ | CPU | {"PYTHONPATH": str(HERE.parent)}
        subprocess.run([HOME / "bin" / "python", *words], check=True, env=env)
    return folder / "model"


class Launched:
    """A training that `launch.sh` started, with all that it started."""

    def __init__(self, export: Path, model: Path, work: Path) -> None:
        work.mkdir(exist_ok=True)
        self.work, self.log = work, work / "verl.log"
        self._mark = f"GOG_CALLS={work / 'calls'}".encode()
        path = os.pathsep.join([str(HOME / "bin"), os.environ["PATH"]])
        own = {"PATH": path, "PYTHON": str(HOME / "bin" / "python"), "PYTHONPATH": str(HERE), "MODEL": str(model)}
        own |= {"GOG_CALLS": str(work / "calls"), "HF_HOME": str(work / "hf"), "RAY_TMPDIR": "/tmp"}
        words = [f"{name}={value}" for name, value in SETTINGS.items()]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["bash", export / "launch.sh", *words],
                cwd=work,
                env=os.environ | CPU | own,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait(self, over: Callable[[], bool]) -> None:
        """Until that is so; it is an error if the training ends before."""
        while not over():
            assert self.process.poll() is None, self.said()[-6000:]
            time.sleep(0.5)

    def kill(self) -> None:
        """kill -9 of it and of all processes that have its environment, Ray's among them."""
        for process in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if self._mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def launch(export: Path, taught: Path, tmp_path: Path) -> Iterator[Callable[[], Launched]]:
    made: list[Launched] = []

    def start() -> Launched:
        made.append(Launched(export, taught, tmp_path / "work"))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def metrics(said: str) -> dict[int, dict[str, float]]:
    """What verl's console told, by step."""
    found: dict[int, dict[str, float]] = {}
    for step, line in re.findall(r"step:(\d+) - (.*)", said):
        pairs = (part.rpartition(":") for part in line.split(" - "))
        found.setdefault(int(step), {}).update(
            {name: float(re.sub(r"np\.\w+\((.*)\)", r"\1", value)) for name, _, value in pairs}
        )
    return found


def test_it_trains_goes_on_after_a_kill_and_leaves_a_model_that_is_evaluated(
    launch: Callable[[], Launched], export: Path, run: Config, tmp_path: Path
) -> None:
    first = launch()
    kept = first.work / "checkpoints" / "glance-or-gaze" / "qwen3-vl"
    first.wait(lambda: (kept / "latest_checkpointed_iteration.txt").exists())
    first.kill()
    begun = metrics(first.said())
    assert set(begun) <= {1, 2}

    second = launch()
    assert second.process.wait() == 0, second.said()[-6000:]
    told = metrics(second.said())
    print(
        json.dumps(
            {
                step: {k: v for k, v in sorted(m.items()) if re.search("score|grad_norm|kl|num_turns|val", k)}
                for step, m in told.items()
            },
            indent=1,
        )
    )
    assert max(told) == STEPS
    assert "Setting global step to" in second.said() or "Resuming from" in second.said()
    assert any(name.startswith("val") for name in told[STEPS]), "validation"
    assert {0.1, 1.0} & {values["critic/score/max"] for values in told.values()}
    assert max(values["actor/grad_norm"] for values in told.values()) > 0
    assert max(values["num_turns/max"] for values in told.values()) >= 8, "three crops and an answer"

    merged = tmp_path / "merged"
    env = os.environ | CPU | {"PYTHON": str(HOME / "bin" / "python"), "PYTHONPATH": str(HERE)}
    subprocess.run(["bash", export / "merge.sh", kept / f"global_step_{STEPS}", merged], check=True, env=env)
    assert (merged / "gog.json").is_file()
    config = run.model_copy(update={"lake": str(tmp_path / "lake")})
    values = config.model_dump(mode="json") | {"checkpoint": {"python": str(HOME / "bin" / "python")}}
    path = write_config(Config.model_validate(values), tmp_path / "run.yaml")
    evaluate = ["eval", "--config", str(path), "--bench", "atlas", "--paradigm", "policy", "--limit", "2"]
    assert call([*evaluate, "--policy", f"checkpoint:{merged}"]) == 0
