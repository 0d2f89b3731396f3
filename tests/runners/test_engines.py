"""Runs on engines: the same bytes as locally, whatever is killed in the middle, and one line where it cannot go on.

`make test-runners` installs and starts them. Without it, what needs no Java runs: Beam's own job service, and Prism
where it is on the PATH.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chaos.endpoint import Endpoint, Manner, listening
from chaos.scene import IN_FLIGHT, small
from runners.engines import (
    Flink,
    Programs,
    flink,
    flink_job_server,
    job_service,
    prism,
    prism_program,
    programs,
    spark,
    spark_job_server,
    wait,
    worker_pool,
)
from runs import records

from gog.pipelines.config.config import Config, parse_config
from gog.transforms.place import files_below, name_below, place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SEEDS = int(os.environ.get("GOG_RUNNERS_SEEDS", "12"))
PAGES = Path(__file__).parents[2] / "docs" / "cookbook"
LOOPBACK = "--environment_type=LOOPBACK"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """The models, which count what they are asked."""
    with listening() as made:
        made.manner = Manner(latency_s=(0.02, 0.1))
        yield made


@pytest.fixture(scope="module")
def local(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """What engines are compared with."""
    config = config_at(tmp_path_factory.mktemp("local") / "lake", endpoint)
    done = finish(start(config))
    assert done.code == 0, done.said
    return config


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Programs]:
    with programs(tmp_path) as started:
        yield started


class Done:
    """How a command ended."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.said = process.communicate(timeout=3000)[0]
        self.code = process.returncode

    @property
    def error(self) -> str:
        """The one line of its error."""
        (line,) = [line for line in self.said.splitlines() if line.startswith("gog: ")]
        assert "Traceback" not in self.said, self.said
        return line


def config_at(lake: Path, endpoint: Endpoint) -> Config:
    few = {"export": {"rows_per_file": 2}}  # so that workers write exports, too
    return parse_config(small(lake, 7, SEEDS, endpoint.models, "r").model_dump(mode="json") | few)


