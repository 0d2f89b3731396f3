"""Engines that the tests start: Prism, and Flink and Spark, embedded in Beam's job server or as clusters of processes.

`make test-runners` puts their programs into the folder that GOG_RUNNERS names.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("GOG_RUNNERS", "none"))
UP_S = 300.0
"""Seconds until a program listens, on a machine that does other things, too."""
OPENED = ("lang", "util", "nio", "util.concurrent", "net", "lang.invoke")
MORE = ("sun.nio.ch", "sun.util.calendar", "sun.security.action")
JAVA = ["java", *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in (*(f"java.{n}" for n in OPENED), *MORE))]
MEMORY = {
    "network.min": "256mb",
    "network.max": "256mb",
    "managed.size": "128mb",
    "task.heap.size": "512mb",
    "task.off-heap.size": "0b",
    "framework.heap.size": "128mb",
    "framework.off-heap.size": "128mb",
    "jvm-metaspace.size": "256mb",
    "jvm-overhead.min": "192mb",
    "jvm-overhead.max": "192mb",
}
"""Of a task manager: Flink's launch scripts work it out."""


def prism_program() -> Path | None:
    """Prism, where it is installed."""
    found = shutil.which("prism", path=os.pathsep.join([str(HOME / "bin"), os.environ.get("PATH", "")]))
    return Path(found) if found else None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Programs:
    """Programs with their logs in a folder, which end with the block."""

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)
    running: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self, name: str, command: Sequence[Any], port: int, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a program and wait until it listens."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdout=log,
                stderr=log,
                env=os.environ | environment,
                cwd=self.folder,
                start_new_session=True,
            )
        self.stack.callback(end, process)
        self.running[name] = process
        wait(partial(listens, port), lambda: f"{name} does not listen:\n{self.log(name)}", process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")[-3000:]


def end(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGKILL) -> None:
    """End a program and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    process.wait()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait(over: Callable[[], bool], told: Callable[[], str], process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until it is over, at most `UP_S`."""
    last = time.monotonic() + UP_S
    while not over():
        assert time.monotonic() < last, told()
        assert process is None or process.poll() is None, told()
        time.sleep(0.1)


@contextmanager
def programs(folder: Path) -> Iterator[Programs]:
    made = Programs(folder)
    with made.stack:
        yield made


def job_service(made: Programs) -> str:
    """Beam's own, of Python: what needs nothing else."""
    port = free_port()
    made.start(
        "python", [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "-p", port], port
    )
    return f"127.0.0.1:{port}"


def prism(made: Programs) -> str:
    port = free_port()
    made.start("prism", [prism_program(), "--job_port", port, "--web_port", free_port(), "--serve_http=false"], port)
    return f"127.0.0.1:{port}"


def _job_server(
    made: Programs, name: str, main: str, classes: str, more: Sequence[str], java: Sequence[str] = ()
) -> str:
    port = free_port()
    where = ["--job-port", port, "--artifact-port", free_port(), "--expansion-port", free_port()]
    command = [
        *JAVA,
        "-Xmx700m",
        *java,
        "-cp",
        classes,
        main,
        *where,
        "--artifacts-dir",
        made.folder / "artifacts",
        *more,
    ]
    made.start(name, command, port)
    return f"127.0.0.1:{port}"


def flink_job_server(made: Programs, master: str = "[local]") -> str:
    main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
    return _job_server(made, "flink-jobs", main, f"{HOME}/flink-jobs/*", [f"--flink-master={master}"])


@dataclass
class Flink:
    """A cluster of a job manager and task managers, each a process."""

    made: Programs
    rest: int
    network: str = "256mb"
    managers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/{path}", timeout=30) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        """Whether it is up; it listens before, and says 503."""
        with suppress(OSError):
            return "taskmanagers" in self.ask("overview")
        return False

    def add_manager(self) -> None:
        """One more task manager, with two slots."""
        known = int(self.ask("overview")["taskmanagers"])
        memory = MEMORY | {"network.min": self.network, "network.max": self.network}
        settings = [f"taskmanager.memory.{name}={size}" for name, size in memory.items()] + ["taskmanager.cpu.cores=2"]
        options = [word for setting in settings for word in ("-D", setting)]
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        command = [*JAVA, "-Xmx640m", "-XX:MaxDirectMemorySize=512m", "-cp", f"{HOME}/flink/pyflink/lib/*", main]
        command += ["--configDir", str(self.made.folder), *options]
        self.managers.append(self.made.start("manager", command, self.rest))
        wait(
            lambda: int(self.ask("overview")["taskmanagers"]) > known,
            lambda: self.made.log("manager"),
            self.managers[-1],
        )

    def kill_manager(self) -> None:
        """Until the job manager knows."""
        known = int(self.ask("overview")["taskmanagers"])
        end(self.managers.pop())
        wait(lambda: int(self.ask("overview")["taskmanagers"]) < known, lambda: self.made.log("jobs"))

    def states(self) -> list[str]:
        """States of its jobs, the latest first."""
        return [job["state"] for job in sorted(self.ask("jobs/overview")["jobs"], key=lambda job: -job["start-time"])]


def flink(made: Programs, network: str = "256mb") -> Flink:
    rest = free_port()
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": free_port(),
        "rest.address": "127.0.0.1",
        "rest.port": rest,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": 2,
        "parallelism.default": 2,
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 20000,
        "metrics.fetcher.update-interval": 50,
    }
    (made.folder / "flink-conf.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    command = [*JAVA, "-Xmx512m", "-cp", f"{HOME}/flink/pyflink/lib/*", main, "--configDir", made.folder]
    made.start("jobs", [*command, "--executionMode", "cluster"], rest)
    cluster = Flink(made, rest, network)
    wait(cluster.answers, lambda: made.log("jobs"))
    cluster.add_manager()
    return cluster


def spark_job_server(made: Programs, master: str = "local[2]", java: Sequence[str] = ()) -> str:
    main = "org.apache.beam.runners.spark.SparkJobServerDriver"
    jars = HOME / "spark-jobs"
    guava = next(jars.glob("guava-*.jar"))  # before Spark's, which is older
    more = [f"--spark-master-url={master}"]
    return _job_server(made, "spark-jobs", main, f"{guava}:{jars}/*", more, ["-Dspark.ui.enabled=false", *java])


def spark(made: Programs) -> str:
    """A job server before a master and a worker, each a process."""
    port, home = free_port(), HOME / "spark" / "pyspark"
    address = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    run, package = home / "bin" / "spark-class", "org.apache.spark.deploy"
    master = [run, f"{package}.master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", free_port()]
    made.start("master", master, port, **address)
    page = free_port()
    worker = [
        run,
        f"{package}.worker.Worker",
        "--cores",
        2,
        "--memory",
        "1g",
        "--webui-port",
        page,
        f"spark://127.0.0.1:{port}",
    ]
    made.start("worker", worker, page, **address)
    there = {jar.name for jar in (home / "jars").glob("*.jar")}
    lacking = [str(jar) for jar in sorted((HOME / "spark-jobs").glob("*.jar")) if jar.name not in there]
    guava = next(name for name in lacking if Path(name).name.startswith("guava-"))
    java = [
        f"-Dspark.jars={','.join(lacking)}",
        f"-Dspark.executor.extraClassPath={guava}",
        "-Dspark.driver.host=127.0.0.1",
    ]
    return spark_job_server(made, f"spark://127.0.0.1:{port}", java)


def worker_pool(made: Programs) -> str:
    """Workers outside of the command, for `--environment_type=EXTERNAL`."""
    port, path = free_port(), f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    made.start("pool", command, port, PATH=path)
    return f"127.0.0.1:{port}"
