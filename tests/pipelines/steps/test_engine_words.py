"""What engines say of a job that failed, as one line: the engine, the cause, and what to do."""

import pytest

from gog.pipelines.steps.engine_words import job_failed, no_worker

FAILED = "Pipeline BeamApp-x_1 failed in state FAILED: "
IN_PYTHON = """java.lang.RuntimeException: Error received from SDK harness for instruction 4: Traceback (most recent):
  File "worker.py", line 3, in _execute
    response = task()
{said} [while running 'Ingest/Decode']
"""


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (
            "java.io.IOException: Insufficient number of network buffers: required 512, but only 248 available. The "
            "total number of network buffers is currently set to 256 of 32768 bytes each.",
            "LOOPBACK",
            "too few network buffers (required 512, but only 248 available); raise taskmanager.memory.network.min",
        ),
        (
            "org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire the minimum "
            "required resources.",
            "",
            "too few task slots; start task managers",
        ),
        (
            "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id 127.0.0.1:39243-0511f5 is no "
            "longer reachable.",
            "EXTERNAL",
            "a machine of it was lost (TaskManager with id 127.0.0.1:39243-0511f5 is no longer reachable); what was "
            "finished is kept, the same command goes on",
        ),
        (
            "java.net.ConnectException: java.net.ConnectException: finishConnect(..) failed: Connection refused",
            "EXTERNAL",
            "it cannot reach its workers: finishConnect(..) failed: Connection refused; the worker pool at "
            "--environment_config: is it up",
        ),
        (
            "java.net.ConnectException: finishConnect(..) failed: Connection refused",
            "LOOPBACK",
            "Connection refused; workers are in this process",
        ),
        (
            'java.io.IOException: Cannot run program "docker": error=2, No such file or directory',
            "",
            "its machines cannot start workers in containers, since they have no docker; name workers of your own",
        ),
        (
            IN_PYTHON.format(said="ModuleNotFoundError: No module named 'gog'"),
            "EXTERNAL",
            "its workers lack gog; give them an environment with glance-or-gaze[pipelines]",
        ),
        (
            IN_PYTHON.format(said="gog.pipelines.lake.lake.LakeError: there is no lake at /mnt/lake; name one"),
            "EXTERNAL",
            "the job failed: there is no lake at /mnt/lake; name one",
        ),
        (
            IN_PYTHON.format(said="ConnectionRefusedError: [Errno 111] Connection refused"),
            "EXTERNAL",
            "the job failed: ConnectionRefusedError: [Errno 111] Connection refused",
        ),
        ("java.lang.RuntimeException: java.lang.Exception: odd", "", "the job failed: odd; its log has more"),
        ("", "", "the job failed: RuntimeError; its log has more"),
    ],
)
def test_a_job_that_failed(words: str, environment: str, said: str) -> None:
    error = job_failed("Flink", RuntimeError(FAILED + words), environment)
    assert str(error).startswith("Flink: ")
    assert said in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 1


def test_a_job_that_somebody_cancelled() -> None:
    error = job_failed("Spark", RuntimeError("Pipeline x failed in state CANCELLED: unknown error"))
    assert str(error) == "Spark: the job was cancelled; what was finished is kept, the same command goes on"


def test_a_job_in_which_no_worker_began() -> None:
    said = str(no_worker("Flink", 300.4, "EXTERNAL"))
    assert said.startswith(
        "Flink: no worker of the job has begun within 300 s, and the job was cancelled: see that it has"
    )
    assert said.endswith("has the first `python` of its PATH glance-or-gaze[pipelines]?")