def start(config: Config, *beam: str, folder: Path | None = None) -> "subprocess.Popen[str]":
    """A run; its config lies in the folder, or beside the lake."""
    path = (folder or Path(config.lake).parent) / "run.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    command = [sys.executable, "-m", "gog.pipelines.cli.main", "run", "--config", str(path)]
    rest = ["--", *beam] if beam else []
    return subprocess.Popen([*command, *rest], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


finish = Done


def on(job_endpoint: str, *more: str) -> tuple[str, ...]:
    return "--runner=PortableRunner", f"--job_endpoint={job_endpoint}", *(more or (LOOPBACK,))


def typed(page: str, addresses: dict[str, str]) -> tuple[str, ...]:
    """Options for Beam of the first `gog run` on a page of the cookbook, with the addresses of the test."""
    begins = "gog run -c gog.yaml -- "
    lines = (PAGES / page).read_text("utf-8").splitlines()
    line = next(line.removeprefix(begins) for line in lines if line.startswith(begins))
    for shown, ours in addresses.items():
        assert shown in line, f"{page} has no {shown}: {line}"
        line = line.replace(shown, ours)
    return tuple(line.split())


def external(made: Programs) -> tuple[str, str]:
    return "--environment_type=EXTERNAL", f"--environment_config={worker_pool(made)}"


def calls_repeated(endpoint: Endpoint) -> int:
    return sum(count - 1 for count in Counter(asked.key for asked in endpoint.asked).values())


def made_by(config: Config) -> dict[str, str]:
    """Hashes of tables and exports; what a local run notes of pictures for its next shard is for itself."""
    return {name: found for name, found in records(config).items() if not name.startswith("pictures/")}


def check_equal(made: Programs, endpoint: Endpoint, local: Config, *beam: str) -> None:
    config = config_at(made.folder / "lake", endpoint)
    endpoint.asked.clear()
    began = time.monotonic()
    done = finish(start(config, *beam))
    assert done.code == 0, done.said
    print(f"{time.monotonic() - began:.0f} s, {len(endpoint.asked)} calls")
    assert calls_repeated(endpoint) == 0
    assert made_by(config) == made_by(local)


def test_on_beams_own_job_service(made: Programs, endpoint: Endpoint, local: Config) -> None:
    check_equal(made, endpoint, local, *on(job_service(made)))


@pytest.mark.skipif(prism_program() is None, reason="Prism is not installed: make test-runners, or go install it")
def test_on_prism(made: Programs, endpoint: Endpoint, local: Config) -> None:
    check_equal(made, endpoint, local, *typed("prism.md", {"127.0.0.1:8073": prism(made)}))


@pytest.mark.skipif(prism_program() is None, reason="Prism is not installed: make test-runners, or go install it")
def test_a_prism_that_the_command_starts(made: Programs, endpoint: Endpoint, local: Config) -> None:
    check_equal(made, endpoint, local, "--runner=PrismRunner", f"--prism_location={prism_program()}")


@pytest.mark.runners
def test_on_flink_embedded(made: Programs, endpoint: Endpoint, local: Config) -> None:
    check_equal(made, endpoint, local, *on(flink_job_server(made)))


@pytest.mark.runners
def test_on_a_flink_cluster(made: Programs, endpoint: Endpoint, local: Config) -> None:
    jobs = flink_job_server(made, f"127.0.0.1:{flink(made).rest}")
    check_equal(made, endpoint, local, *on(jobs, "--parallelism=2", LOOPBACK))


@pytest.mark.runners
def test_on_a_flink_cluster_with_workers_of_its_own(made: Programs, endpoint: Endpoint, local: Config) -> None:
    master = f"127.0.0.1:{flink(made).rest}"
    jobs = flink_job_server(made, master)
    addresses = {"127.0.0.1:8099": jobs, "127.0.0.1:8081": master, "127.0.0.1:50000": worker_pool(made)}
    check_equal(made, endpoint, local, *typed("flink.md", addresses))


@pytest.mark.runners
def test_on_spark_embedded(made: Programs, endpoint: Endpoint, local: Config) -> None:
    check_equal(made, endpoint, local, *on(spark_job_server(made)))


@pytest.mark.runners
def test_on_a_spark_cluster(made: Programs, endpoint: Endpoint, local: Config) -> None:
    check_equal(made, endpoint, local, *typed("spark.md", {"127.0.0.1:8099": spark(made)}))


@pytest.mark.parametrize(
    "engine",
    ["beam", pytest.param("flink", marks=pytest.mark.runners), pytest.param("spark", marks=pytest.mark.runners)],
)
def test_with_a_lake_in_a_bucket(
    engine: str, remote: str, made: Programs, endpoint: Endpoint, local: Config, tmp_path: Path
) -> None:
    jobs = {"beam": job_service, "flink": flink_job_server, "spark": spark_job_server}[engine](made)
    there = config_at(tmp_path / "lake", endpoint).model_copy(update={"lake": remote})
    config = there.model_copy(update={"store": there.store.model_copy(update={"path": str(tmp_path / "store")})})
    endpoint.asked.clear()
    done = finish(start(config, *on(jobs), folder=tmp_path))
    assert done.code == 0, done.said
    assert calls_repeated(endpoint) == 0
    assert tables_of(fetched(config, tmp_path / "copy")) == tables_of(local)


def fetched(config: Config, folder: Path) -> Config:
    """The run of a lake in a bucket as one of a lake in a folder."""
    there = place(config.lake)
    for path in files_below(there):
        name = folder / name_below(path, there)
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(path.read_bytes())
    return config.model_copy(update={"lake": str(folder)})


def tables_of(config: Config) -> dict[str, str]:
    """Hashes of tables and exports without what a step notes of its inputs, which names versions of objects."""
    return {name: found for name, found in made_by(config).items() if Path(name).suffix in {".parquet", ".md"}}


def in_the_middle(process: "subprocess.Popen[str]", endpoint: Endpoint, calls: int) -> None:
    while len(endpoint.asked) < calls and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, Done(process).said


def check_goes_on(cluster: Flink, endpoint: Endpoint, local: Config, config: Config, beam: tuple[str, ...]) -> None:
    """The same command finishes, and nothing is paid twice but what was under way."""
    done = finish(start(config, *beam))
    assert done.code == 0, done.said
    assert calls_repeated(endpoint) <= 2 * IN_FLIGHT  # a process has a window of its own, and there may be two
    assert made_by(config) == made_by(local)


@pytest.mark.runners
def test_a_task_manager_killed_in_the_middle(made: Programs, endpoint: Endpoint, local: Config) -> None:
    cluster = flink(made)
    beam = on(flink_job_server(made, f"127.0.0.1:{cluster.rest}"), "--parallelism=2", *external(made))
    config = config_at(made.folder / "lake", endpoint)
    endpoint.asked.clear()
    process = start(config, *beam)
    in_the_middle(process, endpoint, 10)
    cluster.kill_manager()
    done = finish(process)
    assert done.code == 1
    assert re.match(r"gog: Flink: a machine of it was lost \(.+\); what was finished is kept, the same", done.error)
    cluster.add_manager()
    check_goes_on(cluster, endpoint, local, config, beam)


@pytest.mark.runners
def test_a_worker_killed_in_the_middle(made: Programs, endpoint: Endpoint, local: Config) -> None:
    cluster = flink(made)
    beam = on(flink_job_server(made, f"127.0.0.1:{cluster.rest}"), "--parallelism=2", *external(made))
    config = config_at(made.folder / "lake", endpoint)
    endpoint.asked.clear()
    process = start(config, *beam)
    in_the_middle(process, endpoint, 10)
    os.kill(workers_of(made)[0], signal.SIGKILL)
    done = finish(process)
    assert done.code == 1
    assert done.error.startswith("gog: Flink: ")
    check_goes_on(cluster, endpoint, local, config, beam)


def workers_of(made: Programs) -> list[int]:
    """Worker processes at work that the pool started."""
    pool = made.running["pool"].pid
    found = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in found if pid != pool and os.getsid(pid) == pool]


