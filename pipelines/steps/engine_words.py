"""What an engine says of a job that failed, in one line: the engine, the cause, and what to do."""

import re
from typing import Final

import grpc

from gog.pipelines.lake.one_line import one_line
from gog.pipelines.steps.runner import RunnerError

_KEPT: Final = "what was finished is kept, the same command goes on"
_PREFIX: Final = re.compile(r"Pipeline \S+ failed in state (?P<state>[A-Z]+): *")
_RAISED: Final = re.compile(
    r"^(?P<name>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Failed|Exit)): (?P<said>.+)$", re.MULTILINE
)
"""The last line of a traceback of Python."""
_JAVA: Final = re.compile(r"^(?:[a-z]\w*\.)+(?:[A-Z]\w*)?(?:Exception|Error): ")
_STEP: Final = re.compile(r" \[while running '[^']*'\]$")

_CAUSES: Final = (
    (
        r"Insufficient number of network buffers: (required \d+, but only \d+ available)",
        "too few network buffers ({0})",
        "raise taskmanager.memory.network.min and .max (256mb do for a parallelism of 2), or lower --parallelism",
    ),
    (
        r"NoResourceAvailableException|Could not acquire the minimum required resources",
        "too few task slots",
        "start task managers, raise taskmanager.numberOfTaskSlots, or lower --parallelism",
    ),
    (
        r"(TaskManager with id \S+ is no longer reachable|(?:Heartbeat of|Connection to) TaskManager[^.]{0,80}"
        r"|Lost task \S+ in stage[^;:]{0,80}|RemoteTransportException: [^\n]{0,120}|ExecutorLostFailure[^\n]{0,80})",
        "a machine of it was lost ({0})",
        _KEPT,
    ),
    (
        r"Cannot run program \"docker\"|Cannot connect to the Docker daemon|docker: (?:command )?not found",
        "its machines cannot start workers in containers, since they have no docker",
        "name workers of your own, as --environment_type=EXTERNAL with --environment_config=HOST:PORT of a worker pool",
    ),
    (
        r"No module named '(gog|apache_beam)[^']*'",
        "its workers lack {0}",
        "give them an environment with glance-or-gaze[pipelines], or an image of the Dockerfile",
    ),
)
"""Words of engines, the cause in ours, and what to do about it."""
_REFUSED: Final = re.compile(r"Connection refused|UNAVAILABLE: io exception|failed to connect to all addresses")


def job_failed(engine: str, error: Exception, environment: str = "") -> RunnerError:
    """The error of a job that failed on an engine, in one line. `environment` is `--environment_type`."""
    if isinstance(error, grpc.RpcError):
        return RunnerError(
            f"{engine}: its job service went away ({one_line(_details(error), 200)}); see on its page whether the job "
            f"still runs, then {_KEPT}"
        )
    text = _PREFIX.sub("", str(error))
    if "SDK harness" not in text and "Traceback" not in text and _REFUSED.search(text):
        return RunnerError(f"{engine}: it cannot reach its workers: {_first(text)}; {_workers(environment)}")
    for words, cause, advice in _CAUSES:
        if found := re.search(words, text):
            return RunnerError(f"{engine}: {cause.format(*found.groups())}; {advice}")
    raised = [*_RAISED.finditer(text)]
    if "Traceback" in text and raised:
        name, said = raised[-1].group("name", "said")
        named = "" if name.startswith("gog.") else f"{name}: "  # ours say what to do
        return RunnerError(f"{engine}: the job failed: {named}{one_line(_STEP.sub('', said), 400)}")
    state = _PREFIX.match(str(error))
    if state is not None and state["state"] == "CANCELLED":
        return RunnerError(f"{engine}: the job was cancelled; {_KEPT}")
    return RunnerError(f"{engine}: the job failed: {_first(text) or type(error).__name__}; its log has more")


def no_worker(engine: str, waited_s: float, environment: str = "") -> RunnerError:
    """The error of a job in which no worker began."""
    return RunnerError(
        f"{engine}: no worker of the job has begun within {waited_s:.0f} s, and the job was cancelled: see that it has "
        f"free machines, that the lake is there at the same address, and {_workers(environment)}"
    )


def _workers(environment: str) -> str:
    """What to look at, by how workers start."""
    return {
        "LOOPBACK": "workers are in this process: --environment_type=LOOPBACK is for an engine on this machine alone",
        "EXTERNAL": "the worker pool at --environment_config: is it up, and has the first `python` of its PATH "
        "glance-or-gaze[pipelines]?",
        "PROCESS": "the command in --environment_config starts a worker on each machine",
    }.get(environment, "--environment_type and --environment_config say how workers start")


def _first(text: str) -> str:
    """The first line that says something, without the classes of Java's exceptions before it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    while shorter := _JAVA.sub("", line, count=1):
        if shorter == line:
            break
        line = shorter
    return one_line(line, 300)


def _details(error: grpc.RpcError) -> str:
    details = error.details() if hasattr(error, "details") else str(error)
    return details or "it does not answer"
