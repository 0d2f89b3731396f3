"""The export's own `launch.sh` over a real verl: GRPO with crops, validation, a kill, a resume, a merged model.

`make test-verl` installs verl and vLLM's build for CPUs into the environment that GOG_VERL names. The model is taught
to gaze three times and to answer with a number, so that there are crops and rewards of several sizes.
"""

import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from real_vllm.environment import BACKBONE, CPU, taught_model
from runs import atlas, run_folder, shared_run, write_config
from training import trl_export

from gog.pipelines.cli.main import call
from gog.pipelines.config.config import Config
from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.write import export_rl
from gog.pipelines.lake.lake import Lake
from gog.transforms.export.target import Target

pytestmark = [pytest.mark.verl, pytest.mark.timeout(7200)]
HOME = Path(os.environ.get("GOG_VERL", "none"))
PYTHON = str(HOME / "bin" / "python")
HERE = Path(__file__).parent
STEPS, BACK, KILLED = 10, 2, 4
"""The last step, that from which the training goes on, and that behind which it was killed."""
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
    f"{ROLLOUT}.dtype": "float32",
    f"{ROLLOUT}.enforce_eager": True,
    f"{ROLLOUT}.enable_chunked_prefill": False,  # with it a request that has a seed ends the build for CPUs
    f"{ROLLOUT}.max_num_batched_tokens": 32768,
    f"{ROLLOUT}.free_cache_engine": False,
    f"+{ROLLOUT}.enable_sleep_mode": False,
    f"{ROLLOUT}.agent.num_workers": 1,
    f"{ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes": 64,
    "gog.seeded": True,
    "algorithm.filter_groups.enable": False,
    "trainer.n_gpus_per_node": 1,
    "trainer.save_freq": BACK,
    "trainer.test_freq": STEPS // 2,
    "trainer.val_before_train": False,
    "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
    "++ray_kwargs.ray_init.num_cpus": 32,
    "++ray_kwargs.ray_init.num_gpus": 1,
    "++ray_kwargs.ray_init.include_dashboard": False,
}
"""What makes it small and a CPU's, and the same each time."""
OF_VERL = {
    "VERL_PLATFORM": "cpu",
    "VERL_USE_EXTERNAL_MODULES": "cpu_verl",
    "VERL_ENGINE_DEVICE": "cuda",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_worker_niceness": "0",  # as nice as the test, not nicer
    "HYDRA_FULL_ERROR": "1",
    "PYTHONPATH": str(HERE),
    "PYTHON": PYTHON,
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
    folder = tmp_path_factory.mktemp("taught")
    return taught_model(trl_export(run, "rl", BACKBONE, folder), folder, PYTHON)


class Launched:
    """A training that `launch.sh` started in the folder `work`, with all that it started."""

    def __init__(self, export: Path, model: Path, work: Path, steps: int) -> None:
        work.mkdir(exist_ok=True)
        self.work, self.log = work, work / "verl.log"
        self.kept = work / "checkpoints" / "glance-or-gaze" / BACKBONE.name
        self._mark = f"GOG_CALLS={work / 'calls'}".encode()
        path = os.pathsep.join([str(HOME / "bin"), os.environ["PATH"]])
        own = {"PATH": path, "MODEL": str(model), "GOG_CALLS": str(work / "calls"), "RAY_TMPDIR": "/tmp"}
        settings = SETTINGS | {"trainer.total_training_steps": steps}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["bash", export / "launch.sh", *(f"{name}={value}" for name, value in settings.items())],
                cwd=work,
                env=os.environ | CPU | OF_VERL | own | {"HF_HOME": str(work / "hf")},
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
            time.sleep(0.2)

    def end(self) -> None:
        """Wait for a good end."""
        assert self.process.wait() == 0, self.said()[-6000:]

    def kill(self) -> None:
        """kill -9 of it and of all processes that have its environment, Ray's among them."""
        for process in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if self._mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
        self.process.wait()

    def at(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.kept / f"global_step_{step}"

    def curves(self) -> dict[int, dict[str, float]]:
        """What was logged, by step, over all starts: a later one's words are the last."""
        found: dict[int, dict[str, float]] = {}
        for path in sorted((self.work / "calls").glob("curves-*.jsonl")):
            for line in map(json.loads, path.read_text().splitlines()):
                found.setdefault(line["step"], {}).update(line["data"])
        return found


Launch = Callable[[Path, int], Launched]


@pytest.fixture
def launch(export: Path, taught: Path) -> Iterator[Launch]:
    made: list[Launched] = []

    def start(work: Path, steps: int) -> Launched:
        made.append(Launched(export, taught, work, steps))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def tensors(checkpoint: Path, name: str) -> dict[str, bytes]:
    """The numbers in a checkpoint's file of that name."""
    with zipfile.ZipFile(checkpoint / "actor" / f"{name}_world_size_1_rank_0.pt") as file:
        return {member: file.read(member) for member in file.namelist() if "/data/" in member}


def shown(curves: dict[int, dict[str, float]]) -> str:
    """Curves as a table for people."""
    names = ["critic/score/min", "critic/score/mean", "critic/score/max", "gog/acc", "gog/format", "gog/masked"]
    names += ["num_turns/min", "num_turns/max", "actor/grad_norm", "actor/kl_loss", "actor/entropy"]
    names += ["training/rollout_probs_diff_max", "training/rollout_actor_probs_pearson_corr"]
    rows = [[step, *(told.get(name, float("nan")) for name in names)] for step, told in sorted(curves.items())]
    return "\n".join(["step " + " ".join(names), *(" ".join(f"{value:.4g}" for value in row) for row in rows)])


def test_it_trains_goes_on_after_a_kill_as_if_there_were_none_and_leaves_a_model_that_is_evaluated(
    launch: Launch, export: Path, run: Config, tmp_path: Path
) -> None:
    first = launch(tmp_path / "work", STEPS)
    first.wait(lambda: KILLED in first.curves())
    first.kill()
    undisturbed = first.curves()
    assert max(undisturbed) < STEPS
    # It goes on from before its last checkpoint, so that steps and weights can be compared with those of no kill.
    first.at(KILLED).rename(tmp_path / "undisturbed")
    (first.kept / "latest_checkpointed_iteration.txt").write_text(str(BACK))

    second = launch(tmp_path / "work", STEPS)
    second.end()
    curves = second.curves()
    print(shown(curves))
    assert sorted(curves) == list(range(1, STEPS + 1))
    for step in range(BACK + 1, KILLED + 1):
        told = {name for name in curves[step] if name.startswith(("critic/", "actor/", "gog/", "response_length/"))}
        told -= {name for name in told if "mfu" in name or "memory" in name}
        assert {n: curves[step][n] for n in told} == {n: undisturbed[step][n] for n in told}
    for name in ("model", "optim"):
        before, after, last = (
            tensors(path, name) for path in (tmp_path / "undisturbed", second.at(KILLED), second.at(STEPS))
        )
        assert before == after != last, name
        assert len(before) > 20

    scores: list[Any] = [told[f"critic/score/{end}"] for told in curves.values() for end in ("min", "max")]
    assert {0.0, 0.1, 1.0} <= {round(score, 3) for score in scores}
    assert all(told["actor/grad_norm"] > 0 for told in curves.values())
    assert max(told["num_turns/max"] for told in curves.values()) >= 4, "three crops and an answer"
    assert [step for step, told in curves.items() if any(name.startswith("val-core/") for name in told)] == [5, 10]
    # Weights are trained in bfloat16, and vLLM's are single precision.
    assert min(told["training/rollout_actor_probs_pearson_corr"] for told in curves.values()) > 0.998

    merged = tmp_path / "merged"
    words: list[str | Path] = ["bash", export / "merge.sh", second.at(STEPS), merged]
    subprocess.run(words, check=True, env=os.environ | CPU | OF_VERL)
    assert (merged / "gog.json").is_file()
    config = run.model_copy(update={"lake": str(tmp_path / "lake")})
    values = config.model_dump(mode="json") | {"checkpoint": {"python": PYTHON}}
    path = write_config(Config.model_validate(values), tmp_path / "run.yaml")
    evaluate = ["eval", "--config", str(path), "--bench", "atlas", "--paradigm", "policy", "--limit", "2"]
    assert call([*evaluate, "--policy", f"checkpoint:{merged}"]) == 0