@pytest.mark.runners
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_ends_the_command_ends_the_job(made: Programs, endpoint: Endpoint, number: signal.Signals) -> None:
    cluster = flink(made)
    config = config_at(made.folder / "lake", endpoint)
    endpoint.asked.clear()
    master = f"127.0.0.1:{cluster.rest}"
    beam = "--parallelism=2", f"--flink_master={master}", *external(made)
    process = start(config, *on(flink_job_server(made, master), *beam))
    in_the_middle(process, endpoint, 5)
    process.send_signal(number)
    done = finish(process)
    assert (done.code, done.error) == (130, "gog: stopped; what was finished is kept, the same command goes on")
    wait(lambda: cluster.states()[0] == "CANCELED", lambda: str(cluster.states()))


@pytest.mark.runners
def test_errors_of_a_cluster_in_one_line(made: Programs, endpoint: Endpoint) -> None:
    cluster = flink(made, network="8mb")
    config = config_at(made.folder / "lake", endpoint)
    jobs = flink_job_server(made, f"127.0.0.1:{cluster.rest}")
    done = finish(start(config, *on(jobs, "--parallelism=2", LOOPBACK)))
    assert done.code == 1
    assert done.error.startswith("gog: Flink: too few network buffers (required ")
    done = finish(start(config, *on(jobs, "--paralelism=2")))
    assert done.code == 2
    cluster.kill_manager()
    cluster.network = "256mb"
    cluster.add_manager()
    nobody = "--environment_config=127.0.0.1:1"
    done = finish(start(config, *on(jobs, "--parallelism=2", "--environment_type=EXTERNAL", nobody)))
    assert done.code == 1
    assert done.error.startswith("gog: Flink: it cannot reach its workers: ")
    assert "is it up" in done.error


@pytest.mark.runners
def test_counters_on_flinks_page(made: Programs, endpoint: Endpoint) -> None:
    cluster = flink(made)
    config = config_at(made.folder / "lake", endpoint)
    jobs = flink_job_server(made, f"127.0.0.1:{cluster.rest}")
    assert finish(start(config, *on(jobs, "--parallelism=2", LOOPBACK))).code == 0
    ids = [job["jid"] for job in cluster.ask("jobs/overview")["jobs"]]
    kept = "".join(str(cluster.ask(f"jobs/{job}/accumulators")) for job in ids)
    for name in ("ingest_passed", "screen_calls", "synthesize_prompt_tokens", "verify_calls"):
        assert name in kept
