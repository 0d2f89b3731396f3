"""A run of the engine as a Dagster job (Dagster 1): ingest, synthesize, curate, export.

    GOG_CONFIG=gog.yaml dagster job execute -f examples/dagster_job.py
    GOG_CONFIG=gog.yaml dagster dev -f examples/dagster_job.py

Without GOG_CONFIG it is the bundled world. Each op does what is missing of its step, so an op that failed, or was
killed, is simply run again ("from failure"): what was bought is in the store. A ceiling of the budget fails the op and
says which; raise it in the config and run again.
"""

import os

from dagster import RetryPolicy, job, op

PASSING = RetryPolicy(max_retries=2, delay=60)


def do(*steps: str) -> str:
    """Do steps of the run; returns its state. Imports inside: Dagster reads this file often and runs none of it."""
    import gog

    result = gog.run(gog.load_config(os.environ.get("GOG_CONFIG")), steps=steps)
    if result.stopped:
        raise RuntimeError(f"{result.stopped} was reached: everything is kept")
    return result.manifest.state


@op(retry_policy=PASSING)
def ingest() -> str:
    return do("ingest")


@op(retry_policy=PASSING)
def synthesize(after: str) -> str:
    return do("synthesize")


@op
def curate(after: str) -> str:
    return do("curate")


@op
def export(after: str) -> str:
    return do("export_sft", "label", "export_rl")


@job
def glance_or_gaze() -> None:
    """Seeds to SFT and RL splits; what an op returns is the state of the run, and orders them."""
    export(curate(synthesize(ingest())))
