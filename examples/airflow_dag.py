"""A run of the engine as an Airflow DAG (Airflow 3): ingest, synthesize, curate, export.

Set GOG_CONFIG to a config file for the workers; they share its lake. Each task does what is missing of its step, so a
task that failed, or was killed, is simply run again: what was bought is in the store. A ceiling of the budget fails the
task and says which; raise it in the config and clear the task.
"""

import os

from airflow.sdk import dag, task


def do(*steps: str) -> str:
    """Do steps of the run; returns its state. Imports inside: Airflow reads this file often and runs none of it."""
    import gog

    result = gog.run(gog.load_config(os.environ.get("GOG_CONFIG")), steps=steps)
    if result.stopped:
        raise RuntimeError(f"{result.stopped} was reached: everything is kept")
    return result.manifest.state


@dag(schedule=None, catchup=False, tags=["glance-or-gaze"])
def glance_or_gaze() -> None:
    """Seeds to SFT and RL splits."""

    @task(retries=2)
    def ingest() -> str:
        return do("ingest")

    @task(retries=2)
    def synthesize() -> str:
        return do("synthesize")

    @task
    def curate() -> str:
        return do("curate")

    @task
    def export() -> str:
        return do("export_sft", "label", "export_rl")

    ingest() >> synthesize() >> curate() >> export()


pipeline = glance_or_gaze()
