"""A run of the engine as a Prefect flow (Prefect 3): ingest, synthesize, curate, export.

    GOG_CONFIG=gog.yaml python examples/prefect_flow.py

Without GOG_CONFIG it is the bundled world. Each task does what is missing of its step, so a task that failed, or was
killed, is simply run again: what was bought is in the store. A ceiling of the budget fails the task and says which;
raise it in the config and start the flow again.
"""

import os

from prefect import flow, task


def do(*steps: str) -> str:
    """Do steps of the run; returns its state. Imports inside: a server reads this file and runs none of it."""
    import gog

    result = gog.run(gog.load_config(os.environ.get("GOG_CONFIG")), steps=steps)
    if result.stopped:
        raise RuntimeError(f"{result.stopped} was reached: everything is kept")
    return result.manifest.state


@task(retries=2, retry_delay_seconds=60)
def ingest() -> str:
    return do("ingest")


@task(retries=2, retry_delay_seconds=60)
def synthesize() -> str:
    return do("synthesize")


@task
def curate() -> str:
    return do("curate")


@task
def export() -> str:
    return do("export_sft", "label", "export_rl")


@flow(name="glance-or-gaze")
def glance_or_gaze() -> str:
    """Seeds to SFT and RL splits, one task after the other; a task that fails ends the flow."""
    ingest()
    synthesize()
    curate()
    state: str = export()
    return state


if __name__ == "__main__":
    glance_or_gaze()
